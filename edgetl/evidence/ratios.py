"""How many times as long one file takes as another: ratios of times that were measured at different moments.

Two measurements of one file differ by more than their own rounds do: another day, another place in memory, a neighbour on
the machine. An interval from the rounds alone would call every second repetition slower, hence:

- inner spread: moving blocks of rounds are resampled (Kuensch, 1989, https://doi.org/10.1214/aos/1176347265), as neighbouring
  rounds are alike;
- spread between measurements: of repeated ones of the same file, moderated by what is assumed where there are few (Smyth,
  2004, https://doi.org/10.2202/1544-6115.1027): two lucky repetitions do not make a machine quiet, and no assumption makes a
  restless one so;
- of the two the larger counts, for each measurement.

Everything is done in logarithms, so that twice as slow and twice as quick are equally far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["PRIOR_FREEDOM", "Measured", "Ratio", "Spread", "block_spread", "difference", "moderated", "ratio"]

PRIOR_FREEDOM = 4
"""Degrees of freedom that an assumed spread counts for: as much as five repetitions."""


class Measured(NamedTuple):
    """A time of one measurement, in any unit, and the standard deviation of its logarithm as its own rounds tell."""

    value: float
    inner: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Standard deviation of the logarithm of one measurement's time.

    freedom: degrees of freedom, for Student's t. repeats: measurements beyond the first of a file that it rests on; 0 where
    it is assumed alone.
    """

    deviation: float
    freedom: float
    repeats: int


@dataclass(frozen=True)
class Ratio:
    """Now over before with its 95 % interval.

    chance: how probable a ratio as far from 1, on either side, is where nothing changed.
    """

    value: float
    low: float
    high: float
    chance: float


def block_spread(rounds: Sequence[float], share: float, seed: int = 0, resamples: int = 400) -> float:
    """Standard deviation of the logarithm of a quantile of the rounds' times, over resamples of blocks of rounds.

    Args:
        rounds: a time for each round in their order, above 0; fewer than 3 tell nothing, and give 0.
        share: which quantile, in [0, 1]: 0.5 is the median.
    """
    times = np.asarray(rounds, dtype=np.float64)
    if len(times) < 3:
        return 0.0
    length = max(1, round(len(times) ** (1 / 3)))
    generator = np.random.default_rng(seed)
    blocks = -(-len(times) // length)
    starts = generator.integers(0, len(times) - length + 1, (resamples, blocks))
    drawn = times[(starts[:, :, None] + np.arange(length)).reshape(resamples, -1)[:, : len(times)]]
    return float(np.std(np.log(np.quantile(drawn, share, axis=1)), ddof=1))


def moderated(groups: Sequence[Sequence[float]], assumed: float, freedom: float | None = None) -> Spread:
    """The spread between measurements.

    Args:
        groups: times above 0 of repeated measurements, a group a file; those of one time say nothing.
        assumed: the deviation where nobody repeated anything; counts as `PRIOR_FREEDOM` degrees of freedom.
        freedom: fewer degrees than groups have, where they are not independent: files of one run share its luck.
    """
    logs = [np.log(np.asarray(group, dtype=np.float64)) for group in groups if len(group) > 1]
    own = sum(len(group) - 1 for group in logs)
    counted = own if freedom is None else min(own, freedom)
    variance = sum(float(((group - group.mean()) ** 2).sum()) for group in logs) / own if own else 0.0
    total = PRIOR_FREEDOM + counted
    pooled = (PRIOR_FREEDOM * assumed**2 + counted * variance) / total
    return Spread(math.sqrt(max(pooled, variance)), total, own)


def ratio(before: Sequence[Measured], now: Sequence[Measured], spread: Spread, between: float = 0.0) -> Ratio:
    """How many times as long it takes now: geometric means over the measurements of either side, at least one each.

    Args:
        between: standard deviation of the logarithm of what both sides differ in however often they are measured.
    """
    from scipy.special import stdtr, stdtrit  # 0.2 s, which whoever compares nothing can do without

    distance = _middle(now) - _middle(before)
    error = math.sqrt(_variance(before, spread) + _variance(now, spread) + between**2)
    reach = float(stdtrit(spread.freedom, 0.975)) * error
    chance = 2 * float(stdtr(spread.freedom, -abs(distance) / error)) if error else float(distance == 0)
    return Ratio(math.exp(distance), math.exp(distance - reach), math.exp(distance + reach), chance)


def difference(before: tuple[float, float, float], now: tuple[float, float, float]) -> tuple[float, float, float]:
    """Now minus before, each (value, low, high), as if they were independent: distances to the limits add in squares.

    On the same images they are not, and the truth is narrower (Zou and Donner, 2008, https://doi.org/10.1002/sim.3095).
    """
    value = now[0] - before[0]
    below = math.hypot(now[0] - now[1], before[2] - before[0])
    above = math.hypot(now[2] - now[0], before[0] - before[1])
    return value, value - below, value + above


def _middle(some: Sequence[Measured]) -> float:
    return math.fsum(math.log(each.value) for each in some) / len(some)


def _variance(some: Sequence[Measured], spread: Spread) -> float:
    return math.fsum(max(spread.deviation, each.inner) ** 2 for each in some) / len(some) ** 2
