// winograd_products.h: the matrix products of Winograd's method, for the instruction set of the including file.
// See ck_products.
//
// A register tile of `tiles` tiles by `vectors` output vectors stays in registers over all channels: for each channel
// a few vectors of weights are loaded, and one float of each tile is broadcast to them. The sum of one tile and output
// runs over the channels in their order, whatever tiles are computed beside it: results do not depend on how tiles
// are grouped.
// Plain twin: winograd_products_scalar.c.
#include "vector.h"

#if CK_REGISTERS == 32
enum { most_tiles_1 = 12, most_tiles_2 = 12 };
#else
enum { most_tiles_1 = 12, most_tiles_2 = 6 };
#endif

typedef void (*register_tile)(
    const float *tiles, size_t block_stride, const float *weights, long blocks, float *products, size_t vector_stride,
    const char *next, long lines
);

// `next` and `lines`: memory to fetch ahead while the products are computed, and how much for each channel block.
CK_INLINE void multiply(
    const int count, const int vectors, const float *tiles, size_t block_stride, const float *weights, long blocks,
    float *products, size_t vector_stride, const char *next, long lines
) {
    vec sums[12][2];
    CK_UNROLL for (int t = 0; t < count; t++) { CK_UNROLL for (int n = 0; n < vectors; n++) sums[t][n] = 0; }
    for (long block = 0; block < blocks; block++, tiles += block_stride) {
        for (long line = 0; line < lines; line++, next += 64) __builtin_prefetch(next, 0, 2);
        _Pragma("clang loop unroll_count(4)") for (int channel = 0; channel < CK_LANES; channel++) {
            vec u[2];
            CK_UNROLL for (int n = 0; n < vectors; n++) u[n] = load(weights + n * CK_LANES);
            CK_UNROLL for (int t = 0; t < count; t++) {
                vec v = tiles[t * CK_LANES + channel];
                CK_UNROLL for (int n = 0; n < vectors; n++) sums[t][n] += v * u[n];
            }
            weights += vectors * CK_LANES;
        }
    }
    CK_UNROLL for (int n = 0; n < vectors; n++) {
        CK_UNROLL for (int t = 0; t < count; t++) store(products + n * vector_stride + t * CK_LANES, sums[t][n]);
    }
}

#define REGISTER_TILE(count, vectors)                                                                         \
    CK_TARGET static void multiply_##count##_##vectors(                                                       \
        const float *tiles, size_t block_stride, const float *weights, long blocks, float *products,          \
        size_t vector_stride, const char *next, long lines                                                    \
    ) {                                                                                                       \
        multiply(count, vectors, tiles, block_stride, weights, blocks, products, vector_stride, next, lines); \
    }
// clang-format off
#define REGISTER_TILES(vectors)                                                                                    \
    REGISTER_TILE(1, vectors) REGISTER_TILE(2, vectors) REGISTER_TILE(3, vectors) REGISTER_TILE(4, vectors)        \
    REGISTER_TILE(5, vectors) REGISTER_TILE(6, vectors)
#define MORE_REGISTER_TILES(vectors)                                                                               \
    REGISTER_TILE(7, vectors) REGISTER_TILE(8, vectors) REGISTER_TILE(9, vectors) REGISTER_TILE(10, vectors)       \
    REGISTER_TILE(11, vectors) REGISTER_TILE(12, vectors)
// clang-format on

REGISTER_TILES(1)
MORE_REGISTER_TILES(1)
REGISTER_TILES(2)
#if CK_REGISTERS == 32
MORE_REGISTER_TILES(2)
#endif

static const register_tile register_tiles_1[13] = {
    0,
    multiply_1_1,
    multiply_2_1,
    multiply_3_1,
    multiply_4_1,
    multiply_5_1,
    multiply_6_1,
    multiply_7_1,
    multiply_8_1,
    multiply_9_1,
    multiply_10_1,
    multiply_11_1,
    multiply_12_1
};
static const register_tile register_tiles_2[13] = {
    0,
    multiply_1_2,
    multiply_2_2,
    multiply_3_2,
    multiply_4_2,
    multiply_5_2,
    multiply_6_2,
#if CK_REGISTERS == 32
    multiply_7_2,
    multiply_8_2,
    multiply_9_2,
    multiply_10_2,
    multiply_11_2,
    multiply_12_2,
#endif
};

// Fetches the next lines of `ahead`.
CK_INLINE void fetch(ck_prefetch *ahead) {
    if (!ahead) return;
    long left = ahead->each;
    while (left > 0 && ahead->stretch < ahead->count) {
        const ck_stretch *stretch = ahead->stretches + ahead->stretch;
        const char *line = (const char *)stretch->start + ahead->line * 64;
        long now = stretch->lines - ahead->line < left ? stretch->lines - ahead->line : left;
        for (long i = 0; i < now; i++, line += 64) __builtin_prefetch(line, 0, 2);
        left -= now;
        ahead->line += now;
        if (ahead->line == stretch->lines) {
            ahead->line = 0;
            ahead->stretch++;
        }
    }
}

CK_TARGET void CK_NAME(ck_products)(const ck_products *job) {
    CK_ASSERT(job->vectors >= 1 && job->vectors <= 2 && job->tile_count >= 1 && job->plain_blocks <= job->blocks);
    CK_ASSERT(job->side == 6 || job->side == 8);
    CK_ASSERT_VECTORS(job->weights, 0);
    CK_ASSERT_VECTORS(job->products, job->product_component_stride);
    CK_ASSERT_VECTORS(job->products, job->product_vector_stride);
    const long most = job->vectors == 1 ? most_tiles_1 : most_tiles_2;
    const long groups = (job->tile_count + most - 1) / most, group = (job->tile_count + groups - 1) / groups;
    const register_tile *kernels = job->vectors == 1 ? register_tiles_1 : register_tiles_2;
    const size_t panel = (size_t)job->blocks * CK_LANES * job->vectors * CK_LANES;
    // The next component's weights, spread over the groups.
    const long lines = (CK_LANES * job->vectors * CK_LANES * (long)sizeof(float) / 64 + groups - 1) / groups;
    for (long component = 0; component < job->side * job->side; component++) {
        // Where both sources meet, component 2 of either axis has nothing from the replicated one.
        bool plain = component / job->side == 2 || component % job->side == 2;
        long blocks = plain ? job->plain_blocks : job->blocks;
        const float *tiles = job->tiles + component * job->tile_component_stride;
        const float *weights = job->weights + component * panel;
        float *products = job->products + component * job->product_component_stride;
        const char *next = (const char *)(weights + panel);
        fetch(job->ahead[0]);
        fetch(job->ahead[1]);
        for (long tile = 0; tile < job->tile_count; tile += group) {
            long count = job->tile_count - tile < group ? job->tile_count - tile : group;
            kernels[count](
                tiles + tile * CK_LANES, job->tile_block_stride, weights, blocks, products + tile * CK_LANES,
                job->product_vector_stride, next, lines
            );
            next += lines * 64 * blocks;
        }
    }
}
