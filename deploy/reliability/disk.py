"""A server without room: the disk full at each step, read-only, no file descriptors, no address space.

The data folder is a tmpfs of 24 MiB that is filled by a file of ballast. A full disk is answered 507 or makes the job wait;
once there is room the job ends by itself, and never is a result torn. Needs root for the mounts, and about five minutes, most
of them the 30 s that a job waits after a full disk.

    HEPAR=.build/release/hepar python3 deploy/reliability/disk.py            # all parts; or name some:
    HEPAR=... python3 deploy/reliability/disk.py upload margins              # guard, upload, margins, mask, report,
                                                                             # readonly, descriptors, memory
"""
import os
import socket
import subprocess
import sys
import time

from common import Checks, Server, names, phantom, sha256, undisturbed

KIB = 1024


class SmallDisk:
    """A server whose data folder is a small file system of its own."""

    def __init__(self, checks, part, **settings):
        self.folder = os.path.join(checks.folder, part)
        self.server = Server(self.folder, **settings)
        os.makedirs(self.server.data)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", self.server.data], check=True)
        self.ballast = os.path.join(self.server.data, "ballast")

    def fill(self, left):
        """Leaves `left` bytes free, to the page."""
        self.free()
        for _ in range(100):
            status = os.statvfs(self.server.data)
            try:
                with open(self.ballast, "wb") as file:
                    return os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - left))
            except OSError:
                pass  # the server wrote meanwhile
        raise OSError("the disk cannot be filled")

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def end(self):
        self.server.kill()
        subprocess.run(["umount", self.server.data], check=True)


def must_end_well(checks, server, job, expected, promise):
    document = server.finish(job, seconds=120)
    good = document["state"] == "succeeded" and document["mask_sha256"] == expected
    checks.expect(good, promise, document)
    if good:
        served = server.request("GET", f"/v1/jobs/{job}/mask")[2]
        checks.expect(sha256(served) == expected, "the mask that is served is whole", job)
    return document


def part_guard(checks, disk, scan, expected):
    """Less free than data.free_space_mib: refused at the door, and the load balancer is told."""
    server = disk.server
    disk.fill(4 << 20)
    checks.expect(server.submit(scan)[0] == 507, "below data.free_space_mib uploads are answered 507")
    checks.expect(server.request("GET", "/readyz")[0] == 503, "and /readyz answers 503")
    disk.free()
    status, job = server.submit(scan)
    checks.expect(status == 202 and server.request("GET", "/readyz")[0] == 200, "with room all is well again", job)
    must_end_well(checks, server, job["id"], expected, "a job after a full disk ends well")


def part_upload(checks, disk, scan, expected):
    """Full in the middle of an upload."""
    server, head = disk.server, f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(scan)}\r\n\r\n"
    for share in (0.0, 0.3, 0.9):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            cut = int(share * len(scan))
            client.sendall(head.encode() + scan[:cut])
            time.sleep(0.2)
            disk.fill(0)
            try:
                client.sendall(scan[cut:])
            except OSError:
                pass
            answer = client.recv(4096)
        checks.expect(b" 507 " in answer.split(b"\r\n")[0], "a disk that fills up during an upload is told by 507", answer)
        time.sleep(0.3)
        checks.expect(not names(server.data, "incoming"), "and nothing of the upload is left", share)
        disk.free()
    status, job = server.submit(scan)
    checks.expect(status == 202, "with room the same upload is taken", job)
    must_end_well(checks, server, job["id"], expected, "a job after a full disk ends well")


def part_margins(checks, disk, scan, expected):
    """Room for the upload, perhaps for its row: either 202 and a job that ends well, or 507 and nothing left."""
    server, answers, taken = disk.server, {}, []
    server.json("POST", "/v1/queue/pause")
    for margin in range(0, 132 * KIB, 4 * KIB):
        disk.fill(len(scan) + margin)
        status, job = server.submit(scan)
        answers[status] = answers.get(status, 0) + 1
        checks.expect(status in (202, 507), "a full disk is answered 507", (margin, job))
        checks.expect(not names(server.data, "incoming"), "nothing is left in incoming/", margin)
        if status == 202:
            taken.append(job["id"])
        checks.expect(set(names(server.data, "jobs")) == set(taken), "only accepted jobs have a folder", margin)
    disk.free()
    server.json("POST", "/v1/queue/resume")
    for job in taken:
        must_end_well(checks, server, job, expected, "a job that was accepted on a nearly full disk ends well")
    return answers


