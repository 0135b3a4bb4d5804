// direct_first.h: a row of the first convolution, for the instruction set of the including file. See ck_first.
//
// A handful of input planes is too few for Winograd's method. Lanes are output channels; each pixel is broadcast.
// Plain twin: direct_first_scalar.c.
#include "vector.h"

CK_INLINE void first_row(const ck_first *job, const int vectors, const int pixels) {
    for (long x = 0; x < job->columns; x += pixels) {
        vec sums[16][2];
        CK_UNROLL for (int i = 0; i < pixels; i++) {
            CK_UNROLL for (int n = 0; n < vectors; n++) sums[i][n] = load(job->bias + n * CK_LANES);
        }
        const float *weights = job->weights;
        for (long plane = 0; plane < job->planes; plane++) {
            for (long y = 0; y < 3; y++) {
                const float *row = job->source + plane * job->plane_stride + y * job->row_stride + x;
                CK_UNROLL for (int tap = 0; tap < 3; tap++) {
                    vec w[2];
                    CK_UNROLL for (int n = 0; n < vectors; n++) w[n] = load(weights + n * CK_LANES);
                    weights += vectors * CK_LANES;
                    CK_UNROLL for (int i = 0; i < pixels; i++) {
                        vec pixel = row[i + tap];
                        CK_UNROLL for (int n = 0; n < vectors; n++) sums[i][n] += pixel * w[n];
                    }
                }
            }
        }
        CK_UNROLL for (int n = 0; n < vectors; n++) {
            vec slopes = load(job->slopes + n * CK_LANES);
            CK_UNROLL for (int i = 0; i < pixels; i++)
                store(job->output + n * job->vector_stride + (x + i) * CK_LANES, prelu(sums[i][n], slopes));
        }
    }
}

CK_TARGET void CK_NAME(ck_first)(const ck_first *job) {
    CK_ASSERT(job->vectors >= 1 && job->vectors <= 2 && job->planes >= 1 && job->columns % 16 == 0);
    CK_ASSERT_VECTORS(job->weights, 0);
    CK_ASSERT_VECTORS(job->bias, 0);
    CK_ASSERT_VECTORS(job->slopes, 0);
    CK_ASSERT_VECTORS(job->output, job->vector_stride);
    if (job->vectors == 1)
        first_row(job, 1, CK_REGISTERS / 2);
    else
        first_row(job, 2, CK_REGISTERS / 4);
}
