#pragma once
#include <cstddef>
#include <cstdint>

#include "cdicom.h"

// Decodes one JPEG 2000 codestream (or JP2 file) of one component to `rows` x `columns` values.
cdicom_status decode_jpeg2000(const uint8_t *bytes, size_t count, uint32_t rows, uint32_t columns, int32_t *out);
