// winograd_output.h: the output transform with all that follows a convolution, for the instruction set of the including
// file. See ck_output.
//
// First the even columns of a tile, then the odd ones: either half fits into 32 registers, so that nothing is kept in
// memory between the pass over rows and the pass over columns.
// Plain twin: winograd_output_scalar.c.
#include "winograd_transforms.h"

CK_INLINE void transform_output(const int outputs, const int odd, const vec *m, vec *y) {
    if (outputs == 4 && !odd)
        output_transform_4_even(m, y);
    else if (outputs == 4)
        output_transform_4_odd(m, y);
    else if (!odd)
        output_transform_6_even(m, y);
    else
        output_transform_6_odd(m, y);
}

// A tile's pixel: where it is stored, and what is added to it.
typedef struct tile {
    const float *products;
    float *out;
    const float *shortcut;
} tile;

// The even or odd columns of a tile; pixels from `rows` and `columns` on are not stored.
CK_INLINE void half_tile(
    const ck_output *job, const int outputs, const int odd, const tile at, vec bias, vec slopes, const int cut,
    long rows, long columns
) {
    const int side = outputs + 2, half = outputs / 2;
    vec between[3][8];
    CK_UNROLL for (int i = 0; i < side; i++) {
        vec m[8], y[3];
        CK_UNROLL for (int j = 0; j < side; j++) {
            if (odd ? j > 0 : j < side - 1) m[j] = load(at.products + (i * side + j) * job->component_stride);
        }
        transform_output(outputs, odd, m, y);
        CK_UNROLL for (int j = 0; j < half; j++) between[j][i] = y[j];
    }
    CK_UNROLL for (int j = 0; j < half; j++) {
        const int column = 2 * j + odd;
        vec even[3], uneven[3];
        transform_output(outputs, 0, between[j], even);
        transform_output(outputs, 1, between[j], uneven);
        CK_UNROLL for (int i = 0; i < outputs; i++) {
            if (cut && (i >= rows || column >= columns)) continue;
            vec v = prelu((i % 2 ? uneven[i / 2] : even[i / 2]) + bias, slopes);
            if (at.shortcut) v += load(at.shortcut + i * job->shortcut_row_stride + column * CK_LANES);
            store(at.out + i * job->row_stride + column * CK_LANES, v);
        }
    }
}

// 2x2 maxima of the pixels that were just stored.
CK_INLINE void pool_tile(
    const float *out, size_t row_stride, float *pooled, size_t pooled_row_stride, long rows, long columns
) {
    for (long i = 0; i + 1 < rows; i += 2, out += 2 * row_stride, pooled += pooled_row_stride) {
        for (long j = 0; j + 1 < columns; j += 2) {
            const float *left = out + j * CK_LANES, *right = left + CK_LANES;
            vec upper = larger(load(left), load(right));
            vec lower = larger(load(left + row_stride), load(right + row_stride));
            store(pooled + j / 2 * CK_LANES, larger(upper, lower));
        }
    }
}

CK_INLINE void output_tiles(const ck_output *job, const int outputs) {
    CK_ASSERT(job->rows >= 1 && job->columns >= 1);
    CK_ASSERT_VECTORS(job->products, job->component_stride);
    CK_ASSERT_VECTORS(job->output, job->row_stride);
    CK_ASSERT_VECTORS(job->bias, 0);
    CK_ASSERT_VECTORS(job->slopes, 0);
    if (job->shortcut) CK_ASSERT_VECTORS(job->shortcut, job->shortcut_row_stride);
    if (job->pooled) CK_ASSERT_VECTORS(job->pooled, job->pooled_row_stride);
    const vec bias = load(job->bias), slopes = load(job->slopes);
    for (long t = 0; t < job->count; t++) {
        const long column = t * outputs;
        const tile at = {
            job->products + t * CK_LANES, job->output + column * CK_LANES,
            job->shortcut ? job->shortcut + column * CK_LANES : NULL
        };
        long rows = job->rows < outputs ? job->rows : outputs;
        long columns = job->columns - column < outputs ? job->columns - column : outputs;
        if (rows == outputs && columns == outputs) {
            half_tile(job, outputs, 0, at, bias, slopes, 0, rows, columns);
            half_tile(job, outputs, 1, at, bias, slopes, 0, rows, columns);
        } else {
            half_tile(job, outputs, 0, at, bias, slopes, 1, rows, columns);
            half_tile(job, outputs, 1, at, bias, slopes, 1, rows, columns);
        }
        if (job->pooled)
            pool_tile(
                at.out, job->row_stride, job->pooled + column / 2 * CK_LANES, job->pooled_row_stride, rows, columns
            );
    }
}

CK_TARGET void CK_NAME(ck_output_4)(const ck_output *job) { output_tiles(job, 4); }
CK_TARGET void CK_NAME(ck_output_6)(const ck_output *job) { output_tiles(job, 6); }
