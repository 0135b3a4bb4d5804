"""The reference network in the peers' hands: export to ONNX, and sessions of ONNX Runtime, OpenVINO and PyTorch."""
import copy
import os
import sys
import warnings

import numpy as np
import onnxruntime
import openvino
import torch
from common import THREADS

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Tests/Fixtures/inference"))
from han_net import ConvUnit, HanNet, randomise, save  # noqa: E402,F401

torch.set_num_threads(THREADS)


def export(net, path, height, width, dynamic=False):
    """Writes an ONNX file with input `x`, of fixed size unless `dynamic`."""
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "h", 3: "w"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.zeros(1, net.slices, height, width), path, input_names=["x"],
                          output_names=["y"], dynamic_axes=axes, dynamo=False)


def onnx_runtime(path):
    """A function from (1, C, H, W) to logits; ONNX Runtime's defaults, all graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def open_vino(path, shape=None):
    """The same by OpenVINO, tuned for latency, in single precision: its default on new CPUs is bfloat16."""
    core = openvino.Core()
    model = core.read_model(path)
    if shape:
        model.reshape(shape)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda x: request.infer([x])[0]


def pytorch(net):
    """The same by PyTorch with batch norm folded, channels last: its faster layout on CPUs."""
    net = copy.deepcopy(net).eval()
    for module in list(net.modules()):
        if isinstance(module, ConvUnit):
            module.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = torch.nn.Identity()
    net = net.to(memory_format=torch.channels_last)

    def run(x):
        with torch.inference_mode():
            return net(torch.from_numpy(x).to(memory_format=torch.channels_last)).numpy()

    return run


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
