// winograd_output.h: the output transform with all that follows a convolution, for the instruction set of the including
// file. See ck_output.
#include "winograd_transforms.h"

CK_INLINE void transform(const int outputs, const vec *m, vec *y) {
    if (outputs == 4)
        output_transform_4(m, y);
    else
        output_transform_6(m, y);
}

// Two rows of a tile that lies wholly inside the plane: bias, PReLU, shortcut, pooling.
CK_INLINE void finish_rows(
    const int outputs, vec (*y)[6], vec bias, vec slopes, float *out, size_t row_stride, const float *shortcut,
    size_t shortcut_row_stride, float *pooled
) {
    CK_UNROLL for (int i = 0; i < 2; i++) {
        CK_UNROLL for (int j = 0; j < outputs; j++) {
            vec v = prelu(y[i][j] + bias, slopes);
            if (shortcut) v += load(shortcut + i * shortcut_row_stride + j * CK_LANES);
            y[i][j] = v;
            store(out + i * row_stride + j * CK_LANES, v);
        }
    }
    if (pooled) {
        CK_UNROLL for (int j = 0; j < outputs; j += 2)
            store(pooled + j / 2 * CK_LANES, larger(larger(y[0][j], y[0][j + 1]), larger(y[1][j], y[1][j + 1])));
    }
}

// The same for a tile that the plane's edge cuts.
CK_INLINE void finish_cut_rows(
    vec (*y)[6], long columns, vec bias, vec slopes, float *out, size_t row_stride, const float *shortcut,
    size_t shortcut_row_stride, float *pooled, long rows
) {
    for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++) {
            vec v = prelu(y[i][j] + bias, slopes);
            if (shortcut) v += load(shortcut + i * shortcut_row_stride + j * CK_LANES);
            y[i][j] = v;
            store(out + i * row_stride + j * CK_LANES, v);
        }
    }
    if (pooled) {
        for (long j = 0; j < columns; j += 2)
            store(pooled + j / 2 * CK_LANES, larger(larger(y[0][j], y[0][j + 1]), larger(y[1][j], y[1][j + 1])));
    }
}

CK_INLINE void output_tiles(const ck_output *job, const int outputs) {
    const int side = outputs + 2;
    const vec bias = load(job->bias), slopes = load(job->slopes);
    for (long tile = 0; tile < job->count; tile++) {
        const float *products = job->products + tile * CK_LANES;
        vec between[6][8];
        CK_UNROLL for (int j = 0; j < side; j++) {
            vec m[8], y[6];
            CK_UNROLL for (int i = 0; i < side; i++) m[i] = load(products + (i * side + j) * job->component_stride);
            transform(outputs, m, y);
            CK_UNROLL for (int i = 0; i < outputs; i++) between[i][j] = y[i];
        }
        float *out = job->output + tile * outputs * CK_LANES;
        const float *shortcut = job->shortcut ? job->shortcut + tile * outputs * CK_LANES : NULL;
        float *pooled = job->pooled ? job->pooled + tile * (outputs / 2) * CK_LANES : NULL;
        long columns = job->columns - tile * outputs;
        bool whole = columns >= outputs && job->rows >= outputs;
        CK_UNROLL for (int i = 0; i < outputs; i += 2) {
            vec y[2][6];
            transform(outputs, between[i], y[0]);
            transform(outputs, between[i + 1], y[1]);
            if (whole)
                finish_rows(
                    outputs, y, bias, slopes, out, job->row_stride, shortcut, job->shortcut_row_stride, pooled);
            else if (job->rows > i)
                finish_cut_rows(
                    y, columns < outputs ? columns : outputs, bias, slopes, out, job->row_stride, shortcut,
                    job->shortcut_row_stride, pooled, job->rows - i < 2 ? job->rows - i : 2);
            out += 2 * job->row_stride;
            if (shortcut) shortcut += 2 * job->shortcut_row_stride;
            if (pooled) pooled += job->pooled_row_stride;
        }
    }
}

CK_TARGET void CK_NAME(ck_output_4)(const ck_output *job) { output_tiles(job, 4); }
CK_TARGET void CK_NAME(ck_output_6)(const ck_output *job) { output_tiles(job, 6); }
