// winograd_output_portable.c: winograd_output.h in vectors of four, for every CPU. Plain twin: winograd_output_scalar.c.
#define CK_PORTABLE
#include "winograd_output.h"
