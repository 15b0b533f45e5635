"""How sure a comparison of training recipes is: over the seeds that were trained and the groups that were tested.

One training is one draw: another seed gives another network. The variance of a mean over S seeds on one test set is
that of the groups in the test set (bootstrap, the same resamples for each seed) plus that of the seeds divided by S. The
reach of the interval is Student's t with the degrees of freedom of that sum (Welch, 1947; Satterthwaite, 1946): with three
seeds the second part is poorly known, and the interval says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.intervals import Interval, bootstrap_weights, group_index, student_t
from edgetl.evidence.metrics import checked, weighted_metrics

__all__ = ["repeated"]

Floats = NDArray[np.float64]


def repeated(
    metric: str,
    repeats: Sequence[ArrayLike],
    labels: ArrayLike,
    groups: Sequence[str] | None,
    classes: Sequence[str],
    against: Sequence[ArrayLike] = (),
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Mean of `metric` over trainings with different seeds, and its 95 % interval over seeds and groups.

    Args:
        metric: a name of `edgetl.evidence.metrics.classify_metrics`.
        repeats: probabilities [N, C] of each seed's network on the same test images; one seed has no variance of seeds.
        labels: integers [N].
        groups: per image, what it belongs to; None when every image stands alone.
        classes: C names.
        against: where given, a reference of each seed: then it is the difference to it, in which what both share cancels.
        seed: of the resampling.
        resamples: bootstrap resamples, at least 2.
    """

    def values(probabilities: ArrayLike) -> Floats:
        return _values(metric, probabilities, labels, groups, classes, seed, resamples)

    of_seeds = [values(probabilities) for probabilities in repeats]
    if against:
        of_seeds = [ours - values(theirs) for ours, theirs in zip(of_seeds, against, strict=True)]
    return _interval(of_seeds, groups, labels)


def _values(
    metric: str,
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str] | None,
    classes: Sequence[str],
    seed: int,
    resamples: int,
) -> Floats:
    """The metric on all images, then on each resample: [1 + R]."""
    probabilities, labels = checked(probabilities, labels, classes)
    membership = group_index(groups, len(labels))
    weightings = [np.ones((1, len(labels))), *bootstrap_weights(labels, membership, seed, resamples)]
    parts = [weighted_metrics(probabilities, labels, classes, None, weights)[metric] for weights in weightings]
    return np.concatenate(parts)


def _interval(repeats: Sequence[Floats], groups: Sequence[str] | None, labels: ArrayLike) -> Interval:
    values = np.stack(repeats)  # [S, 1 + R]
    value = float(values[:, 0].mean())
    # A resample without any image of a class, which only groups of several classes allow, is nan in every seed.
    of_groups = float(np.nanvar(values[:, 1:].mean(axis=0), ddof=1))
    seeds = len(values)
    of_seeds = float(values[:, 0].var(ddof=1)) / seeds if seeds > 1 else 0.0
    if of_groups + of_seeds == 0.0:
        return Interval(value, value, value)
    count = len(np.asarray(labels)) if groups is None else len(set(groups))
    freedom = (of_groups + of_seeds) ** 2 / (of_groups**2 / max(count - 1, 1) + of_seeds**2 / max(seeds - 1, 1))
    reach = student_t(freedom) * math.sqrt(of_groups + of_seeds)
    return Interval(value, value - reach, value + reach)
