"""How long a training is, and its learning rate and picture size on the way, as pure functions: nothing to save."""

from __future__ import annotations

import math

_LONGEST_WARMUP = 0.5

_FROM_RANDOM = (4600, 20, 300)
_FROM_PRETRAINED = (1150, 5, 100)
"""Optimizer steps that a network needs, and the fewest and the most epochs that are made of them."""

_SMALL = 3 / 4
_MULTIPLES = (32, 8, 1)
"""Sides of small pictures: 32 is the stride of most backbones, 8 what a recipe's sizes are multiples of."""


def epochs_needed(steps_per_epoch: int, pretrained: bool) -> int:
    """Epochs that a network needs to come to its level, by the number of optimizer steps.

    4,600 steps from random weights are 100 epochs of HAM10000's 5,963 training images in batches of 128, 1,150 from
    pretrained ones are 25: what the benchmarks' ladder of training lengths rests on (docs/results.md). A small data set has
    few steps in an epoch and gets more epochs, but not without end: it sees the same images again. A large one gets fewer.

    Args:
        steps_per_epoch: >= 1.
        pretrained: whether the weights it starts from are those of a trained network.

    Returns:
        20 to 300 epochs from random weights, 5 to 100 from pretrained ones.
    """
    steps, fewest, most = _FROM_PRETRAINED if pretrained else _FROM_RANDOM
    return min(most, max(fewest, math.ceil(steps / steps_per_epoch)))


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """Factor of the peak learning rate: a linear rise over `warmup` steps, then half a cosine towards 0.

    Goyal et al., 2017, https://arxiv.org/abs/1706.02677 (warm-up); Loshchilov and Hutter, 2017,
    https://arxiv.org/abs/1608.03983 (cosine). A warm-up longer than half of the run is cut to half, so that a very
    short run still comes down again.

    Args:
        step: 0-based, below `steps`.
        steps: optimizer steps of the whole run, >= 1.
        warmup: steps until the peak; 0 starts at the peak.

    Returns:
        A factor in (0, 1].
    """
    assert 0 <= step < steps, f"step {step} of {steps}"
    warmup = min(warmup, int(steps * _LONGEST_WARMUP))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def cooled(step: int, steps: int) -> float:
    """Factor of the learning rate in a cooldown: from 1 to almost 0 as 1 - sqrt.

    Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024,
    https://arxiv.org/abs/2405.18392: a short cooldown from wherever a training stands does what a cosine of that length
    would have done, and 1 - sqrt does it better than a line.

    Args:
        step: 0-based, of the cooldown, below `steps`.
        steps: of the whole cooldown, >= 1.

    Returns:
        A factor in (0, 1].
    """
    assert 0 <= step < steps, f"step {step} of {steps}"
    return 1 - math.sqrt(step / steps)


def small_epochs(progressive: float, epochs: int) -> int:
    """How many of the first epochs train on small pictures; at least the last one does not.

    Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", 2021, https://arxiv.org/abs/2104.00298: a network
    learns what is coarse from smaller pictures at a fraction of the cost. Their sizes grow in several stages, ours in one.
    """
    return min(int(progressive * epochs), epochs - 1)


def small_side(side: int) -> int:
    """Three quarters of a side of at least 3 pixels, to the nearest multiple of 32 that is smaller than the side, else of 8:
    128 -> 96, 224 -> 160, 64 -> 48."""
    sides = (multiple * round(side * _SMALL / multiple) for multiple in _MULTIPLES)
    return next(small for small in sides if 0 < small < side)
