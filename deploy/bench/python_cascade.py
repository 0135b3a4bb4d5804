"""The cascade of docs/method.md as one would write it in Python: nibabel, SciPy and any engine for the network.

Plain but not careless: order-1 resampling by SciPy's separable path, windowing and stacking without copies of the
volume, one largest component by bincount, probabilities kept only of the lesion class.
"""
import os

import nibabel
import numpy as np
from engines import HanNet
from safetensors import safe_open
from scipy import ndimage

MARGIN = 32.0  # mm in x and y around the liver
THRESHOLD = 0.80  # a lesion needs a voxel of this probability


class Model:
    """A stage's network and facts, from its safetensors file."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}
            facts = file.metadata()
        width, slices = tensors["enc0.units.0.conv.weight"].shape[:2]
        self.net = HanNet(width, slices, tensors["head.weight"].shape[0])
        self.net.load_state_dict(tensors, strict=False)
        self.net.eval()
        self.low, self.high = map(float, facts["window_hu"].split(","))
        spacing = facts["spacing_mm"]
        self.spacing = None if spacing == "native" else np.array([float(part) for part in spacing.split(",")])

    @classmethod
    def folder(cls, folder):
        return [cls(os.path.join(folder, f"{stage}.safetensors")) for stage in ("liver", "lesion")]

    def windowed(self, volume):
        """A volume (z, y, x) in [-1, 1], padded with -1 to multiples of 16 at the right and bottom."""
        depth, height, width = volume.shape
        result = np.full((depth, -(-height // 16) * 16, -(-width // 16) * 16), -1, np.float32)
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        result[:, :height, :width] = (np.clip(volume, self.low, self.high) - centre) / half
        return result


def logits_of_slices(planes, centres, infer):
    """The logits of each centre slice, from it and its two neighbours on either side."""
    for z in centres:
        indices = np.clip(np.arange(z - 2, z + 3), 0, len(planes) - 1)
        yield infer(planes[indices][None])[0]


def largest_component(mask):
    labels, count = ndimage.label(mask)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def resample(volume, spacing, wanted):
    """Linear, voxel centres aligned; axes are (z, y, x), spacings too."""
    shape = np.maximum(1, np.floor(np.array(volume.shape) * spacing / wanted + 0.5)).astype(int)
    ratio = wanted / spacing
    return ndimage.affine_transform(volume, ratio, 0.5 * ratio - 0.5, tuple(shape), order=1, mode="nearest")


def liver_region(mask, coarse, shape, spacing):
    """The slices of the CT, (z, y, x), that stage 2 looks at: the mask's box on the CT's grid, grown in y and x."""
    region = []
    for axis in range(3):
        present = mask.any(tuple({0, 1, 2} - {axis}))
        nearest = ((np.arange(shape[axis]) + 0.5) * spacing[axis] / coarse[axis]).astype(int)
        inside = np.flatnonzero(present[np.minimum(nearest, len(present) - 1)])
        if len(inside) == 0:
            return None
        margin = 0 if axis == 0 else int(np.ceil(MARGIN / spacing[axis]))
        region.append(slice(max(0, inside[0] - margin), min(shape[axis], inside[-1] + 1 + margin)))
    return tuple(region)


def find_liver(volume, spacing, model, infer):
    wanted = model.spacing[::-1] if model.spacing is not None else spacing
    coarse = resample(volume, spacing, wanted)
    depth, height, width = coarse.shape
    planes = model.windowed(coarse)
    mask = np.zeros(coarse.shape, bool)
    for z, logits in enumerate(logits_of_slices(planes, range(depth), infer)):
        mask[z] = logits.argmax(0)[:height, :width]
    liver = largest_component(mask)
    return None if liver is None else liver_region(liver, wanted, volume.shape, spacing)


def find_lesions(volume, region, model, infer):
    """Labels of the region, all rules applied."""
    zs, ys, xs = region
    planes = model.windowed(volume[:, ys, xs])
    shape = (zs.stop - zs.start, ys.stop - ys.start, xs.stop - xs.start)
    labels, lesion = np.empty(shape, np.uint8), np.empty(shape, np.float32)
    for index, logits in enumerate(logits_of_slices(planes, range(zs.start, zs.stop), infer)):
        logits = logits[:, :shape[1], :shape[2]]
        labels[index] = logits.argmax(0)
        exponentials = np.exp(logits - logits.max(0))
        lesion[index] = exponentials[2] / exponentials.sum(0)
    liver = largest_component(labels > 0)
    if liver is None:
        return np.zeros(shape, np.uint8)
    labels[~liver] = 0
    lesions, count = ndimage.label(labels == 2)
    if count:
        highest = ndimage.maximum(lesion, lesions, np.arange(count + 1))
        weak = np.asarray(highest) < THRESHOLD
        weak[0] = False
        labels[weak[lesions]] = 1
    return labels


def segment(ct, output, models, engines):
    """Reads a CT and writes its label map. `engines`: a function from input to logits for each model."""
    image = nibabel.load(ct)
    to_lps = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("LPS"))
    stored = np.asarray(image.dataobj, dtype=np.float32)
    canonical = nibabel.orientations.apply_orientation(stored, to_lps)
    spacing = np.empty(3)
    spacing[to_lps[:, 0].astype(int)] = image.header.get_zooms()[:3]
    volume, spacing = np.ascontiguousarray(canonical.T), spacing[::-1]

    labels = np.zeros(volume.shape, np.uint8)
    region = find_liver(volume, spacing, models[0], engines[0])
    if region is not None:
        labels[region] = find_lesions(volume, region, models[1], engines[1])
    back = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("LPS"), nibabel.io_orientation(image.affine))
    result = nibabel.Nifti1Image(nibabel.orientations.apply_orientation(labels.T, back), image.affine, dtype=np.uint8)
    nibabel.save(result, output)
    return labels
