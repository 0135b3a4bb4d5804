// portable.c: every kernel in vectors of four floats, for every CPU.
#define CK_PORTABLE
#include "direct_first.h"
#include "direct_head.h"
#include "norm_rows.h"
#include "peak.h"
#include "weight_gradient.h"
#include "winograd_input.h"
#include "winograd_output.h"
#include "winograd_products.h"
