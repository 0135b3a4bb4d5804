// direct_head_portable.c: direct_head.h in vectors of four, for every CPU. Plain twin: direct_head_scalar.c.
#define CK_PORTABLE
#include "direct_head.h"
