#!/bin/bash
# Trains a model: both stages, each by one command after another, from the data folder of training scans.
#
#   HEPAR=.build/release/hepar deploy/model/recipe.sh DATA WORK MODEL [WIDTH]
#
# DATA   the folder with train/ and partial/ (its README tells of windows, spacings and traps)
# WORK   checkpoints and curves: run again after an interruption, it goes on from there
# MODEL  the folder that gets liver.safetensors and lesion.safetensors
# WIDTH  32 by default; 16 is four times as fast in use
set -euo pipefail

data=$1 work=$2 model=$3 width=${4:-32}
licence="CC BY-SA 4.0"
trained_on="Medical Segmentation Decathlon, Task03 Liver (LiTS), 8-bit windowed; HCC-TACE-Seg and Colorectal-Liver-Metastases (TCIA), labelled in part; without lits005, lits036, lits048; and phantoms"

train() {
    "$HEPAR" train --data "$data/train" "$data/partial" --resume --licence "$licence" --trained-on "$trained_on" \
        --width "$width" --window -40,160 --batch 8 --optimizer adamw --weight-decay 0.01 --schedule cosine \
        --average 0.995 --no-flip --scale 0.75,1.3 --rotation 15 --z-reverse --window-floor -40,2 --balance 0.5 \
        --validate lits005 lits036 lits048 "$@"
}

# Stage 1: where is the liver. One window that every file supplies in part; its floor varies as the files' do. Samples are
# not mirrored, in either stage: on which side an organ lies tells the liver from the spleen.
train --stage liver --output "$work/liver" --seed 11 --spacing 2,2,2.5 --crop 192 --epochs 8 --steps-per-epoch 500 \
    --lr 0.001 --dice-weight 0.3 --intensity-shift 15 --noise 25 --contrast 30 --thickness 2.5,6 --painted 0.4 \
    --single-share 0.3 --phantoms 60 --phantom-share 0.1 --validate-every 1000

# Stage 2: lesions, at each scan's own resolution. The single slices' masks do not tell lesion from liver.
lesion() {
    train --stage lesion --crop 224 --dice-weight 0.4 --class-weights 0.5,1.2,2.6 --merged-labels msd_slices \
        --blur --noise 35 --validate-slices 3 "$@"
}
lesion --output "$work/lesion-first" --seed 6 --epochs 8 --steps-per-epoch 475 --lr 0.001 --intensity-shift 15 \
    --lesion-share 0.45 --single-share 0.15 --phantoms 60 --phantom-share 0.15 --validate-every 1900

# Then with other phases, other slice distances, and lesions painted into healthy liver.
lesion --output "$work/lesion" --seed 12 --init "$work/lesion-first/lesion.safetensors" \
    --epochs 6 --steps-per-epoch 450 --lr 0.0006 --intensity-shift 12 --contrast 22 --thickness 1,10 --painted 0.6 \
    --lesion-share 0.4 --single-share 0.12 --phantoms 40 --phantom-share 0.08 --validate-every 900

mkdir -p "$model"
for stage in liver lesion; do cp "$work/$stage/$stage.safetensors" "$model/"; done
"$HEPAR" model set "$model/lesion.safetensors" --lesion-extent 0.2
(cd "$model" && sha256sum liver.safetensors lesion.safetensors)
