#!/usr/bin/env bash
# Takes what the fuzzers have found into the repository: for each target the smallest inputs that together reach every
# branch which any known input reaches, as far as KEEP_BYTES (100000 a target) go. Seeds and findings (found-*) stay as they are.
#
#     TARGETS='nifti zip' deploy/fuzz/keep.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=${HEPAR_FUZZ_SCRATCH:-.build-fuzz}
work=${HEPAR_FUZZ_WORK:-$scratch/work}
program=${HEPAR_FUZZ_PROGRAM:-$scratch/release/hepar-fuzz}
room=${KEEP_BYTES:-100000}

for target in ${TARGETS:-$(ls Tests/Fuzz/Corpora)}; do
    corpus=Tests/Fuzz/Corpora/$target
    chosen=$(mktemp -d /dev/shm/hepar-fuzz.XXXXXX)
    DCMDICTPATH=${DCMDICTPATH:-/usr/share/libdcmtk17/dicom.dic} SWIFT_BACKTRACE=enable=no TMPDIR=/dev/shm \
        HEPAR_FUZZ_TARGET=$target "$program" -set_cover_merge=1 -timeout=30 "$chosen" "$work/$target/corpus" "$corpus" \
        >"$work/$target/keep.log" 2>&1
    find "$corpus" -type f ! -name 'seed-*' ! -name 'found-*' -delete
    used=0
    # Small ones first: more of them fit, and they are easier to understand.
    while read -r size file; do
        used=$((used + size))
        [ "$used" -le "$room" ] || break
        cp "$file" "$corpus/$(sha256sum <"$file" | cut -c1-12)"
    done < <(find "$chosen" -type f -printf '%s %p\n' | sort -n)
    # Seeds and findings are there already, under their own names.
    for file in "$corpus"/*; do
        case $(basename "$file") in seed-* | found-*) continue ;; esac
        for seed in "$corpus"/seed-* "$corpus"/found-*; do
            if cmp -s "$file" "$seed"; then
                rm "$file"
                break
            fi
        done
    done
    rm -rf "$chosen"
    echo "$target: $(find "$corpus" -type f | wc -l) files, $(du -b --apparent-size -s "$corpus" | cut -f1) bytes"
done
