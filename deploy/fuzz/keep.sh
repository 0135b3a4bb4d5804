#!/usr/bin/env bash
# Takes a part of what the fuzzers have found into the repository, so that `make test` replays it: of the inputs that
# together reach every branch which any known input reaches KEEP_FILES (40) a target, small and large ones alike, as far
# as KEEP_BYTES (60000) go. Seeds and findings (found-*) stay as they are. The whole corpus stays in .build-fuzz/work.
#
#     TARGETS='nifti zip' deploy/fuzz/keep.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=${HEPAR_FUZZ_SCRATCH:-.build-fuzz}
work=${HEPAR_FUZZ_WORK:-$scratch/work}
program=${HEPAR_FUZZ_PROGRAM:-$scratch/release/hepar-fuzz}
files=${KEEP_FILES:-40}
bytes=${KEEP_BYTES:-60000}
export DCMDICTPATH=${DCMDICTPATH:-/usr/share/libdcmtk17/dicom.dic} SWIFT_BACKTRACE=enable=no TMPDIR=/dev/shm

for target in ${TARGETS:-$(ls Tests/Fuzz/Corpora)}; do
    corpus=Tests/Fuzz/Corpora/$target
    chosen=$(mktemp -d)
    HEPAR_FUZZ_TARGET=$target "$program" -set_cover_merge=1 -timeout=30 "$chosen" "$work/$target/corpus" "$corpus" \
        >"$work/$target/keep.log" 2>&1
    find "$corpus" -type f ! -name 'seed-*' ! -name 'found-*' -delete
    # What is there under a name of its own is not taken twice.
    known=$(sha256sum "$corpus"/* | cut -c1-64)
    count=$(find "$chosen" -type f | wc -l)
    used=0
    while read -r size file; do
        hash=$(sha256sum <"$file" | cut -c1-64)
        if [ $((used + size)) -gt "$bytes" ] || grep -q "$hash" <<<"$known"; then continue; fi
        used=$((used + size))
        cp "$file" "$corpus/${hash:0:12}"
    done < <(find "$chosen" -type f -printf '%s %p\n' | sort -n |
        awk -v count="$count" -v files="$files" 'int(NR * files / count) > int((NR - 1) * files / count)')
    rm -rf "$chosen"
    echo "$target: $(find "$corpus" -type f | wc -l) files, $(find "$corpus" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }') bytes"
done
