"""Zips of a few megabytes with many small DICOM slices that are hard to sort: how much CPU time an import takes.

    HEPAR=.build/release/hepar python3 deploy/reliability/slices.py 19000     # slices in each zip

For each kind the time of a quarter of the slices is printed too: it should be about a quarter.
"""
import json
import math
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile

from dicom import dicom

SIDE = 16
KINDS = {
    "at one position": lambda index: {"z": 0},
    "at 100 slices a position": lambda index: {"z": index // 100 * 2.5, "instance_number": 1},
    "a series each": lambda index: {"series": f"1.2.3.{index}", "number": str(index)},
    "a direction each": lambda index: {
        "row": "\\".join(f"{value:.6f}" for value in turned(index * 3e-3))},
    "one even stack": lambda index: {"z": index / 4},
}


def turned(angle):
    """Directions of a row and a column turned about the patient's long axis."""
    return math.cos(angle), math.sin(angle), 0, -math.sin(angle), math.cos(angle), 0


def archive(path, count, kind):
    """A zip of `count` slices, each with a value of its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for index in range(count):
            pixels = struct.pack("<H", index % 60_000) * (SIDE * SIDE)
            target.writestr(f"{index}.dcm", dicom(index, pixels, SIDE, **kind(index)))


def measured(path, folder):
    """CPU seconds of an import, and the code of its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = os.path.join(folder, "ct.nii.gz")
    done = subprocess.run(
        [os.environ["HEPAR"], "import-dicom", path, "--output", output, "--json"], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout).get("code", "taken")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 19_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "slices.zip")
        for name, kind in KINDS.items():
            times = []
            for number in (count // 4, count):
                archive(path, number, kind)
                seconds, code = measured(path, folder)
                times.append(f"{number} slices {seconds:.1f} s")
            print(f"{name}: {os.path.getsize(path) / 1e6:.1f} MB, {', '.join(times)} of CPU, {code}", flush=True)


if __name__ == "__main__":
    main()
