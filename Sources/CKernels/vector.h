// vector.h: one vector of channels, in the instruction set that the including file names.
//
// A kernel is written once, in a header, over `vec`; one file for each instruction set says CK_AVX512, CK_AVX2 or
// CK_PORTABLE and includes them all. Plain vector arithmetic is enough: the compiler picks the instructions, and
// contracts products and sums into fused multiply-adds where the set has them.
#pragma once
#include <stdint.h>

#include "CKernels.h"

#if defined(CK_AVX512)
#define CK_LANES 16
#define CK_REGISTERS 32
#define CK_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define CK_NAME(name) name##_avx512
#elif defined(CK_AVX2)
#define CK_LANES 8
#define CK_REGISTERS 16
#define CK_TARGET __attribute__((target("avx2,fma")))
#define CK_NAME(name) name##_avx2
#elif defined(CK_PORTABLE)
#define CK_LANES 4
#define CK_REGISTERS 16
#define CK_TARGET
#define CK_NAME(name) name##_portable
#else
#error "name an instruction set"
#endif

#define CK_INLINE static inline __attribute__((always_inline)) CK_TARGET
#define CK_UNROLL _Pragma("clang loop unroll(full)")

#pragma clang fp contract(fast)

typedef float vec __attribute__((ext_vector_type(CK_LANES), may_alias));
typedef float vec4 __attribute__((ext_vector_type(4), may_alias, aligned(4)));

// What a kernel asks of its arguments, checked where it begins. Debug builds only, in which SwiftPM defines DEBUG.
#ifdef DEBUG
#include <assert.h>
#define CK_ASSERT(condition) assert(condition)
#else
#define CK_ASSERT(condition) ((void)0)
#endif
// Vectors at `pointer`, and from there on at multiples of `stride` floats.
#define CK_ASSERT_VECTORS(pointer, stride)                                                            \
    CK_ASSERT((pointer) && (uintptr_t)(pointer) % sizeof(vec) == 0 && (long)(stride) % CK_LANES == 0)

CK_INLINE vec load(const float *p) { return *(const vec *)p; }
CK_INLINE void store(float *p, vec v) { *(vec *)p = v; }
CK_INLINE vec larger(vec a, vec b) { return a > b ? a : b; }
CK_INLINE vec prelu(vec v, vec slope) { return v < 0 ? v * slope : v; }

// The sums over the lanes of four vectors: first inside each run of four lanes, where shuffles are cheap, then over the
// runs.
CK_INLINE vec4 lane_sums(vec a, vec b, vec c, vec d) {
#if CK_LANES == 16
    vec ab = __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
        + __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    vec cd = __builtin_shufflevector(c, d, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
        + __builtin_shufflevector(c, d, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    vec runs = __builtin_shufflevector(ab, cd, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
        + __builtin_shufflevector(ab, cd, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    __typeof__(runs.lo) pairs = runs.lo + runs.hi;
    return pairs.lo + pairs.hi;
#elif CK_LANES == 8
    vec ab = __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
        + __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
    vec cd = __builtin_shufflevector(c, d, 0, 8, 1, 9, 4, 12, 5, 13)
        + __builtin_shufflevector(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
    vec runs = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13)
        + __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    return runs.lo + runs.hi;
#else
    vec ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    vec cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
#endif
}
