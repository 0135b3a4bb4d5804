// weight_gradient_avx2.c: weight_gradient.h for CPUs with AVX2 and FMA; ck_kernels_avx2() says if it may run.
#if defined(__x86_64__)
#define CK_AVX2
#include "weight_gradient.h"
#endif
