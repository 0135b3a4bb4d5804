// winograd_output_avx2.c: winograd_output.h for CPUs with AVX2 and FMA; ck_kernels_avx2() says if it may run.
// Plain twin: winograd_output_scalar.c.
#if defined(__x86_64__)
#define CK_AVX2
#include "winograd_output.h"
#endif
