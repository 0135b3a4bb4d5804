// winograd_output_scalar.c: the plain twin of winograd_output.h: Y = A' M A by the matrices, one channel at a time.
#include "CKernels.h"

void ck_output_scalar(const ck_output *job, long outputs, long lanes) {
    const long side = outputs + 2;
    for (long tile = 0; tile < job->count; tile++) {
        for (long lane = 0; lane < lanes; lane++) {
            float result[6][6];
            for (long y = 0; y < outputs; y++) {
                for (long x = 0; x < outputs; x++) {
                    if (y >= job->rows || tile * outputs + x >= job->columns) continue;
                    double sum = job->bias[lane];
                    for (long i = 0; i < side; i++) {
                        for (long j = 0; j < side; j++)
                            sum += ck_winograd_output_row(outputs, y)[i] * ck_winograd_output_row(outputs, x)[j]
                                * job->products[(i * side + j) * job->component_stride + tile * lanes + lane];
                    }
                    long column = (tile * outputs + x) * lanes + lane;
                    if (sum < 0) sum *= job->slopes[lane];
                    if (job->shortcut) sum += job->shortcut[y * job->shortcut_row_stride + column];
                    result[y][x] = (float)sum;
                    job->output[y * job->row_stride + column] = result[y][x];
                    if (job->pooled && y % 2 == 1 && x % 2 == 1) {
                        float largest = result[y][x];
                        if (result[y - 1][x] > largest) largest = result[y - 1][x];
                        if (result[y][x - 1] > largest) largest = result[y][x - 1];
                        if (result[y - 1][x - 1] > largest) largest = result[y - 1][x - 1];
                        job->pooled[y / 2 * job->pooled_row_stride + (tile * outputs + x) / 2 * lanes + lane] = largest;
                    }
                }
            }
        }
    }
}
