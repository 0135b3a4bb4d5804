// cprobe.h: what code that a file brought into a child would try. Swift shows no system calls by number.
#pragma once

// Tries `deed`, on the file `target` where it wants one. 0 where it succeeded, else what errno tells; -1 for a deed
// that is not known.
int cp_try(const char *deed, const char *target);
