#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Cores that this process may run on; 0 if the kernel does not say.
int ck_affinity(void);

// Tells the CPU that this thread spins, so that it saves power and lets a sibling thread run.
static inline void ck_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#include "ck_convolution.h"
#include "ck_peak.h"
#include "ck_training.h"
