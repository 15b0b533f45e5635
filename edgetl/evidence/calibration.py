"""Probabilities that mean what they say: one temperature per artefact, and thresholds for a wanted sensitivity.

Both are fitted on validation images, from the outputs of the very artefact that ships: quantization moves both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.metrics import CALIBRATION_BINS, TARGET_SENSITIVITY, checked

__all__ = ["Bin", "fit_temperature", "operating_points", "reliability", "softmax"]

# Outside of this range a fit says that validation is tiny or the network broken; the bound keeps it usable.
_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True)
class Bin:
    """Predictions whose top probability is above `low` and at most `high`: mean confidence, share right, how many."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax over the last axis of `logits / temperature`, float64, same shape."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float64)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that minimises the negative log likelihood (Guo et al., 2017, https://arxiv.org/abs/1706.04599).

    The loss is convex in 1 / temperature, so its slope has one sign change, found on a log scale.

    Args:
        logits: [N, C] before the softmax; log probabilities do as well, they differ by a constant per row.
        labels: integers [N].

    Returns:
        A temperature in [0.05, 20]; a bound when every prediction is right (or worthless) and the optimum runs away.

    Raises:
        ValueError: shapes or labels do not fit, or a logit is not finite.
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores, truth = checked(scores, labels, [str(index) for index in range(scores.shape[-1])])
    chosen = scores[np.arange(len(truth)), truth]

    def slope(log_temperature: float) -> float:
        """Of the loss in 1 / temperature: E[logit under the model] - E[logit of the label]."""
        expected = (softmax(scores, math.exp(log_temperature)) * scores).sum(axis=1)
        return float((expected - chosen).mean())

    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    if slope(low) <= 0.0:
        return _LOWEST
    if slope(high) > 0.0:
        return _HIGHEST
    from scipy.optimize import brentq  # 0.3 s, which whoever only applies a temperature can do without

    return math.exp(brentq(slope, low, high, xtol=1e-12))


def operating_points(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], sensitivity: float = TARGET_SENSITIVITY
) -> dict[str, float]:
    """Per class, the highest threshold that still finds the wanted share of its images, one class against the rest.

    The threshold lies halfway between the last score that must be found and the next lower one, so that rounding on
    another device does not flip it. Classes without images have none.

    Args:
        probabilities: [N, C].
        labels: integers [N].
        classes: C names.
        sensitivity: wanted share, in (0, 1].
    """
    if not 0.0 < sensitivity <= 1.0:
        raise ValueError(f"sensitivity is {sensitivity}, expected a share in (0, 1]")
    scores, truth = checked(probabilities, labels, classes)
    points: dict[str, float] = {}
    for index, name in enumerate(classes):
        descending = np.sort(scores[truth == index, index])[::-1]
        if not len(descending):
            continue
        needed = math.ceil(sensitivity * len(descending) - 1e-9)
        last = descending[needed - 1]
        lower = scores[scores[:, index] < last, index]
        points[name] = float(0.5 * (last + lower.max())) if len(lower) else float(last)
    return points


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = CALIBRATION_BINS) -> tuple[Bin, ...]:
    """The points of a reliability diagram: per non-empty bin of the top probability, how sure and how right.

    Args:
        probabilities: [N, C].
        labels: integers [N].
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    confidence = scores.max(axis=1)
    correct = scores.argmax(axis=1) == np.asarray(labels)
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)

    def summary(position: int) -> Bin:
        inside = index == position
        means = float(confidence[inside].mean()), float(correct[inside].mean())
        return Bin(position / bins, (position + 1) / bins, *means, int(inside.sum()))

    return tuple(summary(position) for position in np.unique(index).tolist())
