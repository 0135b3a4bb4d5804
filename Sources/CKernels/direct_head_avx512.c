// direct_head_avx512.c: direct_head.h for CPUs with AVX-512F, VL, DQ and BW; ck_kernels_avx512() says if it may run.
// Plain twin: direct_head_scalar.c.
#if defined(__x86_64__)
#define CK_AVX512
#include "direct_head.h"
#endif
