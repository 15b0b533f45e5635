"""How many times as long one file takes as its twin, when both were timed in the same rounds.

A round's two medians were measured within the same moments, so a slow minute of the machine is in both and leaves their
quotient alone. The interval is that of the sign test: between two of the ordered quotients, whatever their distribution
(Conover, Practical Nonparametric Statistics, 3.2); one round that went wrong moves it by one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from edgetl.evidence.intervals import Interval

__all__ = ["FEWEST", "quotient"]

FEWEST = 6
"""Rounds; of fewer ones even the smallest and the largest quotient hold the median less often than 95 times in 100."""


def quotient(times: Sequence[float], twin: Sequence[float]) -> Interval | None:
    """The median quotient of two files' times, with its 95 % interval; None where too few rounds tell.

    Args:
        times, twin: a time above 0 for each round, in any unit; round i of both ran within the same moments.
    """
    if len(times) != len(twin) or len(times) < FEWEST:
        return None
    quotients = np.sort(np.asarray(times, np.float64) / np.asarray(twin, np.float64))
    if not np.isfinite(quotients).all():
        return None
    outside = _outside(len(quotients))
    return Interval(
        float(np.median(quotients)), float(quotients[outside]), float(quotients[len(quotients) - 1 - outside])
    )


def _outside(count: int) -> int:
    """How many of the ordered quotients lie below the interval, and as many above it."""
    outside, chance = 0, 2 / 2**count
    while chance <= 0.05:
        outside += 1
        chance += 2 * comb(count, outside) / 2**count
    return outside - 1
