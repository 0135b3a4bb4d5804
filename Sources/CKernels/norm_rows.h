// norm_rows.h: batch norm, PReLU, pooling and replication in training, row by row, for the instruction set of the
// including file. See ck_training_kernels.
#include "vector.h"

CK_TARGET void CK_NAME(ck_sum)(const ck_row *row, float *sums) {
    CK_ASSERT_VECTORS(row->z, 0);
    CK_ASSERT_VECTORS(sums, 0);
    vec parts[4] = {0};
    long x = 0;
    for (; x + 3 < row->count; x += 4) {
        CK_UNROLL for (int k = 0; k < 4; k++) parts[k] += load(row->z + (x + k) * CK_LANES);
    }
    for (; x < row->count; x++) parts[0] += load(row->z + x * CK_LANES);
    store(sums, load(sums) + ((parts[0] + parts[1]) + (parts[2] + parts[3])));
}

CK_TARGET void CK_NAME(ck_squares)(const ck_row *row, float *sums) {
    CK_ASSERT_VECTORS(row->z, 0);
    CK_ASSERT_VECTORS(row->shift, 0);
    CK_ASSERT_VECTORS(sums, 0);
    const vec shift = load(row->shift);
    vec parts[4] = {0};
    long x = 0;
    for (; x + 3 < row->count; x += 4) {
        CK_UNROLL for (int k = 0; k < 4; k++) {
            vec d = load(row->z + (x + k) * CK_LANES) - shift;
            parts[k] += d * d;
        }
    }
    for (; x < row->count; x++) {
        vec d = load(row->z + x * CK_LANES) - shift;
        parts[0] += d * d;
    }
    store(sums, load(sums) + ((parts[0] + parts[1]) + (parts[2] + parts[3])));
}

CK_TARGET void CK_NAME(ck_norm)(const ck_row *row) {
    CK_ASSERT_VECTORS(row->z, 0);
    CK_ASSERT_VECTORS(row->y, 0);
    CK_ASSERT_VECTORS(row->scale, 0);
    CK_ASSERT_VECTORS(row->shift, 0);
    CK_ASSERT_VECTORS(row->slopes, 0);
    const vec scale = load(row->scale), shift = load(row->shift), slopes = load(row->slopes);
    if (row->shortcut) {
        for (long at = 0; at < row->count * CK_LANES; at += CK_LANES)
            store(row->y + at, prelu(load(row->z + at) * scale + shift, slopes) + load(row->shortcut + at));
    } else {
        for (long at = 0; at < row->count * CK_LANES; at += CK_LANES)
            store(row->y + at, prelu(load(row->z + at) * scale + shift, slopes));
    }
}

CK_TARGET void CK_NAME(ck_norm_sums)(const ck_row *row, float *sums) {
    CK_ASSERT_VECTORS(row->z, 0);
    CK_ASSERT_VECTORS(row->gradient, 0);
    CK_ASSERT_VECTORS(row->constant, 0);
    CK_ASSERT_VECTORS(sums, 0);
    const vec scale = load(row->scale), shift = load(row->shift), slopes = load(row->slopes);
    const vec constant = load(row->constant), zero = {0};
    vec plain = {0}, centred = {0}, slope = {0};
    for (long at = 0; at < row->count * CK_LANES; at += CK_LANES) {
        vec z = load(row->z + at), g = load(row->gradient + at);
        vec v = z * scale + shift;
        vec d = v > 0 ? g : g * slopes;
        plain += d;
        centred += d * (z + constant);
        slope += v > 0 ? zero : g * v;
    }
    store(sums, load(sums) + plain);
    store(sums + CK_LANES, load(sums + CK_LANES) + centred);
    store(sums + 2 * CK_LANES, load(sums + 2 * CK_LANES) + slope);
}

CK_TARGET void CK_NAME(ck_norm_backward)(const ck_row *row) {
    CK_ASSERT_VECTORS(row->z, 0);
    CK_ASSERT_VECTORS(row->gradient, 0);
    CK_ASSERT_VECTORS(row->linear, 0);
    CK_ASSERT_VECTORS(row->constant, 0);
    const vec scale = load(row->scale), shift = load(row->shift), slopes = load(row->slopes);
    const vec linear = load(row->linear), constant = load(row->constant);
    for (long at = 0; at < row->count * CK_LANES; at += CK_LANES) {
        vec z = load(row->z + at), g = load(row->gradient + at);
        vec d = z * scale + shift > 0 ? g : g * slopes;
        store(row->z + at, scale * d + (linear * z + constant));
    }
}

CK_TARGET void CK_NAME(ck_pool)(const float *upper, const float *lower, float *pooled, long count) {
    for (long x = 0; x < count; x++, upper += 2 * CK_LANES, lower += 2 * CK_LANES, pooled += CK_LANES) {
        vec above = larger(load(upper), load(upper + CK_LANES));
        store(pooled, larger(above, larger(load(lower), load(lower + CK_LANES))));
    }
}

CK_TARGET void CK_NAME(ck_pool_backward)(
    const float *upper, const float *lower, const float *pooled, float *upper_gradient, float *lower_gradient,
    long count
) {
    const vec zero = {0};
    for (long x = 0; x < count; x++) {
        const long at = 2 * x * CK_LANES;
        vec a = load(upper + at), b = load(upper + at + CK_LANES);
        vec c = load(lower + at), d = load(lower + at + CK_LANES);
        vec most = larger(larger(a, b), larger(c, d)), left = load(pooled + x * CK_LANES);
        vec share = a == most ? left : zero;
        store(upper_gradient + at, load(upper_gradient + at) + share);
        left -= share;
        share = b == most ? left : zero;
        store(upper_gradient + at + CK_LANES, load(upper_gradient + at + CK_LANES) + share);
        left -= share;
        share = c == most ? left : zero;
        store(lower_gradient + at, load(lower_gradient + at) + share);
        left -= share;
        store(lower_gradient + at + CK_LANES, load(lower_gradient + at + CK_LANES) + left);
    }
}

CK_TARGET void CK_NAME(ck_gather)(const float *upper, const float *lower, float *sums, long count) {
    for (long x = 0; x < count; x++, upper += 2 * CK_LANES, lower += 2 * CK_LANES, sums += CK_LANES)
        store(sums, (load(upper) + load(upper + CK_LANES)) + (load(lower) + load(lower + CK_LANES)));
}