def part_mask(checks, disk, scan, expected):
    """Full while a job runs: it waits, and ends by itself once there is room."""
    server, seen = disk.server, {}
    for left in (0, 12 * KIB, 40 * KIB):
        job = server.submit(scan)[1]["id"]
        while server.json("GET", f"/v1/jobs/{job}")["state"] == "queued":
            time.sleep(0.01)
        disk.fill(left)
        hit = server.json("GET", f"/v1/jobs/{job}")["state"] == "running"
        time.sleep(8)
        status, _, body = server.request("GET", f"/v1/jobs/{job}")
        checks.expect(status == 200, "status requests are answered on a full disk", body)
        mask = server.request("GET", f"/v1/jobs/{job}/mask")
        checks.expect(mask[0] in (409, 200) and (mask[0] == 409 or sha256(mask[2]) == expected),
                      "on a full disk no torn mask is served", mask[0])
        disk.free()
        begin = time.monotonic()
        document = must_end_well(checks, server, job, expected, "a job that met a full disk ends by itself")
        checks.expect(hit, "the job was still running when the disk was full", left)
        seen[left] = {"seconds_after_room": round(time.monotonic() - begin), "attempts": document["attempts"]}
    return seen


def part_report(checks, disk, scan, expected):
    """The database can be written (its log is long enough), the results cannot: that is not the job's fault."""
    server, seen = disk.server, {}
    for _ in range(400):
        server.json("POST", "/v1/queue/pause")
        server.json("POST", "/v1/queue/resume")
    for left in (0, 12 * KIB, 16 * KIB, 20 * KIB):
        job = server.submit(scan)[1]["id"]
        while server.json("GET", f"/v1/jobs/{job}")["state"] == "queued":
            time.sleep(0.01)
        disk.fill(left)
        hit = server.json("GET", f"/v1/jobs/{job}")["state"] == "running"
        time.sleep(20)
        disk.free()
        document = must_end_well(checks, server, job, expected, "a job whose results had no room ends by itself")
        checks.expect(document["attempts"] == 1, "a full disk costs no attempt", (left, document["attempts"]))
        checks.expect(hit, "the job was still running when the disk was full", left)
        seen[left] = document["attempts"]
    return seen


def part_readonly(checks, scan):
    """A data folder that cannot be written: the server does not start, and says why."""
    disk = SmallDisk(checks, "readonly")
    subprocess.run(["mount", "-o", "remount,ro", disk.server.data], check=True)
    started = disk.server.start(seconds=20)
    with open(disk.server.log) as log:
        said = log.read().strip()
    checks.expect(started is None and disk.server.process.poll() not in (None, 0), "it refuses to start", said)
    checks.expect("cannot be written" in said, "and says why", said)
    disk.end()
    return said.replace(disk.folder, "...")


def part_descriptors(checks, scan, expected):
    """As many connections as there are descriptors: others wait, jobs go on, and all is well once they are gone."""
    folder = os.path.join(checks.folder, "descriptors")
    os.makedirs(folder)
    server = Server(folder, prefix=["prlimit", "--nofile=100:100"])
    checks.expect(server.start() is not None, "it starts with 100 descriptors")
    job = server.submit(scan)[1]["id"]
    clients = []
    for _ in range(120):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        client.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nabc")
        clients.append(client)
    try:
        while_full = server.request("GET", "/healthz", timeout=3)[0]
    except OSError as error:
        while_full = type(error).__name__
    checks.expect(while_full in (503, 200, "TimeoutError", "ConnectionResetError"), "others wait or are told", while_full)
    most = server.status()["FDs"]
    time.sleep(3)
    for client in clients:
        client.close()
    begin, answer = time.monotonic(), 0
    while answer != 200 and time.monotonic() - begin < 30:
        try:
            answer = server.request("GET", "/healthz", timeout=5)[0]
        except OSError:
            time.sleep(0.05)
    checks.expect(answer == 200, "it answers again once they are gone")
    seconds = round(time.monotonic() - begin, 2)
    must_end_well(checks, server, job, expected, "a job ends well meanwhile")
    must_end_well(checks, server, server.submit(scan)[1]["id"], expected, "and so does the next")
    server.kill(15)
    return {"while_full": while_full, "descriptors": most, "seconds_to_recover": seconds}


