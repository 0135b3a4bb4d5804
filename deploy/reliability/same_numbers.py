"""The same scan with one thread and two, by every kind of vector instructions, and once more: the same mask?

Each scan is segmented by `hepar segment` in each way; the masks are held against the first by their SHA-256, and where those
differ by voxels that differ and Dice, as `hepar evaluate` counts them. Threads and repetition must change no byte; instructions
may, and the figures say how much. Scans are a phantom, and real CTs where HEPAR_SHARED is: see docs/reliability.md.

    HEPAR=.build/release/hepar python3 deploy/reliability/same_numbers.py [SCAN.nii.gz ...]          # other scans than those
"""
import array
import json
import os
import pathlib
import random
import subprocess
import sys

from common import HEPAR, Checks, sha256

SHARED = pathlib.Path(os.environ.get("HEPAR_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared"))
INSTRUCTIONS = ["avx512", "avx2", "portable"]
# Two of whole slices at their full size, one of 3 mm.
REAL = ["data/train/lits005_ct.nii.gz", "data/train/lits036_ct.nii.gz", "data/small/example_ct.nii.gz"]


def hepar(*arguments):
    return subprocess.run([HEPAR, *map(str, arguments)], capture_output=True, text=True)


def segment(scan, mask, threads, instructions):
    """Writes the mask; false if this CPU has no such instructions."""
    run = hepar("segment", scan, "--output", mask, "--threads", threads, "--instructions", instructions)
    if run.returncode == 2 and "This CPU has no" in run.stderr:
        return False
    if run.returncode != 0:
        sys.exit(run.stderr)
    return True


def difference(mask, other):
    """Voxels that are liver, and lesion, in one mask only; and Dice of both."""
    scores = json.loads(hepar("evaluate", mask, other, "--json").stdout)
    result = {}
    for name in ["liver", "lesion"]:
        region = scores[name]
        both = region["prediction_voxels"] + region["reference_voxels"]
        result[name] = {"voxels": region["reference_voxels"], "differ": both - 2 * region["common_voxels"],
                        "dice": region["dice"]}
    return result


def tensor(path):
    """The one tensor of a safetensors file of 32-bit floats."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    values = array.array("f")
    values.frombytes(data[begin:])
    return values


def logits(folder):
    """How far the networks' outputs are apart for the same noise: that the instructions were others, and by how much."""
    rng = random.Random(1)
    shape, values = [1, 5, 256, 256], array.array("f", (rng.uniform(-1, 1) for _ in range(5 * 256 * 256)))
    head = json.dumps({"input": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * len(values)]}}).encode()
    (folder / "in.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + values.tobytes())
    outputs = {}
    for instructions in INSTRUCTIONS:
        output = folder / f"{instructions}.safetensors"
        run = hepar("model", "run", "Models/default/lesion.safetensors", folder / "in.safetensors", output,
                    "--instructions", instructions)
        if run.returncode == 0:
            outputs[instructions] = tensor(output)
    (first, base), *others = outputs.items()
    result = {"largest": max(map(abs, base))}
    for other, values in others:
        result[f"{first}, {other}"] = {"differ": sum(a != b for a, b in zip(base, values)), "of": len(base),
                                       "at_most": max(abs(a - b) for a, b in zip(base, values))}
    return result


def main():
    checks, figures = Checks("same_numbers"), {}
    folder = pathlib.Path(checks.folder)
    scans = [pathlib.Path(path) for path in sys.argv[1:]]
    if not scans:
        made = hepar("phantom", "--seed", 5, "--output", folder / "phantom.nii.gz", "--reference",
                     folder / "reference.nii.gz", "--shape", "320,320,100", "--spacing", "1,1,2.5", "--lesions", 5)
        if made.returncode != 0:
            sys.exit(made.stderr)
        scans = [folder / "phantom.nii.gz"] + [SHARED / path for path in REAL if (SHARED / path).exists()]
    figures["logits"] = logits(folder)
    print(json.dumps(figures), flush=True)
    for scan in scans:
        masks = {}
        for instructions in INSTRUCTIONS:
            mask, again = folder / f"{instructions}.nii.gz", folder / "again.nii.gz"
            if not segment(scan, mask, 2, instructions):
                continue
            masks[instructions] = mask
            for threads in [1, 2] if instructions != "portable" else []:
                segment(scan, again, threads, instructions)
                checks.expect(sha256(again.read_bytes()) == sha256(mask.read_bytes()),
                              "threads and repetition change no byte", (scan.name, instructions, threads))
        (first, mask), *others = masks.items()
        figures[scan.name] = {f"{first}, {other}": difference(file, mask) for other, file in others}
        print(json.dumps({scan.name: figures[scan.name]}), flush=True)
    checks.close(**figures)


if __name__ == "__main__":
    main()
