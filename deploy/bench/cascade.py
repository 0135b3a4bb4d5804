"""The whole cascade from file to file, with the default model, on a synthetic scan of usual size."""
import os

import nibabel
import numpy as np
from common import THREADS, hepar, interleave, timed
from engines import export, onnx_runtime, open_vino
from python_cascade import Model, segment

SHAPE, SPACING = "512,512,129", "0.57,0.57,1.6"


def scan(folder):
    """A phantom and its reference; made once for all parts of a run."""
    ct, reference = os.path.join(folder, "ct.nii.gz"), os.path.join(folder, "reference.nii.gz")
    if not os.path.exists(ct):
        hepar("phantom", "--seed", 1, "--output", ct, "--reference", reference, "--shape", SHAPE, "--spacing",
              SPACING, "--lesions", 4)
    return ct, reference


def shaped(compile_for):
    """An engine for any input: one compiled for each size it meets. The first, untimed round pays for that."""
    compiled = {}

    def infer(x):
        if x.shape not in compiled:
            compiled[x.shape] = compile_for(list(x.shape))
        return compiled[x.shape](x)

    return infer


def dice(a, b):
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def run(table, options, folder):
    ct, _ = scan(folder)
    models = Model.folder("Models/default")
    graphs = [os.path.join(folder, f"stage{index}.onnx") for index in (1, 2)]
    for model, graph in zip(models, graphs):
        export(model.net, graph, 160, 160, dynamic=True)
    engines = {
        "scipy+onnxruntime": [onnx_runtime(graph) for graph in graphs],
        "scipy+openvino": [shaped(lambda shape, graph=graph: open_vino(graph, shape)) for graph in graphs],
    }
    masks = {name: os.path.join(folder, f"{name}.nii.gz") for name in ["hepar", *engines]}
    calls = {"hepar": lambda: timed(lambda: hepar(
        "segment", ct, "--output", masks["hepar"], "--model", "Models/default", "--threads", THREADS))}
    for name, pair in engines.items():
        calls[name] = lambda name=name, pair=pair: timed(lambda: segment(ct, masks[name], models, pair))
    for call in calls.values():
        call()

    # A pass over the scan takes seconds: two rounds show what a third would.
    times = interleave(calls, min(options.rounds, 2))
    labels = {name: np.asarray(nibabel.load(path).dataobj) for name, path in masks.items()}
    agreement = {}
    for name in engines:
        agreement[name] = [dice(labels["hepar"] >= least, labels[name] >= least) for least in (1, 2)]
        if min(agreement[name]) <= 0.999:
            raise SystemExit(f"Hepar's mask and that of {name} differ: Dice {agreement[name]} of liver and lesion.")
    voxels = [np.count_nonzero(labels["hepar"] >= least) for least in (1, 2)]
    note = f"{voxels[0]} voxels of liver, {voxels[1]} of them lesion; " + ", ".join(
        f"Dice with {name} {liver:.5f} (liver), {lesion:.5f} (lesion)" for name, (liver, lesion) in agreement.items())
    table.add(f"cascade w{models[1].net.width} 512x512x129", times, note)
