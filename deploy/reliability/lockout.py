"""One client's attack goes on: is the server's health told at once, and is another client's job taken and done?

A server with two tokens, `attacker` and `other`. Each attack goes on while health is asked on fresh connections about 50
times a second, and the other client sends one scan after another, from an address of its own, and waits for each mask. What
must hold: every question about health is answered 200, and a job of the other client was taken and has succeeded during the
attack. How long the answers took is told, not judged, as that depends on what else the machine does; `health_below_100_ms`
tells whether p99 was.

    HEPAR=.build/release/hepar python3 deploy/reliability/lockout.py               # 20 s an attack, about five minutes
    SECONDS=60 HEPAR=... python3 deploy/reliability/lockout.py bombs_24 dicom      # these two, a minute each
    HEPAR=... python3 deploy/reliability/lockout.py --short                        # some of them, one job each: 10 s
"""
import gzip
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile

from common import HEPAR, Checks, Server, milliseconds, percentile, phantom

SHORT = "--short" in sys.argv
SECONDS = float(os.environ.get("SECONDS", 0 if SHORT else 20))
# More than the server takes; a small server's limits in the short form.
CONNECTIONS, LIMITS = (300, {"http_connection_limit": 200, "http_connections_per_address": 50}) if SHORT else (2050, {})
ATTACKER, OTHER = "127.0.0.66", "127.0.0.77"


