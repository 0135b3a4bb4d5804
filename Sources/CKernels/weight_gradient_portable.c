// weight_gradient_portable.c: weight_gradient.h in vectors of four floats, for every CPU.
#define CK_PORTABLE
#include "weight_gradient.h"
