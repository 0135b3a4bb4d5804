// winograd_transforms.h: the one-dimensional transforms of F(4, 3) and F(6, 3), on vectors.
//
// F(4, 3) evaluates at the points 0, 1, -1, 2, -2, infinity; F(6, 3) at 0, 1, -1, 2, -2, 1/2, -1/2, infinity.
// Points of opposite sign share their even and odd parts. The matrices stand in winograd_matrices.c.
//
// Where an input is replicated 2x (d1 = d2, d3 = d4, ...), component 2, the point -1, is exactly zero.
//
// Accuracy: float32; largest growth along one axis 10 for F(4, 3), 12.5 for F(6, 3); tests hold whole convolutions to
// 1e-4 of the largest output. Other points near 2 and 1/2 were tried for F(6, 3): none has a smaller error.
// Source: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
#pragma once
#include "vector.h"

CK_INLINE void input_transform_4(const vec *d, vec *v) {
    vec even = d[4] - 4.f * d[2], odd = d[3] - 4.f * d[1];
    v[1] = even + odd;
    v[2] = even - odd;
    even = d[4] - d[2];
    odd = d[3] - d[1];
    v[3] = even + 2.f * odd;
    v[4] = even - 2.f * odd;
    v[0] = 4.f * d[0] + (d[4] - 5.f * d[2]);
    v[5] = 4.f * d[1] + (d[5] - 5.f * d[3]);
}

CK_INLINE void input_transform_6(const vec *d, vec *v) {
    vec even = (d[2] + d[6]) - 4.25f * d[4], odd = (d[1] + d[5]) - 4.25f * d[3];
    v[1] = even + odd;
    v[2] = even - odd;
    even = (d[6] + .25f * d[2]) - 1.25f * d[4];
    odd = (.5f * d[1] - 2.5f * d[3]) + 2.f * d[5];
    v[3] = even + odd;
    v[4] = even - odd;
    even = (d[6] + 4.f * d[2]) - 5.f * d[4];
    odd = (2.f * d[1] - 2.5f * d[3]) + .5f * d[5];
    v[5] = even + odd;
    v[6] = even - odd;
    v[0] = (d[0] - d[6]) + 5.25f * (d[4] - d[2]);
    v[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
}

// The outputs with even numbers need the sums of the products at opposite points, those with odd numbers the
// differences.
CK_INLINE void output_transform_4_even(const vec *m, vec *y) {
    vec sum1 = m[1] + m[2], sum2 = m[3] + m[4];
    y[0] = (m[0] + sum1) + sum2;
    y[1] = sum1 + 4.f * sum2;
}

CK_INLINE void output_transform_4_odd(const vec *m, vec *y) {
    vec difference1 = m[1] - m[2], difference2 = m[3] - m[4];
    y[0] = difference1 + 2.f * difference2;
    y[1] = (difference1 + m[5]) + 8.f * difference2;
}

CK_INLINE void output_transform_6_even(const vec *m, vec *y) {
    vec sum1 = m[1] + m[2], sum2 = m[3] + m[4], sum3 = m[5] + m[6];
    y[0] = (m[0] + sum1) + (sum2 + sum3);
    y[1] = (sum1 + 4.f * sum2) + .25f * sum3;
    y[2] = (sum1 + 16.f * sum2) + .0625f * sum3;
}

CK_INLINE void output_transform_6_odd(const vec *m, vec *y) {
    vec difference1 = m[1] - m[2], difference2 = m[3] - m[4], difference3 = m[5] - m[6];
    y[0] = (difference1 + 2.f * difference2) + .5f * difference3;
    y[1] = (difference1 + 8.f * difference2) + .125f * difference3;
    y[2] = ((difference1 + m[7]) + 32.f * difference2) + .03125f * difference3;
}
