#!/usr/bin/env python3
"""Scores a model folder as its card tells it: the whole cascade, by the program itself, against the data folder.

    HEPAR=.build/release/hepar deploy/model/evaluate.py DATA MODEL [--only validation partial phantoms repeat] [--keep DIR]

DATA    the folder with train/ and partial/
--keep  masks, reports and pictures stay there; without it nothing is left

Writes nothing else. Tables go to standard output, progress to standard error. Needs NumPy, SciPy and nibabel
(deploy/bench/requirements.txt).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage, spatial

# lits005's reference has 267 voxels of lesion in one spot, 047's none: their lesion Dice counts in no mean.
VALIDATION = ["lits005", "lits018", "lits023", "lits036", "lits040", "lits047", "lits048"]
WITHOUT_LESION_DICE = {"lits005", "lits047"}
PHANTOMS = range(101, 107)
CLASSES = [("below 10 mm", 0, 10), ("10 to 20 mm", 10, 20), ("above 20 mm", 20, np.inf)]

HEPAR = os.environ.get("HEPAR", ".build/release/hepar")


def say(text):
    print(text, file=sys.stderr, flush=True)


def spacings(folder):
    table = folder / "spacing.json"
    return json.loads(table.read_text())["spacing_mm"] if table.exists() else {}


def corrected(source, spacing, target):
    """Copies a NIfTI file with the true spacing in its header, so that millimetres are true."""
    image = nibabel.load(source)
    affine = image.affine.copy()
    if spacing:
        for axis in range(3):
            affine[:3, axis] *= spacing[axis] / np.linalg.norm(affine[:3, axis])
    copy = nibabel.Nifti1Image(np.asanyarray(image.dataobj), affine)
    nibabel.save(copy, target)
    return target


def segment(ct, model, work, name):
    mask, report = work / f"{name}.nii.gz", work / f"{name}.json"
    command = [HEPAR, "segment", ct, "--model", model, "--output", mask, "--report", report]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"hepar segment failed on {name}:\n{run.stderr}")
    image = nibabel.load(mask)
    return np.asarray(image.dataobj).astype(np.uint8), image.header.get_zooms()[:3], json.loads(report.read_text())


def dice(a, b):
    total = a.sum() + b.sum()
    return 1.0 if total == 0 else 2.0 * (a & b).sum() / total


def longest_axial_diameter(component, zooms):
    """Longest distance between voxels of one axial slice, in mm, with one pixel for the voxels' own extent."""
    longest = 0.0
    for z in range(component.shape[2]):
        points = np.argwhere(component[:, :, z]) * np.array(zooms[:2])
        if len(points) == 0:
            continue
        if len(points) > 50:
            try:
                points = points[spatial.ConvexHull(points).vertices]
            except spatial.QhullError:
                pass
        longest = max(longest, spatial.distance.pdist(points).max() if len(points) > 1 else 0.0)
    return longest + float(np.mean(zooms[:2]))


def lesions(label_map, zooms):
    """Every 6-connected lesion: its voxels' labels and its longest axial diameter."""
    labels, count = ndimage.label(label_map == 2)
    boxes = ndimage.find_objects(labels)
    return labels, [longest_axial_diameter(labels[box] == i + 1, zooms) for i, box in enumerate(boxes[:count])]


def validation(data, model, work):
    known = spacings(data / "train")
    found, total, true, predicted = [np.zeros(3, int) for _ in range(4)]
    livers, lesion_dices = [], []
    print("| case | liver Dice | lesion Dice | lesion RVD | false lesions, ml |\n|---|---|---|---|---|")
    for name in VALIDATION:
        say(name)
        ct, reference_file = [
            corrected(data / "train" / f"{name}_{kind}.nii.gz", known.get(name), work / f"{name}_{kind}.nii.gz")
            for kind in ("ct", "seg")
        ]
        mask, zooms, _ = segment(ct, model, work, name)
        reference = np.asarray(nibabel.load(reference_file).dataobj).astype(np.uint8)
        ml = float(np.prod(zooms)) / 1000
        liver, lesion = dice(mask >= 1, reference >= 1), dice(mask == 2, reference == 2)
        want, got = (reference == 2).sum(), (mask == 2).sum()
        wanted_labels, wanted_sizes = lesions(reference, zooms)
        got_labels, got_sizes = lesions(mask, zooms)
        false_ml = 0.0
        for index, size in enumerate(got_sizes):
            here = got_labels == index + 1
            is_true = (reference[here] == 2).any()
            kind = next(i for i, (_, low, high) in enumerate(CLASSES) if low <= size < high)
            predicted[kind] += 1
            true[kind] += is_true
            false_ml += 0 if is_true else here.sum() * ml
        for index, size in enumerate(wanted_sizes):
            kind = next(i for i, (_, low, high) in enumerate(CLASSES) if low <= size < high)
            total[kind] += 1
            found[kind] += (mask[wanted_labels == index + 1] == 2).any()
        livers.append(liver)
        if name not in WITHOUT_LESION_DICE:
            lesion_dices.append(lesion)
        rvd = f"{(got - want) / want:+.2f}" if want else "-"
        print(f"| {name} | {liver:.3f} | {lesion:.3f} | {rvd} | {false_ml:.2f} |", flush=True)
    print(f"| mean | {np.mean(livers):.4f} | {np.mean(lesion_dices):.4f} (of five) | | |")
    print("\n| lesions | in the references | found | predicted | true |\n|---|---|---|---|---|")
    for index, (title, _, _) in enumerate(CLASSES):
        print(f"| {title} | {total[index]} | {found[index]} | {predicted[index]} | {true[index]} |")
    large = slice(1, 3)
    print(f"\nRecall above 10 mm: {found[large].sum()} of {total[large].sum()}.")


