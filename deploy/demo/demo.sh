#!/usr/bin/env bash
# The whole journey with curl: a scan is sent to a fresh server and its mask, scores and picture come back.
# Usage: demo.sh [CT [REFERENCE]], with HEPAR naming the executable; without a CT a synthetic one is made.
set -euo pipefail

hepar=$(realpath "${HEPAR:?names the executable}")
ct=${1:-}
reference=${2:-}
out=demo
work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    rm -rf "$work"
}
trap stop EXIT
mkdir -p "$out"

if [ -z "$ct" ]; then
    echo "1. Making a synthetic CT and its reference (seed 1)"
    ct=$out/ct.nii.gz
    reference=$out/reference.nii.gz
    "$hepar" phantom --seed 1 --output "$ct" --reference "$reference"
else
    echo "1. Using $ct"
    [ -r "$ct" ] || { echo "$ct cannot be read." >&2; exit 2; }
    [ -z "$reference" ] || [ -r "$reference" ] || { echo "$reference cannot be read." >&2; exit 2; }
fi

echo "2. Starting the server"
log=$work/server.log
HEPAR_HTTP_PORT=0 HEPAR_DATA_FOLDER=$work/data "$hepar" serve 2>"$log" &
server=$!
for _ in $(seq 100); do
    url=$(sed -n 's/.*address=\(http[^ ]*\).*/\1/p' "$log" | head -n 1)
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$url" ] || { echo "The server did not start:" >&2; cat "$log" >&2; exit 1; }
echo "   $url"

echo "3. Sending the scan"
form=(-F "image=@$ct")
[ -z "$reference" ] || form+=(-F "reference=@$reference")
answer=$(curl -sS "${form[@]}" "$url/v1/jobs")
job=$(jq -r '.id // empty' <<<"$answer")
[ -n "$job" ] || { echo "The server refused it: $(jq -r '.detail // .' <<<"$answer")" >&2; exit 2; }

echo "4. Waiting for job $job"
while :; do
    status=$(curl -sS "$url/v1/jobs/$job")
    state=$(jq -r .state <<<"$status")
    line=$(jq -r '"\(.state) \(.stage // "") \(.progress * 100 | floor) %"' <<<"$status")
    if [ -t 1 ]; then printf '\r   %-40s' "$line"; elif [ "$line" != "${last:-}" ]; then echo "   $line"; fi
    last=$line
    case $state in succeeded | failed | cancelled) break ;; esac
    sleep 0.5
done
[ -t 1 ] && echo
[ "$state" = succeeded ] || { jq -r .failure.message <<<"$status" >&2; exit 1; }

curl -sSf -o "$out/mask.nii.gz" "$url/v1/jobs/$job/mask"
curl -sSf -o "$out/report.json" "$url/v1/jobs/$job/report"

echo "5. Result"
jq -r '
    def cell(width): tostring | (" " * (width - length)) + .;
    def fixed(digits): if . == null then "-" else . * pow(10; digits) | round / pow(10; digits) end;
    "   liver \(.liver_volume_ml | round) ml, \(.lesions | length) \(if (.lesions | length) == 1 then "lesion" else "lesions" end) of \(.lesion_volume_ml | fixed(1)) ml, tumour burden \(.tumour_burden | fixed(3)), computed in \(.timings_ms.total / 1000 | fixed(1)) s",
    (.findings[] | "   \(.severity): \(.message)"),
    (if (.lesions | length) > 0 then
        "",
        "   " + (["lesion", "ml", "long mm", "short mm", "slices", "max p", "size class"] | map(cell(14)) | join("")),
        (.lesions[] | "   " + ([.number, (.volume_ml | fixed(2)), (.longest_axial_diameter_mm | fixed(1)), (.short_axis_mm | fixed(1)),
            "\(.first_slice)-\(.last_slice)", (.largest_probability | fixed(2)), .size_class] | map(cell(14)) | join("")))
    else empty end),
    (if .scores then
        "",
        "   " + (["", "Dice", "VOE", "RVD", "ASSD mm", "RMSD mm", "MSSD mm"] | map(cell(14)) | join("")),
        (.scores | ("liver", "lesion") as $region | .[$region] | "   " + ([$region, (.dice | fixed(4)), (.voe | fixed(4)), (.rvd | fixed(4)),
            (.assd_mm | fixed(2)), (.rmsd_mm | fixed(2)), (.mssd_mm | fixed(2))] | map(cell(14)) | join("")))
    else empty end)' "$out/report.json"

"$hepar" preview "$ct" "$out/mask.nii.gz" ${reference:+--reference "$reference"} --output "$out/preview.png"
echo
echo "The mask, the report and a picture (green liver, orange lesions; reference dashed blue):"
printf '   %s\n' "$out/mask.nii.gz" "$out/report.json" "$out/preview.png"