def memory_group(mib):
    """A cgroup of so much memory and no swap, as a prefix that starts a program in it, and its folder; None without rights."""
    modern = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    group = os.path.join("/sys/fs/cgroup" if modern else "/sys/fs/cgroup/memory", f"hepar-{os.getpid()}")
    try:
        os.mkdir(group)
        with open(os.path.join(group, "memory.max" if modern else "memory.limit_in_bytes"), "w") as file:
            file.write(str(mib << 20))
    except OSError:
        return None
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"], group


def must_outlive(checks, server, large, scan, expected):
    """A job that runs into a limit which nobody told Hepar of fails with a reason; the server and other jobs live."""
    first = server.process.pid
    status, job = server.submit(large)
    checks.expect(status == 202, "the large scan is taken", job)
    document = server.finish(job["id"], seconds=180)
    checks.expect(document["state"] == "failed" and document["failure"]["code"] == "poison",
                  "the job fails with a reason", document)
    checks.expect(server.process.poll() is None and server.process.pid == first, "the server lives")
    must_end_well(checks, server, server.submit(scan)[1]["id"], expected, "and another job ends well")
    return document["failure"]["message"]


def part_memory(checks, scan, expected):
    """Scans that need more than there is are refused at the door; where nobody told of a limit, the process of that job ends."""
    folder = os.path.join(checks.folder, "memory")
    os.makedirs(folder)
    large = phantom(folder, 9, "512,512,800")
    server = Server(folder, jobs_memory_limit_mib=200)
    server.start()
    need = server.json("POST", "/v1/scans", body=scan)["memory_mib"]
    status, job = server.submit(large)
    checks.expect(status == 422, "a scan that needs more than jobs.memory_limit_mib is answered 422", job)
    must_end_well(checks, server, server.submit(scan)[1]["id"], expected, "a scan that fits is taken")
    peak = server.status("VmPeak")["VmPeak"] * KIB
    server.kill(15)

    limit = (peak >> 20) + 200  # four fifths of it are for jobs
    server = Server(folder, prefix=["prlimit", f"--as={limit << 20}"])
    checks.expect(server.start() is not None, "it starts under a limit of address space")
    status, answer = server.submit(large)
    checks.expect(status == 422, "a scan that needs more than the limit leaves is answered 422", answer)
    must_end_well(checks, server, server.submit(scan)[1]["id"], expected, "and another job ends well")
    server.kill(15)
    server = Server(folder, prefix=["prlimit", f"--as={limit << 20}"], jobs_memory_limit_mib=8000)
    checks.expect(server.start() is not None, "it starts where the configuration knows better")
    figures = {"small_job_mib": need, "address_space_mib": limit, "large_job": answer.get("code"),
               "address_space": must_outlive(checks, server, large, scan, expected)}
    server.kill(15)
    group = memory_group(280)
    if not group:
        return {**figures, "cgroup": "not to be had here"}
    server = Server(folder, prefix=group[0], jobs_memory_limit_mib=8000)
    try:
        checks.expect(server.start() is not None, "it starts in a cgroup")
        figures["cgroup_280_mib"] = must_outlive(checks, server, large, scan, expected)
    finally:
        server.kill(9)
        os.rmdir(group[1])
    return figures


def main():
    checks = Checks("disk")
    small, long = phantom(checks.folder, 1), phantom(checks.folder, 2, "176,176,80")
    hashes, _ = undisturbed([small, long], checks)
    on_disk = {"guard": 8, "upload": 0, "margins": 0, "mask": 0, "report": 0}
    parts, figures, begin = sys.argv[1:] or [*on_disk, "readonly", "descriptors", "memory"], {}, time.monotonic()
    for part in parts:
        # A job that runs when the disk is full must take some seconds.
        scan, expected = (long, hashes[1]) if part in ("mask", "report") else (small, hashes[0])
        if part in on_disk:
            disk = SmallDisk(checks, part, data_free_space_mib=on_disk[part])
            try:
                checks.expect(disk.server.start() is not None, "the server starts")
                figures[part] = globals()["part_" + part](checks, disk, scan, expected)
                checks.expect(disk.server.process.poll() is None, "the server lives on", part)
            finally:
                disk.end()
        elif part == "readonly":
            figures[part] = part_readonly(checks, scan)
        else:
            figures[part] = globals()["part_" + part](checks, scan, expected)
        print(f"{part}: {figures[part] if figures[part] is not None else 'done'}", flush=True)
    checks.close(seconds=round(time.monotonic() - begin), **{key: value for key, value in figures.items() if value})


if __name__ == "__main__":
    main()
