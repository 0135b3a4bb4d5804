"""Scores of two masks of usual size: every metric of Hepar against Dice, mean surface distance and Hausdorff alone."""
import json
import os

import nibabel
import numpy as np
import surface_distance
from cascade import scan
from common import bench_times, hepar, interleave, timed
from medpy.metric import binary

TOLERANCE = 1e-9
DIAGONALS = 2  # MedPy's connectivity of LiTS's surface: 18 neighbours


def moved(labels):
    """The labels, two voxels further along x, one back along y and one further along z."""
    result = np.zeros_like(labels)
    result[2:, :-1, 1:] = labels[:-2, 1:, :-1]
    return result


def run(table, options, folder):
    _, reference = scan(folder)
    image = nibabel.load(reference)
    truth = np.asarray(image.dataobj).astype(np.uint8)
    guess = moved(truth)
    prediction = os.path.join(folder, "prediction.nii.gz")
    nibabel.save(nibabel.Nifti1Image(guess, image.affine, image.header), prediction)
    # From the file's affine: pixdim is in single precision as well, and both must use the same numbers.
    spacing = np.sqrt((image.affine[:3, :3] ** 2).sum(0))
    found = {}

    def ours():
        return bench_times("metrics", prediction, reference, "--runs", 3)

    def medpy():
        def score():
            for region, least in (("liver", 1), ("lesion", 2)):
                p, r = guess >= least, truth >= least
                found[region] = {
                    "dice": binary.dc(p, r),
                    "assd_mm": binary.assd(p, r, spacing, DIAGONALS),
                    "mssd_mm": binary.hd(p, r, spacing, DIAGONALS),
                }
        return timed(score)

    def deepmind():
        def score():
            for least in (1, 2):
                p, r = guess >= least, truth >= least
                surface_distance.compute_dice_coefficient(r, p)
                distances = surface_distance.compute_surface_distances(r, p, spacing)
                surface_distance.compute_average_surface_distance(distances)
                surface_distance.compute_robust_hausdorff(distances, 100)
        return timed(score)

    # MedPy needs a minute or more: one round.
    times = interleave({"hepar": ours, "medpy": medpy, "surface-distance": deepmind}, 1)
    mine = json.loads(hepar("evaluate", prediction, reference, "--json"))
    worst = max(abs(mine[region][key] - found[region][key]) for region in found for key in ("dice", "mssd_mm"))
    if not worst <= TOLERANCE:
        raise SystemExit(f"Hepar's scores and MedPy's differ by {worst}: {mine} and {found}")
    # MedPy averages the two directions' means, LiTS all distances together.
    means = max(abs(mine[region]["assd_mm"] - found[region]["assd_mm"]) for region in found)
    table.add("scores 512x512x129", times,
              f"Dice and Hausdorff distance within {worst:.0e} of MedPy, ASSD (defined otherwise) within {means:.1e} mm")
