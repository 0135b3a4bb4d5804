"""Makes the golden logits of this folder with the reference network. Needs torch, numpy and safetensors.

    HEPAR_SHARED=../shared python3 Tests/Fixtures/inference/make_golden.py

Each file holds the logits of `randomise(HanNet(width, slices, classes), seed)` for an input drawn by
`torch.Generator().manual_seed(seed + 1)`; the metadata say which. Weights and input are not kept: the tests draw the
same numbers (Tests/TestSupport/TorchRandom.swift). `weights.safetensors` holds a few of them, to test that.
"""
import os
import sys

import torch
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))
shared = os.environ.get("HEPAR_SHARED", os.path.join(here, "../../../../shared"))
sys.path.insert(0, os.path.join(shared, "reference"))
from han_net import HanNet, randomise, tensors  # noqa: E402

CASES = [  # width, slices, classes, batch, height, width of the image
    (8, 5, 3, 1, 32, 48), (8, 5, 2, 2, 48, 16), (8, 3, 3, 1, 16, 16), (16, 5, 3, 1, 48, 16), (16, 5, 2, 1, 64, 80),
    (64, 5, 3, 1, 32, 48),
]

torch.set_num_threads(1)
samples = {}
for index, (width, slices, classes, batch, height, columns) in enumerate(CASES):
    seed = 100 + index
    net = randomise(HanNet(width, slices, classes).eval(), seed)
    x = torch.empty(batch, slices, height, columns)
    x.uniform_(-1, 1, generator=torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        logits = net.double()(x.double()).float()
    facts = dict(width=width, slices=slices, classes=classes, seed=seed)
    save_file({"logits": logits.contiguous()}, os.path.join(here, f"w{width}_c{classes}_{height}x{columns}.safetensors"),
              metadata={k: str(v) for k, v in facts.items()})
    samples |= {f"{seed}.{name}": t.flatten()[-40:].float().contiguous() for name, t in tensors(net).items()
                if name.startswith(("mid.units.2", "head"))}
    samples[f"{seed}.input"] = x.flatten()[-40:].contiguous()
save_file(samples, os.path.join(here, "weights.safetensors"))
