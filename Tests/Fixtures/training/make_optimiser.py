"""Makes optimiser.safetensors: five steps of PyTorch's SGD and AdamW on 40 parameters, of which the first 30 are decayed
by AdamW. Run with torch and safetensors installed: python make_optimiser.py"""
from pathlib import Path

import torch
from safetensors.torch import save_file

RATES = [0.01, 0.009, 0.008, 0.02, 0.001]
DECAY = 0.05

generator = torch.Generator().manual_seed(1)
begin = torch.randn(40, generator=generator)
gradients = torch.randn(len(RATES), 40, generator=generator) * torch.logspace(-3, 1, 40)

tensors = {"begin": begin, "gradients": gradients, "rates": torch.tensor(RATES), "decay": torch.tensor([DECAY])}
for name in ("sgd", "adamw"):
    weights = begin[:30].clone().requires_grad_()
    others = begin[30:].clone().requires_grad_()
    if name == "sgd":
        optimiser = torch.optim.SGD([weights, others], lr=RATES[0], momentum=0.9, weight_decay=DECAY)
    else:
        optimiser = torch.optim.AdamW(
            [{"params": [weights]}, {"params": [others], "weight_decay": 0}], lr=RATES[0], weight_decay=DECAY)
    for rate, gradient in zip(RATES, gradients):
        for group in optimiser.param_groups:
            group["lr"] = rate
        weights.grad, others.grad = gradient[:30].clone(), gradient[30:].clone()
        optimiser.step()
    tensors[name] = torch.cat([weights, others]).detach()
save_file({k: v.contiguous() for k, v in tensors.items()}, Path(__file__).with_name("optimiser.safetensors"))