def nifti(shape, kind, bits):
    """A header of NIfTI-1 with the four bytes behind it."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<hh", head, 70, kind, bits)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<fff", head, 108, 352, 1, 0)
    struct.pack_into("<hh", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    head[344:348] = b"n+1\0"
    return bytes(head)


def zeros(head, count, noise=0):
    """A gzip of a header and so many bytes, of which the first are noise: 1 MiB is deflated once and repeated."""
    block = gzip.compress(b"\0" * (1 << 20), 9)
    first = head + random.Random(7).randbytes(noise)
    return gzip.compress(first, 1) + block * ((count - noise) >> 20)


def bomb():
    """4 MiB that inflate to 4 GiB."""
    return zeros(nifti((1024, 1024, 2048), 4, 16), 4 << 30)


def permitted_bomb():
    """5 MiB that inflate to just under 2 GiB, a little less than 400 times as much: what no limit of size refuses."""
    return zeros(nifti((1024, 1024, 500), 16, 32), 4 * 1024 * 1024 * 500, noise=3_600_000)


def dicom_zip(slices=1500, side=256):
    """A series of CT slices of noise, which takes long to read and to compress."""
    def element(group, number, kind, value):
        value += b"\0" if len(value) % 2 and kind in ("UI", "OB") else b" " if len(value) % 2 else b""
        wide = kind in ("OB", "OW", "UT")
        return struct.pack("<HH", group, number) + kind.encode() + (
            struct.pack("<HI", 0, len(value)) if wide else struct.pack("<H", len(value))) + value

    pixels = random.Random(5).randbytes(2 * side * side)
    pixels = bytes(b & 3 if index % 2 else b for index, b in enumerate(pixels))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number in range(slices):
            uid = f"1.2.826.0.1.3680043.10.1.{number + 1}".encode()
            meta = element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.2") + element(2, 3, "UI", uid)
            meta += element(2, 16, "UI", b"1.2.840.10008.1.2.1")
            meta = element(2, 0, "UL", struct.pack("<I", len(meta))) + meta
            data = element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2") + element(8, 0x18, "UI", uid)
            data += element(8, 0x60, "CS", b"CT") + element(0x18, 0x50, "DS", b"1")
            data += element(0x20, 0xD, "UI", b"1.2.826.0.1.3680043.10.2") + element(0x20, 0xE, "UI", b"1.2.826.0.1.3680043.10.3")
            data += element(0x20, 0x11, "IS", b"1") + element(0x20, 0x13, "IS", str(number + 1).encode())
            data += element(0x20, 0x32, "DS", f"0\\0\\{number}".encode()) + element(0x20, 0x37, "DS", b"1\\0\\0\\0\\1\\0")
            data += element(0x28, 2, "US", struct.pack("<H", 1)) + element(0x28, 4, "CS", b"MONOCHROME2")
            data += element(0x28, 0x10, "US", struct.pack("<H", side)) + element(0x28, 0x11, "US", struct.pack("<H", side))
            data += element(0x28, 0x30, "DS", b"1\\1") + element(0x28, 0x100, "US", struct.pack("<H", 16))
            data += element(0x28, 0x101, "US", struct.pack("<H", 16)) + element(0x28, 0x102, "US", struct.pack("<H", 15))
            data += element(0x28, 0x103, "US", struct.pack("<H", 1)) + element(0x28, 0x1052, "DS", b"-1024")
            data += element(0x28, 0x1053, "DS", b"1") + element(0x7FE0, 0x10, "OW", pixels)
            archive.writestr(f"{number}.dcm", b"\0" * 128 + b"DICM" + meta + data)
    return out.getvalue()


def form(**files):
    """Body and header fields of a multipart form."""
    parts = b"".join(b'--b0undary\r\nContent-Disposition: form-data; name="%s"; filename="f.nii.gz"\r\n\r\n%s\r\n'
                     % (name.encode(), data) for name, data in files.items())
    return parts + b"--b0undary--\r\n", {"Content-Type": "multipart/form-data; boundary=b0undary"}


class Flood:
    """So many clients of the attacker that send the same request again and again."""

    def __init__(self, server, count, token, method, path, body=None, fields=None):
        self.server, self.ending, self.statuses, self.lock = server, threading.Event(), {}, threading.Lock()
        self.fields = {"Authorization": f"Bearer {token}", **(fields or {})}
        self.request = method, path, body
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        method, path, body = self.request
        while not self.ending.is_set():
            try:
                status = self.server.request(method, path, body, self.fields, timeout=600, source=ATTACKER)[0]
            except OSError:
                status = "cut"
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
            if status in (429, 503, "cut"):
                self.ending.wait(0.2)  # an attacker who floods the network alone is not what this is about

    def end(self):
        self.ending.set()
        return {str(status): count for status, count in self.statuses.items()}


class Connections:
    """Connections without a token that say nothing, opened anew when they are closed."""

    def __init__(self, server, count):
        self.server, self.count, self.open, self.closed, self.ending = server, count, [], 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.is_set():
            while len(self.open) < self.count and not self.ending.is_set():
                try:
                    client = socket.create_connection(("127.0.0.1", self.server.port), 5, source_address=(ATTACKER, 0))
                    client.setblocking(False)
                    self.open.append(client)
                except OSError:
                    break
            held = []
            for client in self.open:
                try:
                    alive = client.recv(1) != b""
                except BlockingIOError:
                    alive = True
                except OSError:
                    alive = False
                if alive:
                    held.append(client)
                else:
                    self.closed += 1
                    client.close()
            self.open = held
            self.ending.wait(0.5)

    def end(self):
        self.ending.set()
        self.thread.join()
        held = len(self.open)
        for client in self.open:
            client.close()
        return {"held": held, "closed": self.closed}


def watch_health(server, checks, ending, times):
    while not ending.is_set():
        begin = time.monotonic()
        try:
            status = server.request("GET", "/healthz", timeout=60, source=OTHER)[0]
        except OSError as error:
            status = error
        times.append(time.monotonic() - begin)
        checks.expect(status == 200, "health is answered", status)
        ending.wait(0.02)


def work(server, checks, token, scan, deadline):
    """Seconds from sending a scan to its mask, of one job after another until it is time; at least one."""
    fields, times = {"Authorization": f"Bearer {token}", "Cache-Control": "no-cache",
                     "Content-Type": "application/octet-stream"}, []
    while not times or time.monotonic() < deadline:
        begin = time.monotonic()
        try:
            status, _, body = server.request("POST", "/v1/jobs", scan, fields, timeout=600, source=OTHER)
        except OSError as error:
            if not checks.expect(False, "the other client is let in", error):
                break
        job = json.loads(body)
        if not checks.expect(status == 202, "another client's job is accepted", job):
            break
        while job["state"] in ("queued", "running"):
            job = json.loads(server.request("GET", f"/v1/jobs/{job['id']}?wait=20", None, fields, 60, OTHER)[2])
        checks.expect(job["state"] == "succeeded", "and done", job)
        times.append(time.monotonic() - begin)
    return times


def main():
    checks, begin = Checks("lockout"), time.monotonic()
    tokens = {}
    for name in ("attacker", "other"):
        made = subprocess.run([HEPAR, "token", "add", "--file", f"{checks.folder}/tokens.yaml", name, "--role", "submit",
                               "read_own"], check=True, capture_output=True, text=True)
        tokens[name] = made.stdout.strip()
    server = Server(checks.folder, auth_tokens_file=f"{checks.folder}/tokens.yaml", **LIMITS)
    server.start()
    scan = phantom(checks.folder, 1, "48,40,12" if SHORT else "112,96,24")
    mine = {"Authorization": f"Bearer {tokens['attacker']}"}
    victim = json.loads(server.request("POST", "/v1/jobs", scan, mine)[2])["id"]
    while json.loads(server.request("GET", f"/v1/jobs/{victim}?wait=20", None, mine)[2])["state"] != "succeeded":
        pass
    job, plain = f"/v1/jobs/{victim}", {"Content-Type": "application/octet-stream"}
    masks = form(prediction=zeros(nifti((512, 512, 400), 2, 8), 512 * 512 * 400),
                 reference=zeros(nifti((512, 512, 400), 2, 8), 512 * 512 * 400))

    def flood(count, *request):
        return lambda: Flood(server, count, tokens["attacker"], *request)

    attacks = {
        "none": lambda: Flood(server, 0, "", "GET", "/"),
        "bombs_8": flood(8, "POST", "/v1/scans", bomb(), plain),
        "bombs_24": flood(24, "POST", "/v1/scans", bomb(), plain),
        "permitted_bombs_24": flood(24, "POST", "/v1/scans", permitted_bomb(), plain),
        "dicom_2": flood(2, "POST", "/v1/scans", dicom_zip(100 if SHORT else 1500), plain),
        "connections": lambda: Connections(server, CONNECTIONS),
        "scoring_24": flood(24, "POST", "/v1/evaluations", *masks),
        "drawing_24": flood(24, "GET", f"{job}/report?format=html"),
        "lists_64": flood(64, "GET", "/v1/jobs?limit=500"),
    }
    short = ["bombs_24", "dicom_2", "connections", "scoring_24", "drawing_24"]
    chosen = [name for name in attacks if name in sys.argv] or (short if SHORT else list(attacks))
    figures = {}
    for name in chosen:
        ending, health = threading.Event(), []
        attack = attacks[name]()
        time.sleep(0.5)
        watcher = threading.Thread(target=watch_health, args=(server, checks, ending, health), daemon=True)
        watcher.start()
        jobs = work(server, checks, tokens["other"], scan, time.monotonic() + SECONDS)
        ending.set()
        watcher.join()
        answers = attack.end()
        figures[name] = {"health_ms": milliseconds(health), "health_below_100_ms": percentile(health, 0.99) < 0.1,
                         "asked": len(health), "jobs": len(jobs), "job_seconds": round(max(jobs, default=-1), 2),
                         "attacker": answers}
        print(name, figures[name], flush=True)
        # What the attacker still has in flight ends here: each attack begins with an idle server.
        server.kill()
        checks.expect(server.start() is not None, "the server starts again")
    server.kill()
    checks.close(seconds=round(time.monotonic() - begin), **figures)


if __name__ == "__main__":
    main()
