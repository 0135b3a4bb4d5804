"""How long the network's multiply-adds alone would take at the CPU's peak: the limit for any engine of each kind.

    python3 deploy/bench/limit.py [GFLOPS]      the peak of all threads, as `hepar bench kernels` prints it

"Direct" is the definition of convolution; "Winograd" counts only the matrix products of F(6x6, 3x3) or F(4x4, 3x3),
whichever takes fewer at the layer's size, without the components that replication makes zero. Transforms, the last
convolution's sums over lanes and all memory traffic come on top.
"""
import math
import sys

LEVELS = (1, 2, 4, 8, 8)
CONVOLUTIONS = (2, 2, 3, 3, 3)


def layers(width, classes=3, slices=5):
    """(level, inputs, replicated inputs, outputs) of each convolution, as in Tests/Fixtures/inference/han_net.py."""
    channels = [width * factor for factor in LEVELS]
    for level, count in enumerate(CONVOLUTIONS):
        before = channels[level - 1] if level else slices
        for index in range(count):
            yield level, channels[level] if index else before, 0, channels[level]
    for level in (3, 2, 1, 0):
        for index in range(CONVOLUTIONS[level]):
            yield level, channels[level], 0 if index else channels[level + 1], channels[level]
    yield 0, channels[0], 0, classes


def winograd(height, width, inputs, replicated, outputs, tile):
    side = tile + 2
    tiles = math.ceil(height / tile) * math.ceil(width / tile)
    return 2 * tiles * outputs * (side ** 2 * inputs + (side - 1) ** 2 * replicated)


def work(width, size):
    """Operations by the definition, and by Winograd's method where the engine uses it."""
    direct = fast = 0
    for index, (level, inputs, replicated, outputs) in enumerate(layers(width)):
        side = size >> level
        plain = 18 * (inputs + replicated) * outputs * side ** 2
        is_ends = index == 0 or outputs == 3
        direct += plain
        fast += plain if is_ends else min(winograd(side, side, inputs, replicated, outputs, t) for t in (4, 6))
    return direct, fast


if __name__ == "__main__":
    peak = float(sys.argv[1]) if len(sys.argv) > 1 else 234.0
    print(f"| width, size | direct GFLOP | Winograd GFLOP | direct ms at {peak:g} GFLOP/s | Winograd ms |")
    print("|---|---|---|---|---|")
    for width in (16, 32, 64):
        for size in (256, 480, 512):
            direct, fast = work(width, size)
            print(f"| w{width} {size}x{size} | {direct / 1e9:.1f} | {fast / 1e9:.2f} | {direct / peak / 1e6:.0f} | "
                  f"{fast / peak / 1e6:.1f} |")
