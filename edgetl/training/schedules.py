"""Learning rate over a training run, as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

_LONGEST_WARMUP = 0.5


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
