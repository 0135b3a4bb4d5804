// winograd_products_portable.c: winograd_products.h in vectors of four, for every CPU. Plain twin: winograd_products_scalar.c.
#define CK_PORTABLE
#include "winograd_products.h"
