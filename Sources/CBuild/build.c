// build.c: see CBuild.h.
#include "CBuild.h"

#define TEXT(x) QUOTED(x)
#define QUOTED(x) #x

const char *hepar_commit(void) { return TEXT(HEPAR_COMMIT); }
