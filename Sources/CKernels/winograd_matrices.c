// winograd_matrices.c: the transform matrices of F(4, 3) and F(6, 3), and the weight transform.
//
// y = A' [ (G w) * (B' d) ]: six (eight) products give four (six) outputs of a filter with three taps.
// Points: 0, 1, -1, 2, -2, (1/2, -1/2,) infinity.
// Source: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
#include "CKernels.h"

// clang-format off
static const double input_4[6][6] = {
    {4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
static const double weights_4[6][3] = {
    {1. / 4, 0, 0}, {-1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6},
    {1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6}, {0, 0, 1}};
static const double output_4[4][6] = {
    {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};

static const double input_6[8][8] = {
    {1, 0, -21. / 4, 0, 21. / 4, 0, -1, 0},
    {0, 1, 1, -17. / 4, -17. / 4, 1, 1, 0}, {0, -1, 1, 17. / 4, -17. / 4, -1, 1, 0},
    {0, 1. / 2, 1. / 4, -5. / 2, -5. / 4, 2, 1, 0}, {0, -1. / 2, 1. / 4, 5. / 2, -5. / 4, -2, 1, 0},
    {0, 2, 4, -5. / 2, -5, 1. / 2, 1, 0}, {0, -2, 4, 5. / 2, -5, -1. / 2, 1, 0},
    {0, -1, 0, 21. / 4, 0, -21. / 4, 0, 1}};
static const double weights_6[8][3] = {
    {1, 0, 0}, {-2. / 9, -2. / 9, -2. / 9}, {-2. / 9, 2. / 9, -2. / 9}, {1. / 90, 1. / 45, 2. / 45},
    {1. / 90, -1. / 45, 2. / 45}, {32. / 45, 16. / 45, 8. / 45}, {32. / 45, -16. / 45, 8. / 45}, {0, 0, 1}};
static const double output_6[6][8] = {
    {1, 1, 1, 1, 1, 1, 1, 0},
    {0, 1, -1, 2, -2, 1. / 2, -1. / 2, 0},
    {0, 1, 1, 4, 4, 1. / 4, 1. / 4, 0},
    {0, 1, -1, 8, -8, 1. / 8, -1. / 8, 0},
    {0, 1, 1, 16, 16, 1. / 16, 1. / 16, 0},
    {0, 1, -1, 32, -32, 1. / 32, -1. / 32, 1}};
// clang-format on

const double *ck_winograd_input_row(long outputs, long row) { return outputs == 4 ? input_4[row] : input_6[row]; }
const double *ck_winograd_output_row(long outputs, long row) { return outputs == 4 ? output_4[row] : output_6[row]; }
const double *ck_winograd_weights_row(long outputs, long row) { return outputs == 4 ? weights_4[row] : weights_6[row]; }

void ck_winograd_weights(const float *filter, long outputs, float *components) {
    const long side = outputs + 2;
    double between[8][3];
    for (long i = 0; i < side; i++) {
        const double *g = ck_winograd_weights_row(outputs, i);
        for (long x = 0; x < 3; x++) between[i][x] = g[0] * filter[x] + g[1] * filter[3 + x] + g[2] * filter[6 + x];
    }
    for (long j = 0; j < side; j++) {
        const double *g = ck_winograd_weights_row(outputs, j);
        for (long i = 0; i < side; i++)
            components[i * side + j] = (float)(between[i][0] * g[0] + between[i][1] * g[1] + between[i][2] * g[2]);
    }
}
