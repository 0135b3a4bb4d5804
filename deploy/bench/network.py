"""The network alone: one slice, random weights of the reference network."""
import os

import numpy as np
import torch
from common import bench_times, hepar, interleave, timed
from engines import HanNet, export, onnx_runtime, open_vino, pytorch, randomise, save, softmax
from safetensors.numpy import load_file, save_file

METADATA = dict(hepar_format="1", stage="lesion", window_hu="-200,200", spacing_mm="native", licence="none",
                trained_on="nothing: random weights")
OTHER_SHAPES = [(208, 336), (16, 512)]  # not square; only checked, not timed


def smooth_image(height, width, seed):
    """Five slices that look like tissue more than like noise: values in [-1, 1], smooth over some pixels."""
    x = torch.randn(1, 5, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(seed))
    x = torch.nn.functional.interpolate(x, size=(height, width), mode="bicubic").clamp(-1, 1)
    return np.ascontiguousarray(x.numpy())


def softmax_error(net, model, height, width, folder):
    """Largest difference between Hepar's softmax and PyTorch's in single precision."""
    x = smooth_image(height, width, seed=height + width)
    given, answer = os.path.join(folder, "input.safetensors"), os.path.join(folder, "logits.safetensors")
    save_file({"input": x}, given)
    hepar("model", "run", model, given, answer)
    with torch.inference_mode():
        expected = net(torch.from_numpy(x)).numpy()
    return float(np.abs(softmax(load_file(answer)["logits"]) - softmax(expected)).max())


def time_case(table, net, model, size, rounds, folder):
    width = net.width
    graph = os.path.join(folder, f"w{width}_{size}.onnx")
    export(net, graph, size, size)
    x = smooth_image(size, size, seed=1)
    peers = {"onnxruntime": onnx_runtime(graph), "openvino": open_vino(graph), "torch": pytorch(net)}
    # About two seconds of work an engine and round for the narrow networks, two runs for the wide ones.
    cost = (width / 16) ** 2 * (size / 512) ** 2
    runs = max(2, min(9, round(9 / cost)))
    rounds = max(2, min(rounds, round(rounds * 8 / cost)))
    for run in peers.values():
        run(x)

    def ours():
        return bench_times("network", "--model", model, "--size", f"{size}x{size}", "--runs", runs)

    def peer(run):
        def warm_then_timed():
            run(x)
            return timed(lambda: run(x), runs)
        return warm_then_timed

    times = interleave({"hepar": ours} | {name: peer(run) for name, run in peers.items()}, rounds)
    error = softmax_error(net, model, size, size, folder)
    table.add(f"network w{width} {size}x{size}", times, f"softmax within {error:.1e} of torch")
    os.remove(graph)


def run(table, options, folder):
    for width in options.widths:
        net = randomise(HanNet(width).eval(), seed=width)
        model = os.path.join(folder, f"w{width}.safetensors")
        save(net, model, **METADATA)
        for height, columns in OTHER_SHAPES:
            error = softmax_error(net, model, height, columns, folder)
            table.notes.append(f"network w{width} {height}x{columns}: softmax within {error:.1e} of torch")
        for size in options.sizes:
            time_case(table, net, model, size, options.rounds, folder)
        os.remove(model)
