// peak.h: independent chains of multiply-adds in registers, for the instruction set of the including file. See
// ck_peak.h.
//
// Twelve chains hide the latency of the multiply-add units of every CPU since 2013 (4 or 5 cycles, two units) and fit
// into 16 registers. The factors keep every number near 2: no overflow, no slow subnormal numbers.
#include "vector.h"

CK_TARGET void CK_NAME(ck_peak)(long rounds, float *sink) {
    vec sums[ck_peak_chains];
    vec factor = load(sink) * 0 + 0.5f, term = load(sink) * 0 + 1;
    CK_UNROLL for (int i = 0; i < ck_peak_chains; i++) sums[i] = term * i;
    for (long round = 0; round < rounds; round++) {
        CK_UNROLL for (int i = 0; i < ck_peak_chains; i++) sums[i] = sums[i] * factor + term;
    }
    vec sum = sums[0];
    CK_UNROLL for (int i = 1; i < ck_peak_chains; i++) sum += sums[i];
    store(sink, sum);
}
