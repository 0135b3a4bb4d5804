"""Mixed traffic for a long time: does the server grow?

Sound and damaged scans, repeated ones, cancels, deletes, masks, pages, pictures, scores, events and metrics, from a few
clients; old jobs are deleted, so that the data do not grow. Every few seconds memory, descriptors and threads are noted, and
in the end the last quarter is held against the second: the first is warming up. A run below ten minutes warms up and no more.

    HEPAR=.build/release/hepar python3 deploy/reliability/soak.py 60          # minutes; `MINUTES=1440 make soak` for a day
"""
import os
import random
import statistics
import sys
import threading
import time

from common import ENDS, Checks, Server, milliseconds, names, phantom, sha256, undisturbed

MINUTES = float(sys.argv[1]) if len(sys.argv) > 1 else 60
CLIENTS, KEPT = 3, 30


class Traffic:
    def __init__(self, checks, server, scans, references, hashes):
        self.checks, self.server, self.scans, self.references, self.hashes = checks, server, scans, references, hashes
        self.ending, self.lock, self.jobs, self.requests, self.times = threading.Event(), threading.Lock(), {}, {}, []

    def ask(self, method, path, expected, **more):
        """A request of which one of some answers is expected."""
        begin = time.monotonic()
        status, fields, body = self.server.request(method, path, timeout=120, **more)
        kind = f"{method} {path.split('/')[2].split('?')[0] if path.count('/') > 1 else path} {status}"
        with self.lock:
            self.requests[kind] = self.requests.get(kind, 0) + 1
            if "wait=" not in path:
                self.times.append(time.monotonic() - begin)
        self.checks.expect(status in expected, "a request gets one of the answers it may", (method, path, status, body[:200]))
        return status, fields, body

    def client(self, seed):
        rng = random.Random(seed)
        actions = [self.submit] * 4 + [self.look] * 8 + [self.damage] * 2 + [self.cancel, self.evaluate, self.operate]
        try:
            while not self.ending.is_set():
                rng.choice(actions)(rng)
                self.tidy()
        except OSError as error:
            if not self.ending.is_set():
                self.checks.expect(False, "the server answers", error)

    def submit(self, rng):
        number = rng.randrange(len(self.scans))
        fields = {"Content-Type": "application/octet-stream"}
        if rng.random() < 0.5:
            fields["Cache-Control"] = "no-cache"
        status, fields, _ = self.ask("POST", "/v1/jobs", (202,), body=self.scans[number], headers=fields)
        if status == 202:
            with self.lock:
                self.jobs[fields["Location"].rsplit("/", 1)[1]] = number
        time.sleep(rng.random())

    def damage(self, rng):
        """A scan that breaks off, or with some bytes changed: refused, or taken if the change is harmless."""
        scan = bytearray(rng.choice(self.scans))
        if rng.random() < 0.5:
            del scan[rng.randrange(len(scan)):]
        else:
            scan[rng.randrange(len(scan))] ^= 1 << rng.randrange(8)
        self.ask("POST", "/v1/scans", (200, 400, 422), body=bytes(scan),
                 headers={"Content-Type": "application/octet-stream"})

    def look(self, rng):
        with self.lock:
            if not self.jobs:
                return
            job, number = rng.choice(list(self.jobs.items()))
        path = f"/v1/jobs/{job}"
        part = rng.choice(["?wait=2", "/mask", "/mask?label=lesion", "/report", "/report?format=html", "/preview.png"])
        if part == "/mask" and rng.random() < 0.2:
            self.ask("PUT", path + "/reference", (200, 409, 404, 410), body=self.references[number])
            return
        status, _, body = self.ask("GET", path + part, (200, 409, 404, 410))
        if part == "/mask" and status == 200:
            self.checks.expect(sha256(body) == self.hashes[number], "the mask is the undisturbed one", job)

    def cancel(self, rng):
        with self.lock:
            job = rng.choice(list(self.jobs)) if self.jobs else None
        if job and rng.random() < 0.3:
            self.ask("POST", f"/v1/jobs/{job}/cancel", (200, 202, 409, 404, 410))

    def evaluate(self, rng):
        reference = rng.choice(self.references)
        body = b"".join(b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n' % (name, reference)
                        for name in (b"prediction", b"reference")) + b"--b--\r\n"
        self.ask("POST", "/v1/evaluations", (200,), body=body,
                 headers={"Content-Type": "multipart/form-data; boundary=b"})

    def operate(self, rng):
        self.ask("GET", rng.choice(["/metrics", "/v1/queue", "/v1/events?after=0&limit=1000", "/v1/jobs?limit=100",
                                    "/v1/audit?limit=1000", "/readyz", "/v1/unknown"]), (200, 404))

    def tidy(self):
        """Deletes the oldest job while there are too many."""
        with self.lock:
            if len(self.jobs) <= KEPT:
                return
            job = next(iter(self.jobs))
            self.jobs.pop(job)  # so that no other client deletes it too
        while self.ask("DELETE", f"/v1/jobs/{job}", (202, 204, 404, 410))[0] == 202:  # it runs: first it is cancelled
            time.sleep(0.2)


def main():
    checks = Checks("soak")
    scans = [phantom(checks.folder, seed, "96,80,20") for seed in range(1, 7)]
    references = []
    for seed in range(1, 7):
        with open(os.path.join(checks.folder, f"reference-{seed}.nii.gz"), "rb") as file:
            references.append(file.read())
    hashes, _ = undisturbed(scans, checks)
    server = Server(checks.folder)
    server.start()
    traffic, samples, end = Traffic(checks, server, scans, references, hashes), [], time.monotonic() + MINUTES * 60
    clients = [threading.Thread(target=traffic.client, args=(seed,)) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    while time.monotonic() < end and server.process.poll() is None:
        time.sleep(min(5, MINUTES))
        samples.append(server.status("VmRSS", "Threads"))
    traffic.ending.set()
    for client in clients:
        client.join()
    checks.expect(server.process.poll() is None, "the server lives")
    for job in traffic.jobs:
        checks.expect(server.finish(job)["state"] in ENDS, "each job ends", job)
    checks.expect(set(names(server.data, "jobs")) == set(traffic.jobs), "only the jobs that are left have folders")
    checks.expect(not names(server.data, "incoming"), "nothing is left in incoming/", names(server.data, "incoming"))
    quarter, medians = max(1, len(samples) // 4), {}
    for key, most in (("VmRSS", 32 * 1024), ("FDs", 8), ("Threads", 3)):
        second, last = (statistics.median(sample[key] for sample in part)
                        for part in (samples[quarter:2 * quarter] or samples, samples[-quarter:]))
        medians[key] = [second, last]
        checks.expect(MINUTES < 10 or last - second <= most, f"{key} does not grow", (second, last))
    server.kill(15)
    checks.close(minutes=MINUTES, requests=sum(traffic.requests.values()), answers=dict(sorted(traffic.requests.items())),
                 request_ms=milliseconds(traffic.times), second_and_last_quarter=medians)


if __name__ == "__main__":
    main()
