// ck_convolution.h: the operations of a 3x3 convolution over channel blocks, by Winograd's method or directly.
//
// A plane of pixels holds `lanes` channels (one vector) at every pixel; a tensor of C channels is C / lanes such
// planes, rounded up, one after the other. Strides are in floats. Every vector lies at a multiple of its own size.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// A stretch of memory to fetch ahead: `lines` cache lines of 64 bytes.
typedef struct ck_stretch {
    const void *start;
    long lines;
} ck_stretch;

// Memory that will be needed soon. The matrix products fetch `each` lines of it between two components.
typedef struct ck_prefetch {
    const ck_stretch *stretches;
    long count;  // stretches
    long each;
    long stretch, line;  // where to go on; 0 at first
} ck_prefetch;

// The input transform, V = B' d B, of `count` adjacent tiles of one row of tiles and one channel block.
typedef struct ck_input {
    const float *source;  // the first pixel of the first tile's patch: one above and left of its outputs
    size_t row_stride;
    float *tiles;             // V of the first tile, component 0
    size_t component_stride;  // from one component of V to the next; tiles follow each other
    long count;
} ck_input;

// The matrix products, M = V U: for each of the side x side components, tiles x channels times channels x outputs.
typedef struct ck_products {
    const float *tiles;  // V [component][channel block][tile][lanes]
    size_t tile_component_stride, tile_block_stride;
    const float *weights;  // U [component][channel][vectors][lanes], packed
    float *products;       // M [component][vector][tile][lanes]
    size_t product_component_stride, product_vector_stride;
    long side;          // of a patch: outputs a side + 2
    long tile_count;
    long vectors;       // output vectors, 1 ... panel_vectors
    long blocks;        // channel blocks
    long plain_blocks;  // the blocks from here on come from a replicated source: see ck_kernels.input_replicated
    ck_prefetch *ahead[2];
} ck_products;

// The output transform, Y = A' M A, then bias, PReLU, shortcut and pooling, of `count` adjacent tiles of one row of
// tiles and one vector of output channels.
typedef struct ck_output {
    const float *products;  // M of the first tile, component 0
    size_t component_stride;
    long count;
    const float *bias, *slopes;  // one vector each
    float *output;               // the first tile's first pixel
    size_t row_stride;
    const float *shortcut;  // added after PReLU, same place and stride as `output` (may be it); or NULL
    size_t shortcut_row_stride;
    float *pooled;  // 2x2 maxima of the result; or NULL
    size_t pooled_row_stride;
    long rows, columns;  // pixels of the plane from `output` on: what lies beyond is not written
} ck_output;

// One row of a direct convolution from few input planes: bias and PReLU included.
typedef struct ck_first {
    const float *source;  // (row above, column left) of the output row's first pixel, in planes of single pixels
    size_t row_stride, plane_stride;
    long planes;
    const float *weights;        // [plane][3][3][vectors][lanes]
    const float *bias, *slopes;  // [vectors][lanes]
    long vectors;                // 1 ... panel_vectors
    float *output;
    size_t vector_stride;
    long columns;  // a multiple of 16
} ck_first;

// One row of a direct convolution to few output planes: bias included.
typedef struct ck_head {
    const float *source;  // (row above, column left) of the output row's first pixel
    size_t row_stride, block_stride;
    long blocks;           // channel blocks
    const float *weights;  // [block][3][3][outputs][lanes]
    const float *bias;     // [outputs]
    long outputs;          // 1 ... 3
    float *output;
    size_t plane_stride;
    long columns;  // a multiple of 16
} ck_head;

// The operations for one instruction set.
typedef struct ck_kernels {
    long lanes;          // floats in a vector
    long panel_vectors;  // the most vectors of a weight panel
    long group_tiles;    // tiles that a register tile holds: blocks of tiles should be multiples
    // For F(4x4, 3x3) and F(6x6, 3x3).
    void (*input_4)(const ck_input *);
    void (*input_6)(const ck_input *);
    // The same from a source of half the resolution, replicated 2x2 on the way: `source` and `row_stride` are those of
    // the small plane. Component 2 of each axis (the point -1) is exactly zero there, is not written, and is not used.
    void (*input_replicated_4)(const ck_input *);
    void (*input_replicated_6)(const ck_input *);
    void (*output_4)(const ck_output *);
    void (*output_6)(const ck_output *);
    void (*products)(const ck_products *);
    void (*first)(const ck_first *);
    void (*head)(const ck_head *);
} ck_kernels;

// Kernels of an instruction set, or NULL where the build or this CPU lacks it.
const ck_kernels *ck_kernels_avx512(void);
const ck_kernels *ck_kernels_avx2(void);
// Kernels in vectors of four that run on every CPU.
const ck_kernels *ck_kernels_portable(void);

// Plain twins of the kernels above, for any number of lanes; sums and transforms in double precision.
// `outputs` is 4 or 6: pixels a side that a tile gives.
void ck_input_scalar(const ck_input *input, long outputs, long lanes, bool replicated);
void ck_output_scalar(const ck_output *output, long outputs, long lanes);
void ck_products_scalar(const ck_products *products, long lanes);
void ck_first_scalar(const ck_first *first, long lanes);
void ck_head_scalar(const ck_head *head, long lanes);

// The weight transform, U = G w G', of one 3x3 filter: (outputs + 2)^2 components.
void ck_winograd_weights(const float *filter, long outputs, float *components);

// Row `row` of the transform matrices of F(outputs, 3), outputs 4 or 6:
// A' has `outputs` rows of outputs + 2 values, B' outputs + 2 rows of as many, G outputs + 2 rows of 3.
const double *ck_winograd_output_row(long outputs, long row);
const double *ck_winograd_input_row(long outputs, long row);
const double *ck_winograd_weights_row(long outputs, long row);
