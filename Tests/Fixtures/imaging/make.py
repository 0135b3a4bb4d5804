#!/usr/bin/env python3
"""Makes the golden files of ImagingTests with nibabel and SciPy. Run it in this folder: `python3 make.py`.

Each NAME.expected.nii holds what NAME must become: float32 on canonical axes (x to Left, y to Posterior, z to
Superior), as the other libraries compute it.
"""
import struct

import nibabel as nib
import numpy as np
from scipy import ndimage

random = np.random.default_rng(20170423)


def rotation(x, y, z):
    """Rotation about x, then y, then z, in degrees."""
    a, b, c = np.radians([x, y, z])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def affine(matrix, spacing, origin):
    result = np.eye(4)
    result[:3, :3] = matrix * np.array(spacing)
    result[:3, 3] = origin
    return result


def save_canonical(array, spacing, name):
    """Saves an array that already lies on canonical axes."""
    image = nib.Nifti1Image(np.asarray(array, np.float32), np.diag([-spacing[0], -spacing[1], spacing[2], 1]))
    image.header.set_xyzt_units("mm")
    nib.save(image, name)


def save_expected(path):
    """What nibabel makes of a file: the closest RAS axes, turned to LPS."""
    ras = nib.as_closest_canonical(nib.load(path))
    lps = np.asarray(ras.dataobj, np.float64)[::-1, ::-1, :]
    save_canonical(lps, ras.header.get_zooms()[:3], path.split(".")[0] + ".expected.nii")


# An oblique scan whose axes are also permuted, with slope and intercept, sform and qform.
voxels = random.integers(-2000, 2000, (7, 6, 5)).astype(np.int16)
permuted = rotation(12, -17, 23)[:, [2, 0, 1]] * [1, -1, 1]
image = nib.Nifti1Image(voxels, affine(permuted, (2.5, 0.7, 0.8), (-31.5, 12.25, 100)))
image.set_qform(image.affine, code=1)
image.set_sform(image.affine, code=1)
image.header.set_xyzt_units("mm")
data = bytearray(image.to_bytes())
data[112:120] = struct.pack("<ff", 0.5, -1000)
with open("oblique.nii", "wb") as file:
    file.write(data)
save_expected("oblique.nii")

# NIfTI-2, big endian, float64, qform only, left-handed.
header = nib.Nifti2Header(endianness=">")
header.set_data_dtype(">f8")
image = nib.Nifti2Image(random.normal(0, 500, (5, 4, 6)), None, header)
image.set_qform(affine(rotation(-8, 5, 60) * [1, 1, -1], (0.9, 0.9, 3), (10, -20, 30)), code=2)
image.set_sform(None, code=0)
image.header.set_xyzt_units("mm")
nib.save(image, "nifti2.nii.gz")
save_expected("nifti2.nii.gz")

# Linear resampling, voxel centres aligned, clamped at the border, in double precision.
spacing, wanted = np.array([0.8, 0.7, 2.0]), np.array([1.0, 1.0, 2.5])
volume = random.normal(0, 300, (11, 9, 7)).astype(np.float32)
save_canonical(volume, spacing, "resample.nii")
spacing = np.array(nib.load("resample.nii").header.get_zooms(), np.float64)
shape = np.maximum(1, np.floor(np.array(volume.shape) * spacing / wanted + 0.5)).astype(int)
places = np.meshgrid(*[(np.arange(n) + 0.5) * w / s - 0.5 for n, w, s in zip(shape, wanted, spacing)], indexing="ij")
resampled = ndimage.map_coordinates(volume.astype(np.float64), places, order=1, mode="nearest")
save_canonical(resampled, wanted, "resample.expected.nii")

# Distances in mm to the nearest member, anisotropic.
mask = (random.random((13, 12, 9)) < 0.01).astype(np.uint8)
spacing = (0.7, 0.8, 2.5)
image = nib.Nifti1Image(mask, np.diag([-spacing[0], -spacing[1], spacing[2], 1]))
image.header.set_xyzt_units("mm")
nib.save(image, "distances.nii.gz")
save_canonical(ndimage.distance_transform_edt(mask == 0, sampling=spacing), spacing, "distances.expected.nii")
