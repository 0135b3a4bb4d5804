// affinity.c: the cores that this process may run on. Swift does not see sched_getaffinity, which is not of POSIX.

#define _GNU_SOURCE
#include <sched.h>

#include "CKernels.h"

int ck_affinity(void) {
    // The call fails where the kernel knows of more cores than the set has room for.
    for (int cores = 1024; cores <= 1 << 20; cores *= 4) {
        cpu_set_t *set = CPU_ALLOC(cores);
        if (!set) return 0;
        const size_t size = CPU_ALLOC_SIZE(cores);
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return 0;
}
