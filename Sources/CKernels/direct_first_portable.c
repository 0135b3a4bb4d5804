// direct_first_portable.c: direct_first.h in vectors of four, for every CPU. Plain twin: direct_first_scalar.c.
#define CK_PORTABLE
#include "direct_first.h"
