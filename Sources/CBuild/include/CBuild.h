// CBuild.h: what is known only when the program is built.
#pragma once

// The commit that the program was built from, as git describes it, "-dirty" at its end where files differ from that
// commit; "unknown" where the builder did not say: HEPAR_COMMIT in the environment, as `make build` sets it.
const char *hepar_commit(void);
