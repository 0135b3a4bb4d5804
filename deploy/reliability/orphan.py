"""A server that is killed while its child reads DICOM starts again, whatever the child still does, and nothing is left.

A zip of synthetic DICOM slices is sent; as soon as the child unpacks it the server is killed, and at once started again.

    HEPAR=.build/release/hepar python3 deploy/reliability/orphan.py 20        # kills
"""
import io
import os
import random
import socket
import statistics
import sys
import time
import zipfile

from common import Checks, Server, names
from dicom import dicom

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
SIDE, SLICES = 512, 400


def archive():
    """A zip of slices, hardly compressed."""
    noise, out = random.Random(1).randbytes(2 * SIDE * SIDE), io.BytesIO()
    pixels = bytes(byte & 7 if place % 2 else byte for place, byte in enumerate(noise))  # 0 to 2047, that is, HU
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for index in range(SLICES):
            target.writestr(f"{index}.dcm", dicom(index, pixels[index:] + pixels[:index], SIDE))
    return out.getvalue()


def children(pid):
    """The processes that still read DICOM for a server that is gone, or for this one."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"import-dicom" in words and any(pid.encode() in word for word in words):
            found.append(int(process))
    return found


def main():
    checks, rng = Checks("orphan"), random.Random(1)
    zipped = archive()
    server, starts, met, refused = Server(checks.folder), [], 0, []
    checks.expect(server.start() is not None, "the server starts")
    begin = time.monotonic()
    verdict = server.request("POST", "/v1/scans", zipped, {"Content-Type": "application/octet-stream"}, timeout=300)
    checks.expect(verdict[0] == 200, "the series is sound", verdict)
    undisturbed = time.monotonic() - begin
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(zipped)}\r\n\r\n".encode()
    for _ in range(KILLS):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head + zipped)
            end = time.monotonic() + 20
            while not children(server.data) and time.monotonic() < end:
                time.sleep(0.002)
            time.sleep(rng.random() * undisturbed * 0.6)
            server.kill()
        met += bool(children(server.data))
        started = server.start()
        if started is None:
            with open(server.log) as log:
                refused.append(log.read().strip().splitlines()[-1].replace(checks.folder, "..."))
        else:
            starts.append(started)
        checks.expect(started is not None, "it starts while the child of its predecessor still works", refused[-1:])
        end = time.monotonic() + 60
        while children(server.data) and time.monotonic() < end:
            time.sleep(0.05)
        checks.expect(not children(server.data), "the child ends by itself", children(server.data))
        if started is None:
            checks.expect(server.start() is not None, "it starts once the child has ended")
        left = names(server.data, "incoming")
        checks.expect(not left, "nothing is left in incoming/", left)
        rows, folders = server.rows("SELECT id FROM job"), names(server.data, "jobs")
        checks.expect({row[0] for row in rows} == set(folders), "no folder without a job", (rows, folders))
    server.kill(15)
    checks.close(kills=KILLS, children_that_lived_on=met, import_seconds=round(undisturbed, 1), zip_mib=len(zipped) >> 20,
                 refused_to_start=len(refused), said=sorted(set(refused))[:3],
                 start_median_ms=round(statistics.median(starts) * 1e3) if starts else None)


if __name__ == "__main__":
    main()
