// norm_rows_portable.c: norm_rows.h in vectors of four floats, for every CPU.
#define CK_PORTABLE
#include "norm_rows.h"
