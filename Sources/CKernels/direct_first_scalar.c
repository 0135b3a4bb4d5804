// direct_first_scalar.c: the plain twin of direct_first.h.
#include "CKernels.h"

void ck_first_scalar(const ck_first *job, long lanes) {
    const long outputs = job->vectors * lanes;
    for (long x = 0; x < job->columns; x++) {
        for (long output = 0; output < outputs; output++) {
            double sum = job->bias[output];
            for (long plane = 0; plane < job->planes; plane++) {
                for (long tap = 0; tap < 9; tap++)
                    sum += (double)job->weights[(plane * 9 + tap) * outputs + output]
                        * job->source[plane * job->plane_stride + tap / 3 * job->row_stride + x + tap % 3];
            }
            if (sum < 0) sum *= job->slopes[output];
            job->output[output / lanes * job->vector_stride + x * lanes + output % lanes] = (float)sum;
        }
    }
}
