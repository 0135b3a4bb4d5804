// kernels.c: which kernels belong to which instruction set, and which this CPU can run.
#include "CKernels.h"

#define DECLARE(set)                                    \
    void ck_input_4_##set(const ck_input *);            \
    void ck_input_6_##set(const ck_input *);            \
    void ck_input_replicated_4_##set(const ck_input *); \
    void ck_input_replicated_6_##set(const ck_input *); \
    void ck_output_4_##set(const ck_output *);          \
    void ck_output_6_##set(const ck_output *);          \
    void ck_products_##set(const ck_products *);        \
    void ck_first_##set(const ck_first *);              \
    void ck_head_##set(const ck_head *);

#define KERNELS(set, floats, tiles)           \
    static const ck_kernels kernels_##set = { \
        floats,                               \
        2,                                    \
        tiles,                                \
        ck_input_4_##set,                     \
        ck_input_6_##set,                     \
        ck_input_replicated_4_##set,          \
        ck_input_replicated_6_##set,          \
        ck_output_4_##set,                    \
        ck_output_6_##set,                    \
        ck_products_##set,                    \
        ck_first_##set,                       \
        ck_head_##set                         \
    };

DECLARE(portable)
KERNELS(portable, 4, 6)

const ck_kernels *ck_kernels_portable(void) { return &kernels_portable; }

#if defined(__x86_64__)

DECLARE(avx512)
DECLARE(avx2)
KERNELS(avx512, 16, 12)
KERNELS(avx2, 8, 6)

const ck_kernels *ck_kernels_avx512(void) {
    bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma");
    return runs ? &kernels_avx512 : NULL;
}

const ck_kernels *ck_kernels_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels_avx2 : NULL;
}

#else

const ck_kernels *ck_kernels_avx512(void) { return NULL; }
const ck_kernels *ck_kernels_avx2(void) { return NULL; }

#endif
