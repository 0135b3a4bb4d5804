#pragma once
#include <zlib.h>

// deflateInit2 and inflateInit2 are macros that carry the library's version; Swift cannot call macros.
static inline int hepar_deflate_init_gzip(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

static inline int hepar_inflate_init_gzip(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
