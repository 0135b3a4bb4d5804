// weight_gradient_avx512.c: weight_gradient.h for CPUs with AVX-512F, VL, DQ and BW; ck_kernels_avx512() says if it may run.
#if defined(__x86_64__)
#define CK_AVX512
#include "weight_gradient.h"
#endif
