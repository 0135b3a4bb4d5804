// avx2.c: every kernel for CPUs with AVX2 and FMA; ck_kernels_avx2() says if it may run.
#if defined(__x86_64__)
#define CK_AVX2
#include "direct_first.h"
#include "direct_head.h"
#include "norm_rows.h"
#include "peak.h"
#include "weight_gradient.h"
#include "winograd_input.h"
#include "winograd_output.h"
#include "winograd_products.h"
#endif
