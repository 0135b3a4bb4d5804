"""Writes a NIfTI-1 CT of noise: noise.py FILE SLICES, half a MiB a slice, which no compression makes small."""

import os
import struct
import sys

path, slices = sys.argv[1], int(sys.argv[2])
header = bytearray(352)
struct.pack_into("<i", header, 0, 348)
struct.pack_into("<8h", header, 40, 3, 512, 512, slices, 1, 1, 1, 1)
struct.pack_into("<2h", header, 70, 4, 16)  # int16
struct.pack_into("<4f", header, 76, 1, 0.8, 0.8, 1.0)
struct.pack_into("<3f", header, 108, 352, 1, -1024)  # offset, slope, intercept
header[123] = 2  # millimetres
struct.pack_into("<h", header, 254, 1)
struct.pack_into("<12f", header, 280, -0.8, 0, 0, 200, 0, -0.8, 0, 200, 0, 0, 1, 0)
header[344:348] = b"n+1\0"
high = bytes(value & 7 for value in range(256))  # 0 to 2047 as stored
with open(path, "wb") as file:
    file.write(header)
    for _ in range(slices):
        voxels = bytearray(os.urandom(2 * 512 * 512))
        voxels[1::2] = voxels[1::2].translate(high)
        file.write(voxels)
