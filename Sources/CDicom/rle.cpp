// rle.cpp: DICOM's run-length encoding, PS3.5 annex G.
//
//   header    16 little-endian words: the number of segments, then where each begins
//   segment   one byte of every pixel, the most significant first; PackBits: a count n, then
//             n + 1 bytes as they are (n = 0 ... 127), or one byte 1 - n times (n = -127 ... -1); -128 is passed over
#include "rle.h"

#include <algorithm>

namespace {

constexpr size_t header_bytes = 64;

size_t word(const uint8_t *bytes) {
    return static_cast<size_t>(bytes[0]) | static_cast<size_t>(bytes[1]) << 8 | static_cast<size_t>(bytes[2]) << 16
        | static_cast<size_t>(bytes[3]) << 24;
}

// Adds one segment to the pixels, shifted to its place.
cdicom_status add_segment(const uint8_t *next, const uint8_t *end, unsigned shift, size_t pixels, int32_t *out) {
    size_t done = 0;
    while (done < pixels) {
        if (next == end) return CDICOM_TRUNCATED;
        const int count = static_cast<int8_t>(*next++);
        if (count == -128) continue;
        const size_t length = static_cast<size_t>(count >= 0 ? count + 1 : 1 - count);
        if (static_cast<size_t>(end - next) < (count >= 0 ? length : 1)) return CDICOM_TRUNCATED;
        // What reaches over the last pixel is cut off: encoders may pad.
        const size_t used = std::min(length, pixels - done);
        for (size_t i = 0; i < used; i++) out[done + i] |= next[count >= 0 ? i : 0] << shift;
        next += count >= 0 ? length : 1;
        done += used;
    }
    return CDICOM_OK;
}

} // namespace

cdicom_status decode_rle(const uint8_t *bytes, size_t count, unsigned bytes_per_pixel, size_t pixels, int32_t *out) {
    if (count < header_bytes) return CDICOM_TRUNCATED;
    if (word(bytes) != bytes_per_pixel) return CDICOM_NOT_DECODED;
    std::fill(out, out + pixels, 0);
    for (unsigned segment = 0; segment < bytes_per_pixel; segment++) {
        const bool is_last = segment + 1 == bytes_per_pixel;
        const size_t begin = word(bytes + 4 + 4 * segment);
        const size_t end = is_last ? count : word(bytes + 8 + 4 * segment);
        if (begin < header_bytes || begin > end) return CDICOM_NOT_DECODED;
        if (end > count) return CDICOM_TRUNCATED;
        const unsigned shift = 8 * (bytes_per_pixel - 1 - segment);
        const cdicom_status status = add_segment(bytes + begin, bytes + end, shift, pixels, out);
        if (status != CDICOM_OK) return status;
    }
    return CDICOM_OK;
}
