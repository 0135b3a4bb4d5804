"""Times Hepar's training step against PyTorch's, interleaved in one run, and prints a table. `make bench-training`.

    python deploy/bench/training.py [--cases 16x224x8,64x320x2] [--rounds N] [--output FILE]

A case is width x crop x batch. Both learn by stochastic gradient descent from one random batch with the method's
cross-entropy, on two threads; a step is forward, backward and update. Every round starts each engine anew, after a
short pause. The first round tries PyTorch with both memory layouts; the faster one stays. Rates are those of the median
step over all rounds; a ratio above 1 says that Hepar is faster. Memory is the most that each whole process has held;
for PyTorch the table also says how much of it its imports took.

`.build/training.json`: {"ours_samples_per_s", "pytorch_samples_per_s", "ratio", "cases": [...]}. The three numbers are
those of the first case; each case has them too, with times and peak memory.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from common import HEPAR, PAUSE, THREADS, bench

LAYOUTS = ["channels_last", "contiguous"]
CASES = [(16, 224, 8), (16, 320, 4), (32, 256, 4), (64, 320, 2)]
PYTORCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch_training.py")


def cases(text):
    result = [tuple(int(number) for number in part.split("x")) for part in text.split(",")]
    if any(len(case) != 3 for case in result):
        raise argparse.ArgumentTypeError("a case is width x crop x batch, such as 16x224x8")
    return result


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=cases, default=CASES, help="width x crop x batch, separated by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default=".build/training.json")
    return parser.parse_args()


def ours(case, runs):
    width, crop, batch = case
    line, = bench("training", "--width", width, "--crop", crop, "--batch", batch, "--runs", runs)
    return line


def pytorch(case, layout, runs):
    command = [sys.executable, PYTORCH, *map(str, case), layout, str(runs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def time_case(case, rounds):
    """One case's numbers; see the head of this file."""
    width, crop, batch = case
    # Some seconds of work an engine and round; the widest networks make two steps.
    runs = max(2, min(7, round(7 / ((width / 16) ** 2 * (crop / 224) ** 2 * batch / 8))))
    mine, theirs = [], {layout: [] for layout in LAYOUTS}
    for _ in range(rounds):
        time.sleep(PAUSE)
        mine.append(ours(case, runs))
        for layout in theirs:
            time.sleep(PAUSE)
            theirs[layout].append(pytorch(case, layout, runs))
        if len(theirs) > 1:
            slower = max(theirs, key=lambda layout: theirs[layout][0]["median_ms"])
            other_ms = theirs.pop(slower)[0]["median_ms"]
    (layout, lines), = theirs.items()

    def median(lines):
        return statistics.median(line["median_ms"] for line in lines)

    def rate(lines):
        return round(batch / median(lines) * 1e3, 3)

    def least(lines):
        return round(min(line["min_ms"] for line in lines), 3)

    def peak(lines):
        return max(line["peak_rss_bytes"] for line in lines)

    return {
        "width": width, "crop": crop, "batch": batch, "rounds": rounds, "runs": runs, "threads": THREADS,
        "ours_samples_per_s": rate(mine), "pytorch_samples_per_s": rate(lines),
        "ratio": round(median(lines) / median(mine), 3),
        "ours_ms": round(median(mine), 3), "pytorch_ms": round(median(lines), 3),
        "ours_min_ms": least(mine), "pytorch_min_ms": least(lines),
        "pytorch_layout": layout, "pytorch_other_layout_ms": round(other_ms, 3),
        "ours_peak_bytes": peak(mine), "pytorch_peak_bytes": peak(lines),
        "pytorch_imports_bytes": max(line["imports_rss_bytes"] for line in lines), "torch": lines[0]["torch"],
    }


def write(path, found):
    """The cases so far; written anew with each, so that an interrupted run keeps what it has."""
    top = {key: found[0][key] for key in ("ours_samples_per_s", "pytorch_samples_per_s", "ratio")}
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        json.dump(top | {"cases": found}, file, indent=1)
        file.write("\n")


def table(found):
    """Markdown: rates of the median step, the ratio of the least steps in brackets, memory in MiB."""
    lines = ["| width, crop, batch | ours samples/s | PyTorch samples/s | ratio (least) | ours MiB | PyTorch MiB "
             "(imports) | layout |", "|---|---|---|---|---|---|---|"]
    for case in found:
        mine, theirs, imports = (case[key] / 2 ** 20
                                 for key in ("ours_peak_bytes", "pytorch_peak_bytes", "pytorch_imports_bytes"))
        lines.append(
            f"| {case['width']}, {case['crop']}, {case['batch']} | {case['ours_samples_per_s']:.2f} | "
            f"{case['pytorch_samples_per_s']:.2f} | {case['ratio']:.2f} "
            f"({case['pytorch_min_ms'] / case['ours_min_ms']:.2f}) | {mine:.0f} | {theirs:.0f} ({imports:.0f}) | "
            f"{case['pytorch_layout']} |")
    return "\n".join(lines)


def main():
    options = arguments()
    if not os.access(HEPAR, os.X_OK):
        sys.exit(f"{HEPAR} is not there. Build it first: make build")
    print(f"{os.cpu_count()} cores, {THREADS} threads each; load average {os.getloadavg()[0]:.2f}", flush=True)
    found = []
    for case in options.cases:
        found.append(time_case(case, options.rounds))
        write(options.output, found)
        facts = found[-1]
        print(f"w{case[0]} {case[1]}x{case[1]} batch {case[2]}: hepar {facts['ours_ms']:.0f} ms, torch {facts['torch']} "
              f"{facts['pytorch_ms']:.0f} ms", flush=True)
    print(f"load average at the end: {os.getloadavg()[0]:.2f}\n")
    print(table(found))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))}: {(error.stderr or b'').decode()[-500:]}")
