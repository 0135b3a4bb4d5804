// winograd_input_portable.c: winograd_input.h in vectors of four, for every CPU. Plain twin: winograd_input_scalar.c.
#define CK_PORTABLE
#include "winograd_input.h"
