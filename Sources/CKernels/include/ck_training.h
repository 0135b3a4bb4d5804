// ck_training.h: what training needs beside the convolution itself, over channel blocks. See ck_convolution.h for the
// layout. Gradients are those of a loss by the tensor that they are named for.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// The weight transform of one vector of output channels and one input channel, U = G w G'.
typedef struct ck_filters {
    const float *filters;  // the first output channel's filter: the tap that comes first
    ptrdiff_t lane_stride;  // from one output channel's filter to the next's
    ptrdiff_t tap_stride;   // from one tap to the next: 1, or -1 for the filter turned by half a turn
    long count;             // output channels, at most one vector; the rest becomes 0
    float *components;      // U, component 0
    size_t component_stride;
} ck_filters;

// The transform of gradients by a convolution's outputs, D = A g A', of `count` adjacent tiles of one row of tiles:
// the transpose of the output transform. Pixels of a tile beyond the plane must be 0.
typedef struct ck_gradient_tiles {
    const float *source;  // the first tile's first pixel
    size_t row_stride;
    float *tiles;  // D of the first tile, component 0
    size_t component_stride;
    long count;
} ck_gradient_tiles;

// The products of transformed inputs and transformed gradients of one component, summed over tiles: one channel block
// times `vectors` vectors of output channels, added to `sums`.
typedef struct ck_tile_products {
    const float *inputs;     // V [tile][lanes], one channel block
    const float *gradients;  // D [vector][tile][lanes]
    size_t vector_stride;
    long vectors;
    long tiles;
    float *sums;  // [channel][vectors][lanes]
    size_t channel_stride;
} ck_tile_products;

// The gradients of one input channel's filters to one vector of output channels, w = G' U G.
typedef struct ck_filter_gradients {
    const float *components;  // U, component 0
    size_t component_stride;
    float *taps;  // [9][lanes]
} ck_filter_gradients;

// One row of pixels of one channel block. Those pointers that an operation does not name may be NULL.
typedef struct ck_row {
    long count;  // pixels
    float *z;    // what the convolution gave; its gradient after ck_norm_backward
    // z normalised and PReLU's result: y = prelu(scale z + shift), one vector each.
    const float *scale, *shift, *slopes;
    const float *shortcut;  // added to y; or NULL
    float *y;
    const float *gradient;  // by y
    // With d the gradient by PReLU's input: the gradient by z is scale d + linear z + constant, one vector each.
    const float *linear, *constant;
} ck_row;

// The operations for one instruction set.
typedef struct ck_training_kernels {
    // For F(4x4, 3x3), which is all that training uses.
    void (*filters)(const ck_filters *);
    void (*gradient_tiles)(const ck_gradient_tiles *);
    void (*tile_products)(const ck_tile_products *);
    void (*filter_gradients)(const ck_filter_gradients *);
    // Adds z to sums[0], one vector.
    void (*sum)(const ck_row *, float *sums);
    // Adds (z - shift)^2 to sums[0], one vector.
    void (*squares)(const ck_row *, float *sums);
    // y = prelu(scale z + shift) + shortcut.
    void (*norm)(const ck_row *);
    // Adds, of the gradient d by PReLU's input: d to sums[0], d (z + constant) to sums[1]; and to sums[2] the gradient
    // by PReLU's slope.
    void (*norm_sums)(const ck_row *, float *sums);
    // Writes the gradient by z over z.
    void (*norm_backward)(const ck_row *);
    // Maxima of 2x2 pixels of two rows.
    void (*pool)(const float *upper, const float *lower, float *pooled, long count);
    // Adds each pooled gradient to that of the first of the four largest pixels.
    void (*pool_backward)(
        const float *upper, const float *lower, const float *pooled, float *upper_gradient, float *lower_gradient,
        long count
    );
    // Sums of 2x2 pixels of two rows: the gradient of a replicated pixel.
    void (*gather)(const float *upper, const float *lower, float *sums, long count);
} ck_training_kernels;

// Training kernels of an instruction set, or NULL where the build or this CPU lacks it.
const ck_training_kernels *ck_training_kernels_avx512(void);
const ck_training_kernels *ck_training_kernels_avx2(void);
const ck_training_kernels *ck_training_kernels_portable(void);
