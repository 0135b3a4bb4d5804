#!/usr/bin/env bash
# Tests under ThreadSanitizer: jobs, HTTP, engine, service. `make tsan` runs it.
#
#     deploy/fuzz/tsan.sh [FILTER]     a filter as `swift test --filter` takes it
#
# Ends with status 1 if a test fails or a data race is reported; reports lie in .build-tsan/report.*. What tsan.supp leaves
# out is explained there, what tsan_mutex.c adds in its head.
set -euo pipefail
cd "$(dirname "$0")/../.."

filter=${1:-^(JobsTests|HTTPDaemonTests|ComputeTests|InferenceTests|SegmentationTests|WebhooksTests|ServiceTests)\.}
scratch=$PWD/.build-tsan
flags=(-c release --sanitize thread -Xswiftc -enable-testing --scratch-path "$scratch")
swift build --build-tests "${flags[@]}"
rm -f "$scratch"/report.*
clang -O1 -fPIC -shared deploy/fuzz/tsan_mutex.c -o "$scratch/libtsan_mutex.so"
# Swift's own report of a crash is of no use under a sanitizer.
export SWIFT_BACKTRACE=enable=no
export TSAN_OPTIONS="suppressions=$PWD/deploy/fuzz/tsan.supp log_path=$scratch/report exitcode=0 history_size=4"
status=0
LD_PRELOAD=$scratch/libtsan_mutex.so swift test --skip-build "${flags[@]}" --filter "$filter" || status=1
reports=$(cat "$scratch"/report.* 2>/dev/null | grep -c 'WARNING: ThreadSanitizer' || true)
echo "data races reported: $reports"
[ "$reports" -eq 0 ] || status=1
exit $status
