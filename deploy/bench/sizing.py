"""Seconds and memory of one scan, by its slices and the model's width: the table "Size a machine" in docs/operations.md.

    HEPAR=.build/release/hepar python3 deploy/bench/sizing.py                    # about 20 minutes
    HEPAR=... python3 deploy/bench/sizing.py --widths 16 --slices 64 128

Synthetic CTs of 512 x 512 voxels, 320 mm high, whose liver and so whose share of stage 2 follows the slices; the reference mask
takes the place of stage 1's answer, so that models of any width, with random weights, have the same work. Each line is one run
of `hepar bench pipeline`, from file to file, and the most memory that its process held.
"""
import argparse
import json
import os
import subprocess
import tempfile

HEPAR = os.path.abspath(os.environ.get("HEPAR", ".build/release/hepar"))
HEIGHT_MM = 320


def measure(ct, reference, width, threads):
    """Seconds and MiB of one run."""
    command = [HEPAR, "bench", "pipeline", ct, "--width", str(width), "--liver-mask", reference, "--runs", "1"]
    lines = subprocess.run(command + (["--threads", str(threads)] if threads else []), check=True, capture_output=True,
                           text=True).stdout.splitlines()
    total = next(line for line in map(json.loads, lines) if line["name"].endswith(" total"))
    return total["min_ms"] / 1e3, total["peak_mib"], total["threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--slices", type=int, nargs="+", default=[64, 128, 256, 512, 1026])
    parser.add_argument("--threads", type=int)
    # 64 channels and 1026 slices would take a quarter of an hour and tell nothing new.
    parser.add_argument("--most", type=int, default=20_000, help="the largest slices x width that is run")
    arguments = parser.parse_args()
    print("| slices | " + " | ".join(f"width {width}: s, MiB" for width in arguments.widths) + " |")
    print("|---" * (len(arguments.widths) + 1) + "|", flush=True)
    with tempfile.TemporaryDirectory(prefix="hepar-sizing-") as folder:
        ct, reference = (os.path.join(folder, name + ".nii.gz") for name in ("ct", "reference"))
        for slices in arguments.slices:
            subprocess.run([HEPAR, "phantom", "--seed", "3", "--shape", f"512,512,{slices}", "--spacing",
                            f"0.75,0.75,{HEIGHT_MM / slices:.3f}", "--output", ct, "--reference", reference],
                           check=True, capture_output=True)
            cells = []
            for width in arguments.widths:
                if slices * width > arguments.most:
                    cells.append("")
                    continue
                seconds, mebibytes, _ = measure(ct, reference, width, arguments.threads)
                cells.append(f"{seconds:.1f}, {mebibytes:.0f}")
            print(f"| {slices} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
