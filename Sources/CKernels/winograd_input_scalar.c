// winograd_input_scalar.c: the plain twin of winograd_input.h: V = B' d B by the matrices, one channel at a time.
#include "CKernels.h"

void ck_input_scalar(const ck_input *input, long outputs, long lanes, bool replicated) {
    const long side = outputs + 2, step = replicated ? 2 : 1;
    for (long tile = 0; tile < input->count; tile++) {
        for (long lane = 0; lane < lanes; lane++) {
            double d[8][8];
            for (long i = 0; i < side; i++) {
                for (long j = 0; j < side; j++) {
                    long y = replicated ? (i + 1) / 2 : i, x = tile * outputs / step + (replicated ? (j + 1) / 2 : j);
                    d[i][j] = input->source[y * input->row_stride + x * lanes + lane];
                }
            }
            for (long i = 0; i < side; i++) {
                for (long j = 0; j < side; j++) {
                    if (replicated && (i == 2 || j == 2)) continue;
                    double sum = 0;
                    for (long y = 0; y < side; y++) {
                        for (long x = 0; x < side; x++)
                            sum +=
                                ck_winograd_input_row(outputs, i)[y] * d[y][x] * ck_winograd_input_row(outputs, j)[x];
                    }
                    input->tiles[(i * side + j) * input->component_stride + tile * lanes + lane] = (float)sum;
                }
            }
        }
    }
}
