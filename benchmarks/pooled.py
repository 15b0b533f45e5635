"""A metric on the images and on resamples of their lesions, the same resamples for whatever is compared.

What is computed of such draws (a difference, a mean over networks, a mean over metrics) keeps what its parts share: the same
lesions are hard for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.intervals import Interval, bootstrap_weights, group_index, student_t
from edgetl.evidence.metrics import weighted_metrics

RESAMPLES = 1000

Draws = NDArray[np.float64]
"""float64 [1 + R]: on all images, then on each resample."""


def draws(
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str],
    classes: Sequence[str],
    resamples: int = RESAMPLES,
) -> Mapping[str, Draws]:
    """Every metric of `edgetl.evidence.metrics.classify_metrics` but those at an operating point."""
    truth = np.asarray(labels)
    weightings = [np.ones((1, len(truth))), *bootstrap_weights(truth, group_index(groups, len(truth)), 0, resamples)]
    parts = [weighted_metrics(probabilities, truth, classes, None, weights) for weights in weightings]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def spread(drawn: Draws, groups: Sequence[str]) -> Interval:
    """The value and its 95 % interval, as `edgetl.evidence.intervals.paired_difference` has it."""
    value = float(drawn[0])
    reach = student_t(len(set(groups)) - 1) * float(np.nanstd(drawn[1:], ddof=1))
    return Interval(value, value - reach, value + reach)
