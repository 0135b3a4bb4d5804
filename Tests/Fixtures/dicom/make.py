#!/usr/bin/env python3
"""Makes one slice in every encoding with pydicom, Pillow and DCMTK's tools. Run it in this folder: `python3 make.py`.

Needs pydicom, Pillow (with OpenJPEG), imagecodecs (with OpenJPH) and Debian's package dcmtk. Every slice has 24 columns,
20 rows, 12 stored bits, and at column x and row y the stored value 1000 + 3 x + 50 y; the lossy ones are near it.
signed_jpeg_2000.dcm holds that value less 1500.
"""
import io
import subprocess

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless

y, x = np.mgrid[0:20, 0:24]
values = (1000 + 3 * x + 50 * y).astype(np.uint16)


def slice_of(pixels, signed=0):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3.4.1"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.Rows, data.Columns, data.SamplesPerPixel = 20, 24, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, signed
    data.PixelSpacing = [0.7, 0.8]
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = pixels.tobytes()
    return data


def jpeg2000(pixels, syntax, name, signed=0, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000", no_jp2=True, **options)
    data = slice_of(pixels, signed)
    data.PixelData = encapsulate([stream.getvalue()])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(name, enforce_file_format=True)


def htj2k(pixels, syntax, name, **options):
    data = slice_of(pixels)
    data.PixelData = encapsulate([imagecodecs.htj2k_encode(pixels, **options)])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(name, enforce_file_format=True)


slice_of(values).save_as("plain.dcm", enforce_file_format=True)
for tool, options, name in [
    ("dcmconv", ["+td"], "deflated"),
    ("dcmcrle", [], "rle"),
    ("dcmcjpeg", ["+e1"], "jpeg_lossless"),
    ("dcmcjpeg", ["+ee", "+q", "95"], "jpeg_extended"),
    ("dcmcjpls", [], "jpeg_ls"),
    ("dcmcjpls", ["+en", "+md", "2"], "jpeg_ls_near_lossless"),
]:
    subprocess.run([tool, *options, "plain.dcm", f"{name}.dcm"], check=True)
jpeg2000(values, JPEG2000Lossless, "jpeg_2000_lossless.dcm")
jpeg2000(values, JPEG2000, "jpeg_2000.dcm", irreversible=True, quality_mode="rates", quality_layers=[2])
# Twelve bits of two's complement that the codestream, as Pillow writes it, calls unsigned.
wrapped = ((values.astype(np.int32) - 1500) & 0x0FFF).astype(np.uint16)
jpeg2000(wrapped, JPEG2000Lossless, "signed_jpeg_2000.dcm", signed=1)
htj2k(values, "1.2.840.10008.1.2.4.201", "htj2k_lossless.dcm", reversible=True)
htj2k(values, "1.2.840.10008.1.2.4.203", "htj2k.dcm", reversible=False, level=1e-4)
