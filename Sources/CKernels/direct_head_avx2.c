// direct_head_avx2.c: direct_head.h for CPUs with AVX2 and FMA; ck_kernels_avx2() says if it may run.
// Plain twin: direct_head_scalar.c.
#if defined(__x86_64__)
#define CK_AVX2
#include "direct_head.h"
#endif
