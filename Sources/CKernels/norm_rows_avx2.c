// norm_rows_avx2.c: norm_rows.h for CPUs with AVX2 and FMA; ck_kernels_avx2() says if it may run.
#if defined(__x86_64__)
#define CK_AVX2
#include "norm_rows.h"
#endif
