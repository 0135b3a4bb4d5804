// peak_portable.c: peak.h in vectors of four, for every CPU.
#define CK_PORTABLE
#include "peak.h"
