#!/usr/bin/env python3
"""Reads a DICOM segmentation with highdicom and holds it against the NIfTI mask of the same job, voxel by voxel.

Usage: orthanc.py SEG.dcm MASK.nii.gz CT.dcm...

The two ways to the patient's millimetres share nothing of Hepar: a pixel of a CT slice goes there by the slice's own
ImagePositionPatient, ImageOrientationPatient and PixelSpacing, and from there by the inverse of the NIfTI affine to a
voxel of the mask. The segmentation is asked for the same slice by the slice's SOPInstanceUID.
"""
import sys

import highdicom
import nibabel
import numpy
import pydicom

seg_file, mask_file, *ct_files = sys.argv[1:]
seg = highdicom.seg.segread(seg_file)
mask = nibabel.load(mask_file)
labels = numpy.asarray(mask.dataobj)
to_voxel = numpy.linalg.inv(mask.affine)
slices = [pydicom.dcmread(file, stop_before_pixels=True) for file in ct_files]

for tag in ["PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "AccessionNumber"]:
    assert seg.get(tag) == slices[0].get(tag), f"{tag} is not that of the CT"
assert seg.SOPClassUID == pydicom.uid.SegmentationStorage
assert seg.SegmentationType == "BINARY"
assert {s.segment_label for s in map(seg.get_segment_description, (1, 2))} == {"Liver with lesions", "Liver lesions"}
assert seg.get_segment_description(1).segmented_property_type.value == "10200004"
for number in (1, 2):
    description = seg.get_segment_description(number)
    assert description.SegmentAlgorithmType == "AUTOMATIC" and description.SegmentAlgorithmName.startswith("Hepar ")

farthest = 0.0
seen = [0, 0]
for ct in slices:
    row = numpy.array(ct.ImageOrientationPatient[:3], float)
    column = numpy.array(ct.ImageOrientationPatient[3:], float)
    between_rows, between_columns = map(float, ct.PixelSpacing)
    r, c = numpy.meshgrid(numpy.arange(ct.Rows), numpy.arange(ct.Columns), indexing="ij")
    place = (
        numpy.array(ct.ImagePositionPatient, float)
        + c[..., None] * between_columns * row
        + r[..., None] * between_rows * column
    )
    ras = place * [-1, -1, 1]
    voxel = ras @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    index = numpy.rint(voxel).astype(int)
    farthest = max(farthest, float(numpy.abs(voxel - index).max()))
    expected = labels[index[..., 0], index[..., 1], index[..., 2]]
    found = seg.get_pixels_by_source_instance(
        [ct.SOPInstanceUID], segment_numbers=[1, 2], assert_missing_frames_are_empty=True
    )[0]
    for segment, lowest in ((0, 1), (1, 2)):
        difference = int((found[..., segment].astype(bool) != (expected >= lowest)).sum())
        assert difference == 0, f"{difference} voxels of segment {segment + 1} differ in slice {ct.InstanceNumber}"
        seen[segment] += int(found[..., segment].sum())
assert seen == [int((labels >= 1).sum()), int((labels == 2).sum())], "the mask has voxels outside the slices"
assert farthest < 0.02, f"grids are {farthest} voxels apart"

# Each frame says where it lies: the place must be that of the slice it refers to.
places = {ct.SOPInstanceUID: [float(x) for x in ct.ImagePositionPatient] for ct in slices}
for frame in seg.PerFrameFunctionalGroupsSequence:
    source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    own = [float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient]
    assert numpy.allclose(own, places[source], atol=1e-4), "a frame lies elsewhere than its slice"
shared = seg.SharedFunctionalGroupsSequence[0]
orientation = [float(x) for x in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
assert numpy.allclose(orientation, [float(x) for x in slices[0].ImageOrientationPatient], atol=1e-6)
assert [float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing] == [float(x) for x in slices[0].PixelSpacing]
print(
    f"measured: {seg.NumberOfFrames} frames, {seen[0]} voxels of liver, {seen[1]} of lesions, all as in the mask;"
    f" grids at most {farthest:.4f} voxels apart"
)
