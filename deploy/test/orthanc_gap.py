#!/usr/bin/env python3
"""Makes another study of a CT series, in which slices are missing. Usage: orthanc_gap.py FOLDER CT.dcm..."""
import pathlib
import sys

import pydicom

folder, *files = sys.argv[1:]
pathlib.Path(folder).mkdir()
slices = sorted((pydicom.dcmread(file) for file in files), key=lambda ct: float(ct.ImagePositionPatient[2]))
study, series = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
for number, ct in enumerate(slices[:30]):
    if 12 <= number < 15:
        continue
    ct.StudyInstanceUID, ct.SeriesInstanceUID = study, series
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    ct.save_as(f"{folder}/{number}.dcm")
