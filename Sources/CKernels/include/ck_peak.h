// ck_peak.h: how fast this CPU can multiply and add, the limit that the kernels are measured against.
#pragma once

// `rounds` rounds of ck_peak_chains independent vector multiply-adds, everything in registers. `sink` takes one vector,
// so that the work is not optimised away. Lanes: those of ck_kernels of the same instruction set, which says if it may
// run.
enum { ck_peak_chains = 12 };
void ck_peak_avx512(long rounds, float *sink);
void ck_peak_avx2(long rounds, float *sink);
void ck_peak_portable(long rounds, float *sink);
