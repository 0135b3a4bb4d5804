#pragma once
#include <cstddef>
#include <cstdint>

#include "cdicom.h"

// Decodes one RLE frame of `pixels` values of one or two bytes. DCMTK 3.6.7's own decoder reads where a segment's
// offset points, even outside the frame.
cdicom_status decode_rle(const uint8_t *bytes, size_t count, unsigned bytes_per_pixel, size_t pixels, int32_t *out);
