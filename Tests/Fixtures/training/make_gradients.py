"""Makes the golden gradients of this folder with the reference network in training. Needs torch, numpy, safetensors.

    python3 Tests/Fixtures/training/make_gradients.py

Everything is computed in double precision from single-precision weights `randomise(HanNet(width, 5, classes), seed)`
and batches that `draw_batch` makes; the tests draw both again (Tests/TestSupport/TorchRandom.swift), so neither is kept.

A case's file holds, in the order of `net.named_parameters()`:
  gradients  of each parameter tensor the elements 0, step, 2 step ... of its flat form, one tensor after the other
  steps      that step for each tensor; 1 in the narrowest network, whose gradients are complete
  largest    the largest magnitude of each whole tensor's gradient
  norms      the Euclidean norm of each whole tensor's gradient
  averages   all running means and variances after the batch, in the order of the state dictionary
  loss       one number; hits, predicted, present: pixels by class, none of them foreground
`losses.safetensors` holds the losses of ten steps of stochastic gradient descent, the batch's loss before each step.

A gradient jumps where rounding moves a value across PReLU's kink or changes a pooling window's largest element, in any
implementation. So each case takes the first seed at which noise of `NOISE` on every convolution's output (relative to
its standard deviation, as large as a fast convolution's rounding) moves no gradient by more than `STEADY`.

Equal values within a pooling window (air) have equal surroundings, so that the choice between them changes no
parameter's gradient.
"""
import itertools
import math
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../inference"))
from han_net import HanNet, randomise, tensors  # noqa: E402

FOREGROUND = 255
SLICES = 5
CLASS_WEIGHTS = [0.2, 1.2, 2.2]
CASES = [  # width, classes, batch, height and width of the images, weight of the Dice term
    (3, 3, 2, 48, 64, 0.5), (8, 3, 2, 32, 48, 0.0), (8, 2, 2, 48, 32, 1.0), (16, 3, 2, 48, 32, 0.5),
    (16, 2, 3, 32, 48, 0.0),
]
NOISE, STEADY = 2e-6, 1e-4
SAMPLES = 300  # gradients kept of a large tensor
STEPS = dict(width=8, classes=3, count=2, height=32, columns=48, seed=300, dice=0.0)
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.001, 0.9, 0.0005


def draw_batch(seed, classes, count, height, columns):
    """Noise with a third of air on the left; labels at random, one in `4 classes + 1` foreground, background in the air."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.empty(count, SLICES, height, columns).uniform_(-1, 1, generator=generator)
    labels = torch.empty(count, height, columns).uniform_(0, classes + 0.25, generator=generator).floor().long()
    labels[labels == classes] = FOREGROUND
    images[..., : columns // 3] = -1
    labels[..., : columns // 3] = 0
    return images, labels


def loss_of(logits, labels, dice_weight):
    """The method's cross-entropy, and the soft Dice term where wanted."""
    classes = logits.shape[1]
    weights = torch.tensor(CLASS_WEIGHTS[:classes], dtype=logits.dtype)
    counted = labels != FOREGROUND
    entropy = F.cross_entropy(logits, labels, weights, ignore_index=FOREGROUND, reduction="sum")
    # Liver or lesion, not told which: their probabilities together, with the liver's weight.
    foreground = logits.log_softmax(1)[:, 1:].logsumexp(1)[~counted]
    loss = (entropy - weights[1] * foreground.sum()) / labels.numel()
    if dice_weight:
        p = logits.softmax(1).permute(0, 2, 3, 1)[counted]
        y = F.one_hot(labels[counted], classes).to(p.dtype)
        dice = (2 * (p * y).sum(0) + 1) / (p.sum(0) + y.sum(0) + 1)
        loss = loss + dice_weight * (1 - dice[1:].mean())
    return loss


def learn(net, images, labels, dice_weight):
    net.zero_grad(set_to_none=True)
    logits = net(images)
    loss = loss_of(logits, labels, dice_weight)
    loss.backward()
    return loss.detach(), logits.detach()


def gradients_of(net):
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def largest_error(actual, expected):
    """The largest difference, as a fraction of the largest magnitude in the same tensor."""
    return max(((actual[name] - value).abs().max() / value.abs().max()).item() for name, value in expected.items())


