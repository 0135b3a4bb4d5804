// winograd_input.h: the input transform, for the instruction set of the including file. See ck_input.
//
// Columns first, then rows: neighbouring tiles share the columns they have in common. A few tiles at a time, so that
// what is between the two passes stays in the first-level cache.
// Plain twin: winograd_input_scalar.c.
#include "winograd_transforms.h"

enum { input_segment = 4 };  // tiles

CK_INLINE void transform_input(const int outputs, const vec *d, vec *v) {
    if (outputs == 4)
        input_transform_4(d, v);
    else
        input_transform_6(d, v);
}

// `step` is 1 for a source of full resolution and 2 for one that is replicated.
CK_INLINE void input_tiles(const ck_input *input, const int outputs, const int step) {
    const int side = outputs + 2, stride = outputs / step, columns = stride + 2;
    CK_ASSERT_VECTORS(input->source, input->row_stride);
    CK_ASSERT_VECTORS(input->tiles, input->component_stride);
    vec between[8][input_segment * 6 + 2];
    for (long first = 0; first < input->count; first += input_segment) {
        long tiles = input->count - first < input_segment ? input->count - first : input_segment;
        const float *source = input->source + first * stride * CK_LANES;
        for (long x = 0; x < tiles * stride + 2; x++) {
            vec pixel[8], d[8], v[8];
            CK_UNROLL for (int i = 0; i < columns; i++) pixel[i] = load(source + i * input->row_stride + x * CK_LANES);
            CK_UNROLL for (int i = 0; i < side; i++) d[i] = pixel[step == 1 ? i : (i + 1) / 2];
            transform_input(outputs, d, v);
            CK_UNROLL for (int i = 0; i < side; i++) between[i][x] = v[i];
        }
        for (int i = 0; i < side; i++) {
            if (step == 2 && i == 2) continue;
            float *row = input->tiles + i * side * input->component_stride + first * CK_LANES;
            for (long tile = 0; tile < tiles; tile++, row += CK_LANES) {
                vec d[8], v[8];
                CK_UNROLL for (int j = 0; j < side; j++) d[j] =
                    between[i][tile * stride + (step == 1 ? j : (j + 1) / 2)];
                transform_input(outputs, d, v);
                CK_UNROLL for (int j = 0; j < side; j++) if (step == 1 || j != 2)
                    store(row + j * input->component_stride, v[j]);
            }
        }
    }
}

CK_TARGET void CK_NAME(ck_input_4)(const ck_input *input) { input_tiles(input, 4, 1); }
CK_TARGET void CK_NAME(ck_input_6)(const ck_input *input) { input_tiles(input, 6, 1); }
CK_TARGET void CK_NAME(ck_input_replicated_4)(const ck_input *input) { input_tiles(input, 4, 2); }
CK_TARGET void CK_NAME(ck_input_replicated_6)(const ck_input *input) { input_tiles(input, 6, 2); }
