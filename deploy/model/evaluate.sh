#!/bin/bash
# Scores a model folder as its card tells it: the validation cases of the data folder, and phantoms never trained on.
#
#   HEPAR=.build/release/hepar deploy/model/evaluate.sh DATA MODEL [PICTURES]
#
# PICTURES  a folder that gets a picture of each case, mask over CT
set -euo pipefail

data=$1 model=$2 pictures=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

score() { # NAME CT REFERENCE
    "$HEPAR" segment "$2" --model "$model" --output "$work/mask.nii.gz" --reference "$3" \
        --report "$work/report.json" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    jq -r --arg name "$1" '"| \($name) | \(.scores.liver.dice * 1000 | round / 1000) | \(.scores.lesion.dice * 1000 | round / 1000) |"' \
        "$work/report.json"
    if [ -n "$pictures" ]; then
        mkdir -p "$pictures"
        "$HEPAR" preview "$2" "$work/mask.nii.gz" --output "$pictures/$1.png" >/dev/null
    fi
}

echo "| case | liver Dice | lesion Dice |"
echo "|---|---|---|"
for name in lits005 lits036 lits048; do score "$name" "$data/${name}_ct.nii.gz" "$data/${name}_seg.nii.gz"; done
for seed in 101 102 103 104 105 106; do
    "$HEPAR" phantom --seed "$seed" --output "$work/ct.nii.gz" --reference "$work/reference.nii.gz" >/dev/null
    score "phantom-$seed" "$work/ct.nii.gz" "$work/reference.nii.gz"
done
