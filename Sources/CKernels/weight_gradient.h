// weight_gradient.h: the gradient of a convolution's weights by Winograd's method, and the transform of weights that
// change with every batch, for the instruction set of the including file. See ck_filters and those after it.
//
// With y = A' [ (G w G') * (B' d B) ] A, the gradient by U = G w G' is the product of V = B' d B and D = A g A', summed
// over all tiles, and that by w is G' (that) G. The sums over tiles are as many as in the plain gradient, but each has
// 36 / 144 of its multiplications.
#include "vector.h"

// D along one axis: A g for F(4, 3).
CK_INLINE void gradient_transform(const vec *g, vec *d) {
    vec even = g[0] + g[2], odd = g[1] + g[3];
    d[0] = g[0];
    d[1] = even + odd;
    d[2] = even - odd;
    even = g[0] + 4.f * g[2];
    odd = 2.f * g[1] + 8.f * g[3];
    d[3] = even + odd;
    d[4] = even - odd;
    d[5] = g[3];
}

CK_TARGET void CK_NAME(ck_gradient_tiles)(const ck_gradient_tiles *job) {
    CK_ASSERT_VECTORS(job->source, job->row_stride);
    CK_ASSERT_VECTORS(job->tiles, job->component_stride);
    for (long tile = 0; tile < job->count; tile++) {
        const float *source = job->source + tile * 4 * CK_LANES;
        vec between[6][4];
        CK_UNROLL for (int x = 0; x < 4; x++) {
            vec g[4], d[6];
            CK_UNROLL for (int y = 0; y < 4; y++) g[y] = load(source + y * job->row_stride + x * CK_LANES);
            gradient_transform(g, d);
            CK_UNROLL for (int i = 0; i < 6; i++) between[i][x] = d[i];
        }
        float *target = job->tiles + tile * CK_LANES;
        CK_UNROLL for (int i = 0; i < 6; i++) {
            vec d[6];
            gradient_transform(between[i], d);
            CK_UNROLL for (int j = 0; j < 6; j++) store(target + (i * 6 + j) * job->component_stride, d[j]);
        }
    }
}

// `channels` channels of the block, from `first` on, by `vectors` vectors of output channels.
CK_INLINE void gradient_products(
    const int channels, const int vectors, const ck_tile_products *job, const long first, const long vector
) {
    vec sums[16][2];
    const float *inputs = job->inputs + first;
    const float *gradients = job->gradients + vector * job->vector_stride;
    CK_UNROLL for (int c = 0; c < channels; c++) { CK_UNROLL for (int n = 0; n < vectors; n++) sums[c][n] = 0; }
    for (long tile = 0; tile < job->tiles; tile++, inputs += CK_LANES, gradients += CK_LANES) {
        vec d[2];
        CK_UNROLL for (int n = 0; n < vectors; n++) d[n] = load(gradients + n * job->vector_stride);
        CK_UNROLL for (int c = 0; c < channels; c++) {
            vec v = inputs[c];
            CK_UNROLL for (int n = 0; n < vectors; n++) sums[c][n] += v * d[n];
        }
    }
    CK_UNROLL for (int c = 0; c < channels; c++) {
        float *target = job->sums + (first + c) * job->channel_stride + vector * CK_LANES;
        CK_UNROLL for (int n = 0; n < vectors; n++)
            store(target + n * CK_LANES, load(target + n * CK_LANES) + sums[c][n]);
    }
}

#if CK_LANES == 16
enum { paired_channels = 8, single_channels = 16 };
#else
enum { paired_channels = 4, single_channels = CK_LANES };
#endif

CK_TARGET void CK_NAME(ck_tile_products)(const ck_tile_products *job) {
    CK_ASSERT_VECTORS(job->gradients, job->vector_stride);
    CK_ASSERT_VECTORS(job->sums, job->channel_stride);
    long vector = 0;
    for (; vector + 1 < job->vectors; vector += 2) {
        for (long first = 0; first < CK_LANES; first += paired_channels)
            gradient_products(paired_channels, 2, job, first, vector);
    }
    for (; vector < job->vectors; vector++) {
        for (long first = 0; first < CK_LANES; first += single_channels)
            gradient_products(single_channels, 1, job, first, vector);
    }
}

CK_TARGET void CK_NAME(ck_filter_gradients)(const ck_filter_gradients *job) {
    CK_ASSERT_VECTORS(job->components, job->component_stride);
    CK_ASSERT_VECTORS(job->taps, 0);
    vec between[3][6];
    CK_UNROLL for (int j = 0; j < 6; j++) {
        CK_UNROLL for (int x = 0; x < 3; x++) between[x][j] = 0;
        CK_UNROLL for (int i = 0; i < 6; i++) {
            vec u = load(job->components + (i * 6 + j) * job->component_stride);
            const double *g = ck_winograd_weights_row(4, i);
            CK_UNROLL for (int x = 0; x < 3; x++) between[x][j] += (float)g[x] * u;
        }
    }
    CK_UNROLL for (int y = 0; y < 3; y++) {
        vec taps[3] = {0};
        CK_UNROLL for (int j = 0; j < 6; j++) {
            const double *g = ck_winograd_weights_row(4, j);
            CK_UNROLL for (int x = 0; x < 3; x++) taps[x] += (float)g[x] * between[y][j];
        }
        CK_UNROLL for (int x = 0; x < 3; x++) store(job->taps + (y * 3 + x) * CK_LANES, taps[x]);
    }
}

CK_TARGET void CK_NAME(ck_filters)(const ck_filters *job) {
    CK_ASSERT(job->count >= 0 && job->count <= CK_LANES);
    CK_ASSERT_VECTORS(job->components, job->component_stride);
    enum { outputs = 4, side = outputs + 2 };
    vec taps[9], between[side][3];
    float gathered[9][CK_LANES] __attribute__((aligned(64))) = {0};
    for (long lane = 0; lane < job->count; lane++) {
        const float *filter = job->filters + lane * job->lane_stride;
        CK_UNROLL for (int tap = 0; tap < 9; tap++) gathered[tap][lane] = filter[tap * job->tap_stride];
    }
    CK_UNROLL for (int tap = 0; tap < 9; tap++) taps[tap] = load(gathered[tap]);
    CK_UNROLL for (int i = 0; i < side; i++) {
        const double *g = ck_winograd_weights_row(outputs, i);
        CK_UNROLL for (int x = 0; x < 3; x++) between[i][x] =
            (float)g[0] * taps[x] + (float)g[1] * taps[3 + x] + (float)g[2] * taps[6 + x];
    }
    CK_UNROLL for (int j = 0; j < side; j++) {
        const double *g = ck_winograd_weights_row(outputs, j);
        CK_UNROLL for (int i = 0; i < side; i++) store(
            job->components + (i * side + j) * job->component_stride,
            between[i][0] * (float)g[0] + between[i][1] * (float)g[1] + between[i][2] * (float)g[2]
        );
    }
}
