// jpeg2000.cpp: one JPEG 2000 frame through OpenJPEG, which reads from memory only.
#include "jpeg2000.h"

#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace {

struct Memory {
    const uint8_t *bytes;
    size_t count, position;
};

OPJ_SIZE_T read_bytes(void *out, OPJ_SIZE_T wanted, void *context) {
    auto *memory = static_cast<Memory *>(context);
    const size_t count = std::min<size_t>(wanted, memory->count - memory->position);
    if (count == 0) return static_cast<OPJ_SIZE_T>(-1);
    std::memcpy(out, memory->bytes + memory->position, count);
    memory->position += count;
    return count;
}

OPJ_OFF_T skip_bytes(OPJ_OFF_T wanted, void *context) {
    auto *memory = static_cast<Memory *>(context);
    if (wanted < 0) return -1;
    const size_t count = std::min<size_t>(static_cast<size_t>(wanted), memory->count - memory->position);
    memory->position += count;
    return count == 0 && wanted > 0 ? -1 : static_cast<OPJ_OFF_T>(count);
}

OPJ_BOOL seek_to(OPJ_OFF_T position, void *context) {
    auto *memory = static_cast<Memory *>(context);
    if (position < 0 || static_cast<uint64_t>(position) > memory->count) return OPJ_FALSE;
    memory->position = static_cast<size_t>(position);
    return OPJ_TRUE;
}

// opj_codec_t and opj_stream_t are the same type, a pointer to void: each needs a deleter of its own.
struct FreeCodec {
    void operator()(opj_codec_t *codec) const { opj_destroy_codec(codec); }
};
struct FreeStream {
    void operator()(opj_stream_t *stream) const { opj_stream_destroy(stream); }
};
struct FreeImage {
    void operator()(opj_image_t *image) const { opj_image_destroy(image); }
};

} // namespace

cdicom_status decode_jpeg2000(const uint8_t *bytes, size_t count, uint32_t rows, uint32_t columns, int32_t *out) {
    static const uint8_t jp2[] = {0, 0, 0, 12, 'j', 'P'};
    const bool boxed = count >= sizeof jp2 && std::memcmp(bytes, jp2, sizeof jp2) == 0;
    Memory memory{bytes, count, 0};
    std::unique_ptr<opj_codec_t, FreeCodec> codec(opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K));
    std::unique_ptr<opj_stream_t, FreeStream> stream(opj_stream_create(64 << 10, OPJ_TRUE));
    if (!codec || !stream) return CDICOM_OUT_OF_MEMORY;
    opj_stream_set_read_function(stream.get(), read_bytes);
    opj_stream_set_skip_function(stream.get(), skip_bytes);
    opj_stream_set_seek_function(stream.get(), seek_to);
    opj_stream_set_user_data(stream.get(), &memory, nullptr);
    opj_stream_set_user_data_length(stream.get(), count);

    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec.get(), &parameters)) return CDICOM_NOT_DECODED;
    opj_image_t *raw = nullptr;
    const bool begun = opj_read_header(stream.get(), codec.get(), &raw);
    std::unique_ptr<opj_image_t, FreeImage> image(raw);
    if (!begun || !image) return CDICOM_NOT_DECODED;
    // Before anything is decoded: a codestream may declare gigapixels.
    if (image->numcomps != 1 || image->comps[0].dx != 1 || image->comps[0].dy != 1) return CDICOM_UNKNOWN_PIXELS;
    if (image->x1 <= image->x0 || image->x1 - image->x0 != columns) return CDICOM_NOT_DECODED;
    if (image->y1 <= image->y0 || image->y1 - image->y0 != rows) return CDICOM_NOT_DECODED;
    if (image->comps[0].prec > 16) return CDICOM_UNKNOWN_PIXELS;
    if (!opj_decode(codec.get(), stream.get(), image.get())) return CDICOM_NOT_DECODED;
    // A lost end shows here only: opj_decode accepts a codestream that breaks off.
    if (!opj_end_decompress(codec.get(), stream.get())) return CDICOM_TRUNCATED;
    const opj_image_comp_t &component = image->comps[0];
    if (component.data == nullptr || component.w != columns || component.h != rows) return CDICOM_NOT_DECODED;
    std::copy(component.data, component.data + static_cast<size_t>(rows) * columns, out);
    return CDICOM_OK;
}
