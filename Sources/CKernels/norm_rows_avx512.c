// norm_rows_avx512.c: norm_rows.h for CPUs with AVX-512F, VL, DQ and BW; ck_kernels_avx512() says if it may run.
#if defined(__x86_64__)
#define CK_AVX512
#include "norm_rows.h"
#endif
