"""How sure a number is: 95 % intervals that respect groups (lesions, patients) and small classes.

Images of one lesion succeed and fail together, so groups are resampled, never images, and within their class, so that a
resample never loses one. A percentile bootstrap covers too little for a dozen groups and collapses to a point when a
class is all right, hence:

- shares (accuracy, sensitivity, specificity): Wilson's interval on the effective number of images, that is the number
  divided by the design effect of the groups (Korn and Graubard, 1998). At 0 or 1 the data say nothing about that
  effect: the images of a group count as copies of one.
- balanced accuracy: the classes' intervals put together (MOVER; Zou and Donner, 2008, https://doi.org/10.1002/sim.3095).
- AUROC: the bootstrap's variance turned into an effective number, then Wilson's interval: asymmetric, inside [0, 1],
  with a width also at 1.
- ece, nll, brier: +- t times the bootstrap's standard deviation around the value less the bias that the bootstrap sees
  (a small sample makes a calibration error look larger than it is), widened to hold the value, not below 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.metrics import Proportion, checked, classify_metrics, proportions, weighted_metrics

__all__ = [
    "Interval",
    "bootstrap_weights",
    "group_index",
    "mean_interval",
    "paired_difference",
    "student_t",
    "wilson",
    "with_intervals",
]

_Z = NormalDist().inv_cdf(0.975)
_CELLS_AT_ONCE = 4_000_000  # weights [R, N] held at a time: 32 MB

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval, `low <= value <= high`."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """As in report.json."""
        return {"value": self.value, "low": self.low, "high": self.high}


class _Spread(NamedTuple):
    mean: float
    deviation: float


def with_intervals(
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str] | None,
    classes: Sequence[str],
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Interval]:
    """Every metric of `classify_metrics` with its interval.

    Args:
        probabilities: [N, C].
        labels: integers [N].
        groups: per image, what it belongs to; None when every image stands alone.
        classes: C names.
        thresholds: see `classify_metrics`.
        seed: of the resampling; the same seed gives the same intervals.
        resamples: bootstrap resamples, at least 2.
    """
    probabilities, labels = checked(probabilities, labels, classes)
    membership = group_index(groups, len(labels))
    values = classify_metrics(probabilities, labels, classes, thresholds)
    intervals: dict[str, Interval] = {}
    for name, share in proportions(probabilities, labels, classes, thresholds).items():
        intervals[name] = _share_interval(share, membership)
    recalls = [intervals[key] for name in classes if (key := f"sensitivity.{name}") in intervals]
    intervals["balanced_accuracy"] = mean_interval(recalls)

    spread = _spread(probabilities, labels, classes, membership, seed, resamples)
    groups_of = {name: len(np.unique(membership[labels == index])) for index, name in enumerate(classes)}
    total = int(membership.max()) + 1
    smallest = min(count for count in groups_of.values() if count)
    for name, value in values.items():
        if name.startswith("auroc"):
            count = groups_of.get(name.removeprefix("auroc."), smallest)
            apart = max(1, min(count, total - count))  # 0 where every group has images of the class and others
            intervals[name] = _area_interval(value, spread[name].deviation, apart)
        elif name not in intervals:
            intervals[name] = _error_interval(value, spread[name], total)
    return {name: intervals[name] for name in values}


def paired_difference(
    metric: str,
    candidate: ArrayLike,
    reference: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str] | None,
    classes: Sequence[str],
    thresholds: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """`metric` of the candidate minus that of the reference on the same images, below 0 when the candidate is worse.

    Both are resampled together, so what they share cancels out: far narrower than the difference of two intervals.

    Args:
        candidate, reference: probabilities [N, C] of the same images.
        thresholds: the candidate's and the reference's, for metrics at an operating point.

    Raises:
        ValueError: the metric is unknown or has no images here.
    """
    candidate, labels = checked(candidate, labels, classes)
    reference, labels = checked(reference, labels, classes)
    ours, theirs = thresholds or (None, None)
    everyone = np.ones((1, len(labels)))

    def difference(weights: Floats) -> Floats:
        a = weighted_metrics(candidate, labels, classes, ours, weights)
        b = weighted_metrics(reference, labels, classes, theirs, weights)
        if metric not in a or metric not in b:
            raise ValueError(f"metric {metric!r} is not defined here, expected one of {sorted(set(a) & set(b))}")
        return np.asarray(a[metric] - b[metric], dtype=np.float64)

    membership = group_index(groups, len(labels))
    value = float(difference(everyone)[0])
    drawn = np.concatenate([difference(weights) for weights in bootstrap_weights(labels, membership, seed, resamples)])
    reach = student_t(int(membership.max())) * float(np.nanstd(drawn, ddof=1))
    return Interval(value, value - reach, value + reach)


def wilson(share: float, images: float, z: float = _Z) -> Interval:
    """Wilson's score interval of a share seen in a (possibly fractional, effective) number of images."""
    middle = (share + z * z / (2 * images)) / (1 + z * z / images)
    reach = z / (1 + z * z / images) * math.sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    return Interval(share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))


