#!/usr/bin/env bash
# Builds the fuzzers: Hepar's own Swift, C and C++ and all Swift packages it uses under AddressSanitizer and with libFuzzer's
# coverage, C and C++ under UndefinedBehaviorSanitizer too. Prints the program's path.
#
# Swift itself traps on what UndefinedBehaviorSanitizer looks for in C: overflow, indices, null. Libraries of the system
# are linked as they are; $HEPAR_FUZZ_LIBRARIES may name a folder with instrumented ones (deploy/fuzz/libraries.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=${HEPAR_FUZZ_SCRATCH:-.build-fuzz}
libraries=${HEPAR_FUZZ_LIBRARIES:-$scratch/libraries}
HEPAR_FUZZ=$(find "$(realpath -m "$libraries/lib")" -name '*.a' -printf '%p ' 2>/dev/null || true)
export HEPAR_FUZZ
# SwiftPM hands on the last of its --sanitize to the Swift compiler only, so both are named to it once more. vptr needs
# run-time type information of C++ libraries that are not ours; function does not know Swift's callbacks.
swift build -c release --product hepar-fuzz --scratch-path "$scratch" \
    --sanitize address --sanitize fuzzer -Xswiftc -sanitize=address,fuzzer -Xswiftc -enable-testing \
    -Xcc -fsanitize=fuzzer-no-link,address,undefined -Xcc -fno-sanitize=vptr,function \
    -Xcc -fno-sanitize-recover=undefined >&2
echo "$scratch/release/hepar-fuzz"
