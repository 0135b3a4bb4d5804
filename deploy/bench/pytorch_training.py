"""Times PyTorch's training step in a process of its own, so that its memory can be told; training.py starts it.

    python deploy/bench/pytorch_training.py WIDTH CROP BATCH contiguous|channels_last RUNS

Prints one JSON line: {"samples_per_s", "median_ms", "min_ms", "peak_rss_bytes", "imports_rss_bytes", "torch"}. The
peak is the whole process's; `imports_rss_bytes` is what it held before the network was made.
"""
import json
import os
import re
import sys

import torch
import torch.nn.functional as F
from common import THREADS, timed

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Tests/Fixtures/inference"))
from han_net import HanNet, randomise  # noqa: E402

CLASSES = 3
CLASS_WEIGHTS = torch.tensor([0.2, 1.2, 2.2])
IGNORED = 255


def peak_bytes():
    """The most memory this process has held. Not `ru_maxrss`: that starts with the parent's."""
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


def training_step(width, crop, batch, layout):
    """A function that learns once from one random batch."""
    net = randomise(HanNet(width, classes=CLASSES), seed=1).train().to(memory_format=layout)
    generator = torch.Generator().manual_seed(2)
    images = torch.empty(batch, net.slices, crop, crop).uniform_(-1, 1, generator=generator).to(memory_format=layout)
    labels = torch.randint(CLASSES, (batch, crop, crop), generator=generator)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(images), labels, CLASS_WEIGHTS, ignore_index=IGNORED, reduction="sum")
        (loss / (labels != IGNORED).sum()).backward()
        optimiser.step()

    return step


def main():
    width, crop, batch, layout, runs = sys.argv[1:]
    width, crop, batch = int(width), int(crop), int(batch)
    torch.set_num_threads(THREADS)
    before = peak_bytes()
    step = training_step(width, crop, batch, {"contiguous": torch.contiguous_format,
                                              "channels_last": torch.channels_last}[layout])
    for _ in range(2):  # as `hepar bench training`
        step()
    times = timed(step, int(runs))
    print(json.dumps({
        "samples_per_s": batch / times.median * 1e3, "median_ms": times.median, "min_ms": times.least,
        "peak_rss_bytes": peak_bytes(), "imports_rss_bytes": before, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