def partial(data, model, work):
    """Labels 1 are certainly liver, 0 certainly not, 255 unknown: docs of the data folder."""
    print("| series | certain liver missed, % | certain background called liver, % | findings |\n|---|---|---|---|")
    for file in sorted((data / "partial").glob("*_ct.nii.gz")):
        name = file.name.removesuffix("_ct.nii.gz")
        say(name)
        mask, _, report = segment(file, model, work, name)
        labels = np.asarray(nibabel.load(file.with_name(f"{name}_seg.nii.gz")).dataobj).astype(np.uint8)
        liver, background = labels == 1, labels == 0
        missed = 100 * (mask[liver] == 0).mean()
        called = 100 * (mask[background] > 0).mean()
        findings = " ".join(f["code"] for f in report["findings"] if f["code"] != "values_windowed")
        print(f"| {name} | {missed:.2f} | {called:.3f} | {findings} |", flush=True)


def phantoms(model, work):
    print("| phantom | liver Dice | lesion Dice |\n|---|---|---|")
    scores = []
    for seed in PHANTOMS:
        ct, reference_file = work / f"phantom{seed}_ct.nii.gz", work / f"phantom{seed}_seg.nii.gz"
        command = [HEPAR, "phantom", "--seed", str(seed), "--output", str(ct), "--reference", str(reference_file)]
        subprocess.run(command, check=True, capture_output=True)
        mask, _, _ = segment(ct, model, work, f"phantom{seed}")
        reference = np.asarray(nibabel.load(reference_file).dataobj).astype(np.uint8)
        scores.append((dice(mask >= 1, reference >= 1), dice(mask == 2, reference == 2)))
        print(f"| {seed} | {scores[-1][0]:.3f} | {scores[-1][1]:.3f} |", flush=True)
    print(f"| mean | {np.mean([s[0] for s in scores]):.4f} | {np.mean([s[1] for s in scores]):.4f} |")


def repeat(data, model, work):
    """The same liver twice: one patient at two dates, and scans with every second slice left out."""
    ml = {}
    for name in ("lits006", "lits008"):
        _, _, report = segment(data / "train" / f"{name}_ct.nii.gz", model, work, name)
        ml[name] = report["liver_volume_ml"]
    print("| the same liver twice | liver, ml | again, ml | difference | Dice of the common slices |\n|---|---|---|---|---|")
    change = 100 * (ml["lits008"] / ml["lits006"] - 1)
    print(f"| lits006 and lits008, two dates | {ml['lits006']:.0f} | {ml['lits008']:.0f} | {change:+.1f} % | - |")
    for name in ("lits005", "lits036", "lits048"):
        image = nibabel.load(data / "train" / f"{name}_ct.nii.gz")
        affine = image.affine.copy()
        affine[:3, 2] *= 2
        thin = work / f"{name}_thin_ct.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj)[:, :, ::2], affine), thin)
        whole, _, first = segment(data / "train" / f"{name}_ct.nii.gz", model, work, f"{name}_whole")
        half, _, second = segment(thin, model, work, f"{name}_thin")
        a, b = first["liver_volume_ml"], second["liver_volume_ml"]
        common = dice(whole[:, :, ::2] >= 1, half >= 1)
        print(f"| {name}, every second slice | {a:.0f} | {b:.0f} | {100 * (b / a - 1):+.1f} % | {common:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parts = ["validation", "partial", "phantoms", "repeat"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for part in options.only:
            if part == "phantoms":
                phantoms(options.model, work)
            else:
                {"validation": validation, "partial": partial, "repeat": repeat}[part](options.data, options.model, work)
            print()


main()
