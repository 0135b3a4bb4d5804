// direct_head.h: a row of the last convolution, for the instruction set of the including file. See ck_head.
//
// Two or three output planes would leave most lanes of an output vector empty. Lanes are input channels instead, and
// are summed at the end.
// Plain twin: direct_head_scalar.c.
#include "vector.h"

CK_INLINE void head_row(const ck_head *job, const int outputs, const int pixels) {
    for (long x = 0; x < job->columns; x += pixels) {
        vec sums[3][8];
        CK_UNROLL for (int k = 0; k < outputs; k++) { CK_UNROLL for (int i = 0; i < pixels; i++) sums[k][i] = 0; }
        const float *weights = job->weights;
        for (long block = 0; block < job->blocks; block++) {
            CK_UNROLL for (int y = 0; y < 3; y++) {
                const float *row = job->source + block * job->block_stride + y * job->row_stride + x * CK_LANES;
                CK_UNROLL for (int tap = 0; tap < 3; tap++) {
                    // Read again for every pixel: in registers they would push sums out.
                    const float *w = weights + (y * 3 + tap) * outputs * CK_LANES;
                    CK_UNROLL for (int i = 0; i < pixels; i++) {
                        vec pixel = load(row + (i + tap) * CK_LANES);
                        CK_UNROLL for (int k = 0; k < outputs; k++) sums[k][i] += pixel * load(w + k * CK_LANES);
                    }
                }
            }
            weights += 9 * outputs * CK_LANES;
        }
        CK_UNROLL for (int k = 0; k < outputs; k++) {
            CK_UNROLL for (int i = 0; i < pixels; i += 4) * (vec4 *)(job->output + k * job->plane_stride + x + i) =
                lane_sums(sums[k][i], sums[k][i + 1], sums[k][i + 2], sums[k][i + 3]) + job->bias[k];
        }
    }
}

CK_TARGET void CK_NAME(ck_head)(const ck_head *job) {
    CK_ASSERT(job->outputs >= 1 && job->outputs <= 3 && job->blocks >= 1 && job->columns % 16 == 0);
    CK_ASSERT_VECTORS(job->source, job->row_stride);
    CK_ASSERT_VECTORS(job->source, job->block_stride);
    CK_ASSERT_VECTORS(job->weights, 0);
    if (job->outputs == 1)
        head_row(job, 1, CK_REGISTERS / 4);
    else if (job->outputs == 2)
        head_row(job, 2, CK_REGISTERS / 4);
    else
        head_row(job, 3, CK_REGISTERS / 4);
}
