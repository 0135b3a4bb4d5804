// direct_head_scalar.c: the plain twin of direct_head.h.
#include "CKernels.h"

void ck_head_scalar(const ck_head *job, long lanes) {
    for (long x = 0; x < job->columns; x++) {
        for (long output = 0; output < job->outputs; output++) {
            double sum = job->bias[output];
            for (long block = 0; block < job->blocks; block++) {
                for (long tap = 0; tap < 9; tap++) {
                    const float *pixel =
                        job->source + block * job->block_stride + tap / 3 * job->row_stride + (x + tap % 3) * lanes;
                    const float *weights = job->weights + ((block * 9 + tap) * job->outputs + output) * lanes;
                    for (long lane = 0; lane < lanes; lane++) sum += (double)pixel[lane] * weights[lane];
                }
            }
            job->output[output * job->plane_stride + x] = (float)sum;
        }
    }
}
