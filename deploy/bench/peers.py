"""Times Hepar against its peers, interleaved in one run, and prints one table of ratios. `make bench-peers` runs it.

    python deploy/bench/peers.py [--only network|cascade|scores] [--rounds N] [--widths 16,32,64] [--sizes 256,480,512]

Every round runs each engine in turn, on two threads, with a short pause before it so that the spinning threads of the
one before have gone to sleep. Times are medians over all rounds; a ratio above 1 says that Hepar is faster. The table
also goes to `.build/peers.json`: a list of {"case", "peer", "ours_ms", "peer_ms", "ratio"}.
"""
import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile

import cascade
import network
import scores
from common import HEPAR, THREADS, Table

PARTS = {"network": network, "cascade": cascade, "scores": scores}
LIBRARIES = ["torch", "onnxruntime", "openvino", "numpy", "scipy", "nibabel", "medpy", "surface-distance"]


def numbers(text):
    return [int(part) for part in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be given several times")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case; slow ones take fewer")
    parser.add_argument("--widths", type=numbers, default=[16, 32, 64])
    parser.add_argument("--sizes", type=numbers, default=[256, 480, 512])
    parser.add_argument("--output", default=".build/peers.json")
    return parser.parse_args()


def describe():
    """The machine and the versions, for whoever reads the table later."""
    with open("/proc/cpuinfo") as lines:
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    print(f"CPU: {facts.get('model name', platform.machine())}, family {facts.get('cpu family')}, "
          f"model {facts.get('model')}, {os.cpu_count()} cores; {THREADS} threads each")
    print(f"Python {platform.python_version()}: {versions}")
    print(f"load average at the start: {os.getloadavg()[0]:.2f}", flush=True)


def main():
    options = arguments()
    if not os.access(HEPAR, os.X_OK):
        sys.exit(f"{HEPAR} is not there. Build it first: make build")
    describe()
    table = Table(options.output)
    with tempfile.TemporaryDirectory(prefix="hepar-peers-") as folder:
        for name in options.only or PARTS:
            PARTS[name].run(table, options, folder)
    print(f"load average at the end: {os.getloadavg()[0]:.2f}\n")
    print(table.text())


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))}: {(error.stderr or b'').decode()[-500:]}")
