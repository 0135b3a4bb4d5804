#!/usr/bin/env bash
# Searches for inputs that break a promise of Tests/Fuzz/Targets, or the process. `make fuzz` runs it.
#
#     deploy/fuzz/fuzz.sh [MINUTES]        30 by default, of wall time, for each target
#
#     TARGETS='nifti zip'    only these
#     SIDE_BY_SIDE=2         how many at once
#
# Begins with the corpus of the repository and with what earlier runs have found. A target ends at its first finding;
# the input lies in the folder named at the end. To see it again:
#     SWIFT_BACKTRACE=enable=no HEPAR_FUZZ_TARGET=nifti .build-fuzz/release/hepar-fuzz INPUT
# Prints a line for each target and ends with status 1 if there was a finding. keep.sh takes new inputs into the repository.
set -euo pipefail
cd "$(dirname "$0")/../.."

minutes=${1:-30}
side_by_side=${SIDE_BY_SIDE:-2}
targets=${TARGETS:-$(ls Tests/Fuzz/Corpora)}
scratch=${HEPAR_FUZZ_SCRATCH:-.build-fuzz}
work=${HEPAR_FUZZ_WORK:-$scratch/work}
program=${HEPAR_FUZZ_PROGRAM:-$(deploy/fuzz/build.sh)}

# One target, to the end; its status is in the log.
run_one() {
    local target=$1 dictionary=()
    mkdir -p "$work/$target/corpus" "$work/$target/findings"
    [ ! -e "Tests/Fuzz/Dictionaries/$target.dict" ] || dictionary=("-dict=Tests/Fuzz/Dictionaries/$target.dict")
    # Scratch files belong into memory: thousands are made each second.
    local folder
    folder=$(mktemp -d /dev/shm/hepar-fuzz.XXXXXX)
    HEPAR_FUZZ_TARGET=$target TMPDIR=$folder DCMDICTPATH=${DCMDICTPATH:-/usr/share/libdcmtk17/dicom.dic} \
        LSAN_OPTIONS=suppressions=$PWD/deploy/fuzz/lsan.supp:print_suppressions=0 \
        ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
        "$program" -max_total_time=$((minutes * 60)) -timeout=30 -rss_limit_mb=3072 -max_len=16384 -len_control=50 \
        -print_final_stats=1 "-artifact_prefix=$work/$target/findings/" "${dictionary[@]}" \
        "$work/$target/corpus" "Tests/Fuzz/Corpora/$target" >"$work/$target/log" 2>&1 ||
        echo "ended with status $?" >>"$work/$target/log"
    rm -rf "$folder"
}
export -f run_one
export work program minutes
# Swift's own report of a crash waits for ever in a process under AddressSanitizer.
export SWIFT_BACKTRACE=enable=no

for target in $targets; do mkdir -p "$work/$target"; done
# shellcheck disable=SC2086
printf '%s\n' $targets | xargs -P "$side_by_side" -I{} bash -c 'set -euo pipefail; run_one {}'

printf '%-12s %12s %9s %9s %9s %9s  %s\n' target executions seconds per_s branches corpus findings
status=0
for target in $targets; do
    log=$work/$target/log
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    seconds=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1 || true)
    branches=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")
    corpus=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")
    if grep -aq '^ended with status' "$log"; then
        status=1
        finding="$(grep -aoE 'broken promise: .{0,120}|ERROR: [A-Za-z]*Sanitizer: .{0,60}|Fatal error: .{0,120}|runtime error: .{0,80}|ERROR: libFuzzer: .{0,60}' "$log" | head -1 || true) ($work/$target)"
    else
        finding=none
    fi
    printf '%-12s %12s %9s %9s %9s %9s  %s\n' \
        "$target" "${executions:--}" "${seconds:--}" "${rate:--}" "${branches:--}" "${corpus:--}" "$finding"
done
exit $status