def is_steady(seed, width, classes, count, height, columns, dice_weight):
    """Whether rounding leaves the gradients of this case as they are."""
    images, labels = draw_batch(seed + 1, classes, count, height, columns)
    generator = torch.Generator().manual_seed(seed)

    def blur(module, given, output):
        noise = torch.randn(output.shape, dtype=output.dtype, generator=generator)
        return output + NOISE * output.detach().std() * noise

    def gradients(noisy):
        net = randomise(HanNet(width, SLICES, classes), seed).double().train()
        for module in net.modules():
            if noisy and isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(blur)
        learn(net, images.double(), labels, dice_weight)
        return gradients_of(net)

    exact = gradients(False)
    return all(largest_error(gradients(True), exact) < STEADY for _ in range(8))


def steady_seed(first, *case):
    return next(seed for seed in itertools.count(first) if is_steady(seed, *case))


def sampling_step(count):
    """A step that leaves about `SAMPLES` elements and meets every tap of a kernel and every channel."""
    step = max(1, count // SAMPLES)
    while math.gcd(step, 6) > 1:
        step += 1
    return step


def make_case(index, width, classes, count, height, columns, dice_weight):
    seed = steady_seed(1000 * (index + 1), width, classes, count, height, columns, dice_weight)
    images, labels = draw_batch(seed + 1, classes, count, height, columns)

    def trained(dtype):
        net = randomise(HanNet(width, SLICES, classes), seed).to(dtype).train()
        return net, *learn(net, images.to(dtype), labels, dice_weight)

    net, loss, logits = trained(torch.float64)
    gradients = gradients_of(net)
    single, single_loss, _ = trained(torch.float32)
    error = largest_error(gradients_of(single), gradients)

    best = logits.topk(2, 1).values
    assert (best[:, 0] - best[:, 1]).min() > 1e-5, "a pixel's class hangs on rounding: take another seed"
    counted = labels != FOREGROUND
    found = logits.argmax(1)
    steps = {name: 1 if index == 0 else sampling_step(gradient.numel()) for name, gradient in gradients.items()}
    result = {
        "gradients": torch.cat([gradient.flatten()[:: steps[name]] for name, gradient in gradients.items()]),
        "steps": torch.tensor(list(steps.values())),
        "largest": torch.stack([gradient.abs().max() for gradient in gradients.values()]),
        "norms": torch.stack([gradient.norm() for gradient in gradients.values()]),
        "averages": torch.cat([value for name, value in tensors(net).items() if "running_" in name]),
        "loss": loss,
        "hits": torch.stack([(counted & (found == c) & (labels == c)).sum() for c in range(classes)]),
        "predicted": torch.stack([(counted & (found == c)).sum() for c in range(classes)]),
        "present": torch.stack([(labels == c).sum() for c in range(classes)]),
    }
    name = f"w{width}_c{classes}_{height}x{columns}"
    facts = dict(width=width, classes=classes, count=count, height=height, columns=columns, dice_weight=dice_weight,
                 seed=seed, single_precision_error=f"{error:.1e}")
    save_file({key: value.float().contiguous() for key, value in result.items()},
              os.path.join(HERE, f"{name}.safetensors"), metadata={key: str(value) for key, value in facts.items()})
    print(f"{name}: seed {seed}, loss {loss:.6f}; in single precision gradients are off by {error:.1e} of the largest, the "
          f"loss by {abs(single_loss - loss):.1e}", flush=True)


def make_losses(width, classes, count, height, columns, seed, dice):
    def run(dtype, rate):
        net = randomise(HanNet(width, SLICES, classes), seed).to(dtype).train()
        optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        losses = []
        for step in range(10):
            images, labels = draw_batch(seed + 1 + step, classes, count, height, columns)
            losses.append(learn(net, images.to(dtype), labels, dice)[0])
            optimiser.step()
        return torch.stack(losses)

    losses = run(torch.float64, LEARNING_RATE)
    error = (run(torch.float32, LEARNING_RATE) - losses).abs().max().item()
    moved = (run(torch.float64, 0) - losses).abs().max().item()
    facts = dict(width=width, classes=classes, count=count, height=height, columns=columns, dice_weight=dice,
                 seed=seed, learning_rate=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY,
                 single_precision_error=f"{error:.1e}")
    save_file({"losses": losses.float()}, os.path.join(HERE, "losses.safetensors"),
              metadata={key: str(value) for key, value in facts.items()})
    print(f"ten steps: losses {losses[0]:.6f} ... {losses[-1]:.6f}; in single precision off by {error:.1e}; "
          f"without learning they would be off by {moved:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for index, case in enumerate(CASES):
        make_case(index, *case)
    make_losses(**STEPS)
