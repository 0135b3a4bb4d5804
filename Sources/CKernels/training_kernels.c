// training_kernels.c: which training kernels belong to which instruction set.
#include "CKernels.h"

#define DECLARE(set)                                                                                  \
    void ck_filters_##set(const ck_filters *);                                                        \
    void ck_gradient_tiles_##set(const ck_gradient_tiles *);                                          \
    void ck_tile_products_##set(const ck_tile_products *);                                            \
    void ck_filter_gradients_##set(const ck_filter_gradients *);                                      \
    void ck_sum_##set(const ck_row *, float *);                                                       \
    void ck_squares_##set(const ck_row *, float *);                                                   \
    void ck_norm_##set(const ck_row *);                                                               \
    void ck_norm_sums_##set(const ck_row *, float *);                                                 \
    void ck_norm_backward_##set(const ck_row *);                                                      \
    void ck_pool_##set(const float *, const float *, float *, long);                                  \
    void ck_pool_backward_##set(const float *, const float *, const float *, float *, float *, long); \
    void ck_gather_##set(const float *, const float *, float *, long);

#define KERNELS(set)                                                                                        \
    static const ck_training_kernels kernels_##set = {                                                      \
        ck_filters_##set,       ck_gradient_tiles_##set, ck_tile_products_##set, ck_filter_gradients_##set, \
        ck_sum_##set,           ck_squares_##set,        ck_norm_##set,          ck_norm_sums_##set,        \
        ck_norm_backward_##set, ck_pool_##set,           ck_pool_backward_##set, ck_gather_##set            \
    };

DECLARE(portable)
KERNELS(portable)

const ck_training_kernels *ck_training_kernels_portable(void) { return &kernels_portable; }

#if defined(__x86_64__)

DECLARE(avx512)
DECLARE(avx2)
KERNELS(avx512)
KERNELS(avx2)

const ck_training_kernels *ck_training_kernels_avx512(void) { return ck_kernels_avx512() ? &kernels_avx512 : NULL; }
const ck_training_kernels *ck_training_kernels_avx2(void) { return ck_kernels_avx2() ? &kernels_avx2 : NULL; }

#else

const ck_training_kernels *ck_training_kernels_avx512(void) { return NULL; }
const ck_training_kernels *ck_training_kernels_avx2(void) { return NULL; }

#endif
