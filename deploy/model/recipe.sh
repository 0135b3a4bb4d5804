#!/bin/bash
# Trains the default model: both stages, each by one command, from the data folder of training scans.
#
#   HEPAR=.build/release/hepar deploy/model/recipe.sh DATA WORK MODEL
#
# DATA   scans and masks (the data folder's README tells of their windows, spacings and traps)
# WORK   checkpoints and curves: run again after an interruption, it goes on from there
# MODEL  the folder that gets liver.safetensors and lesion.safetensors
set -euo pipefail

data=$1 work=$2 model=$3
licence="CC BY-SA 4.0"
trained_on="Medical Segmentation Decathlon, Task03 Liver (LiTS), 8-bit windowed, without lits005, lits036, lits048; and phantoms"

train() { "$HEPAR" train --data "$data" --resume --licence "$licence" --trained-on "$trained_on" "$@"; }

# Stage 1: where is the liver. One window that every file supplies in part; its floor varies as the files' do.
# Samples are not mirrored: on which side an organ lies tells the liver from the spleen.
train --stage liver --output "$work/liver" --seed 1 \
    --width 16 --spacing 2,2,2.5 --window -40,160 --crop 192 --batch 8 --epochs 3 --steps-per-epoch 500 \
    --optimizer adamw --lr 0.001 --weight-decay 0.01 --schedule cosine --dice-weight 0.3 --average 0.99 \
    --no-flip --scale 0.75,1.3 --rotation 15 --intensity-shift 15 --noise 15 --z-reverse --window-floor -40,2 \
    --balance 0.5 --single-share 0.25 --phantoms 60 --phantom-share 0.15 \
    --validate lits005 lits036 lits048 --validate-every 750

# Stage 2: lesions, at each scan's own resolution, mirrored in half of the samples. The single slices' masks do not tell
# lesion from liver.
train --stage lesion --output "$work/lesion-first" --seed 2 \
    --width 16 --window -40,160 --crop 224 --batch 8 --epochs 14 --steps-per-epoch 500 \
    --optimizer adamw --lr 0.001 --weight-decay 0.01 --schedule cosine --dice-weight 0.3 --average 0.99 \
    --flip --scale 0.75,1.3 --rotation 15 --intensity-shift 10 --noise 10 --blur --z-reverse --window-floor -40,2 \
    --balance 0.5 --lesion-share 0.45 --single-share 0.2 --merged-labels msd_slices --phantoms 60 --phantom-share 0.2 \
    --validate lits005 lits036 lits048 --validate-slices 2 --validate-every 1750

# Then as noisy as the noisiest scans are (30 HU in the liver), and with a background that weighs half as much as the
# liver: at a sixth of it, as in the paper, outlines lie too far out.
train --stage lesion --output "$work/lesion" --seed 3 --init "$work/lesion-first/lesion.safetensors" \
    --window -40,160 --crop 224 --batch 8 --epochs 6 --steps-per-epoch 300 \
    --optimizer adamw --lr 0.0005 --weight-decay 0.01 --schedule cosine --dice-weight 0.5 --class-weights 0.6,1.2,3 \
    --average 0.99 --flip --scale 0.75,1.3 --rotation 15 --intensity-shift 10 --noise 30 --z-reverse --window-floor -40,2 \
    --balance 0.5 --lesion-share 0.5 --single-share 0.15 --merged-labels msd_slices --phantoms 60 --phantom-share 0.15 \
    --validate lits005 lits036 lits048 --validate-slices 2 --validate-every 900

mkdir -p "$model"
for stage in liver lesion; do cp "$work/$stage/$stage.safetensors" "$model/"; done
(cd "$model" && sha256sum liver.safetensors lesion.safetensors)