def mean_interval(parts: Sequence[Interval]) -> Interval:
    """Interval of the mean of independent estimates, from theirs (MOVER: distances to the limits add in squares)."""
    value = math.fsum(part.value for part in parts) / len(parts)
    below = math.sqrt(math.fsum((part.value - part.low) ** 2 for part in parts)) / len(parts)
    above = math.sqrt(math.fsum((part.high - part.value) ** 2 for part in parts)) / len(parts)
    return Interval(value, max(0.0, value - below), min(1.0, value + above))


def _share_interval(share: Proportion, membership: Integers) -> Interval:
    sizes = np.bincount(membership, weights=share.among)
    hits = np.bincount(membership, weights=share.hits)[sizes > 0]
    sizes = sizes[sizes > 0]
    images, count = float(sizes.sum()), len(sizes)
    value = float(hits.sum() / images)
    # Kish: the number of equal groups that would be worth as much when the images of a group are copies of each other.
    fewest = images**2 / float((sizes**2).sum())
    variance = count / max(count - 1, 1) * float(((hits - value * sizes) ** 2).sum()) / images**2
    effective = value * (1.0 - value) / variance if variance > 0 else fewest
    return wilson(value, float(np.clip(effective, fewest, images)))


def _area_interval(value: float, spread: float, groups: int) -> Interval:
    """An area is a mean of numbers in [0, 1], so `value * (1 - value) / groups` bounds its variance from above."""
    variance = spread**2 * groups / max(groups - 1, 1)  # resampling n groups sees (n - 1) / n of their variance
    effective = value * (1.0 - value) / variance if variance > 0 else float(groups)
    return wilson(value, max(effective, float(groups)), student_t(groups - 1))


def _error_interval(value: float, spread: _Spread, groups: int) -> Interval:
    middle = 2 * value - spread.mean
    reach = student_t(groups - 1) * spread.deviation
    return Interval(value, max(0.0, min(value, middle - reach)), max(value, middle + reach))


def _spread(
    probabilities: Floats, labels: Integers, classes: Sequence[str], membership: Integers, seed: int, resamples: int
) -> dict[str, _Spread]:
    """Mean and standard deviation of each metric over the resamples."""
    parts = [
        weighted_metrics(probabilities, labels, classes, None, weights)
        for weights in bootstrap_weights(labels, membership, seed, resamples)
    ]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: _Spread(float(np.nanmean(of)), float(np.nanstd(of, ddof=1))) for name, of in drawn.items()}


def bootstrap_weights(labels: Integers, membership: Integers, seed: int, resamples: int) -> Iterator[Floats]:
    """Weights of the images, [R, N] at a time: groups drawn with replacement within each class.

    A group with several labels (two images of one patient) counts to its most frequent one.
    """
    generator = np.random.default_rng(seed)
    table = np.zeros((int(membership.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (membership, labels), 1)
    strata = table.argmax(axis=1)
    chunk = max(1, _CELLS_AT_ONCE // len(labels))
    for start in range(0, resamples, chunk):
        rounds = min(chunk, resamples - start)
        counts = np.zeros((rounds, len(strata)))
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            counts[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), rounds)
        yield counts[:, membership]


def group_index(groups: Sequence[str] | None, images: int) -> Integers:
    """Index of each image's group, int64 [N]."""
    if groups is None:
        return np.arange(images, dtype=np.int64)
    if len(groups) != images:
        raise ValueError(f"{len(groups)} groups for {images} images, expected one each")
    return np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def student_t(freedom: float) -> float:
    """Student's t at 97.5 %, with one degree of freedom at least."""
    from scipy.special import stdtrit  # 0.2 s, which whoever only reads intervals can do without

    return float(stdtrit(max(freedom, 1.0), 0.975))
