// winograd_products_avx512.c: winograd_products.h for CPUs with AVX-512F, VL, DQ and BW; ck_kernels_avx512() says if it may run.
// Plain twin: winograd_products_scalar.c.
#if defined(__x86_64__)
#define CK_AVX512
#include "winograd_products.h"
#endif
