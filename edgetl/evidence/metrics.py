"""Metrics of a classifier, computed once for any weighting of the images.

A bootstrap resample is a vector of weights (how often each image was drawn), so the same code gives the point estimate
(all weights 1) and a thousand resamples at once; that makes intervals cheap in `edgetl.evidence.intervals`.

A metric that the data cannot answer (the sensitivity to a class without images) is left out, never NaN or 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CALIBRATION_BINS",
    "TARGET_SENSITIVITY",
    "Proportion",
    "checked",
    "classify_metrics",
    "proportions",
    "weighted_metrics",
]

CALIBRATION_BINS = 15
TARGET_SENSITIVITY = 0.90
_SMALLEST_PROBABILITY = 1e-12

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]


class Proportion(NamedTuple):
    """A metric of the form "share of these images for which this holds"; bool [N] each, `hits` inside `among`."""

    hits: Booleans
    among: Booleans


def classify_metrics(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], thresholds: Mapping[str, float] | None = None
) -> dict[str, float]:
    """All metrics of one set of predictions.

    - `accuracy`, `sensitivity.CLASS`, `specificity.CLASS` of the most probable class;
      `balanced_accuracy`: mean sensitivity over the classes that have images.
    - `auroc.CLASS` one against the rest, `auroc` their mean (ties count one half).
    - `sensitivity.CLASS@0.90`, `specificity.CLASS@0.90`: positive when the probability reaches the class's threshold,
      which was chosen elsewhere (on validation) to give this sensitivity.
    - `ece`: expected calibration error over 15 equal bins of the top probability (https://arxiv.org/abs/1706.04599);
      `nll`: mean negative log likelihood in nats; `brier`: mean squared distance to the one-hot label, in [0, 2].

    Args:
        probabilities: [N, C], each row a distribution.
        labels: integers [N] in [0, C).
        classes: C names.
        thresholds: class name to threshold; classes without one get no operating point.

    Raises:
        ValueError: shapes, labels or thresholds do not fit together, or a probability is not finite.
    """
    probabilities, labels = checked(probabilities, labels, classes)
    everyone = np.ones((1, len(labels)))
    return {
        name: float(value[0])
        for name, value in weighted_metrics(probabilities, labels, classes, thresholds, everyone).items()
    }


def weighted_metrics(
    probabilities: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    thresholds: Mapping[str, float] | None,
    weights: Floats,
) -> dict[str, Floats]:
    """`classify_metrics` under R weightings of the images at once.

    Args:
        weights: float64 [R, N], not negative.

    Returns:
        Metric name to float64 [R]; NaN where a weighting leaves a metric without images (a class that was not drawn).
    """
    probabilities, labels = checked(probabilities, labels, classes)
    metrics: dict[str, Floats] = {}
    for name, share in proportions(probabilities, labels, classes, thresholds).items():
        metrics[name] = _ratio(weights @ share.hits.astype(np.float64), weights @ share.among.astype(np.float64))
    present = [name for index, name in enumerate(classes) if (labels == index).any()]
    metrics["balanced_accuracy"] = _mean([metrics[f"sensitivity.{name}"] for name in present])

    curves = {}
    for index, name in enumerate(classes):
        positive = labels == index
        if positive.any() and not positive.all():
            curves[f"auroc.{name}"] = _auroc(probabilities[:, index], positive, weights)
    if curves:
        metrics["auroc"] = _mean(list(curves.values()))
    metrics |= curves
    metrics |= _probabilistic(probabilities, labels, weights)
    return metrics


def proportions(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], thresholds: Mapping[str, float] | None = None
) -> dict[str, Proportion]:
    """The metrics that are plain shares of images, by name; those about no image are left out."""
    probabilities, labels = checked(probabilities, labels, classes)
    thresholds = thresholds or {}
    if unknown := sorted(set(thresholds) - set(classes)):
        raise ValueError(f"thresholds name {unknown}, expected some of {list(classes)}")
    predicted = probabilities.argmax(axis=1)
    shares = {"accuracy": Proportion(predicted == labels, np.ones(len(labels), dtype=bool))}
    for index, name in enumerate(classes):
        actual = labels == index
        shares |= _both_sides(f"{name}", predicted == index, actual)
        if name in thresholds:
            flagged = probabilities[:, index] >= thresholds[name]
            shares |= _both_sides(f"{name}@{TARGET_SENSITIVITY:.2f}", flagged, actual)
    return {name: share for name, share in shares.items() if share.among.any()}


def checked(probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str]) -> tuple[Floats, Integers]:
    """The two arrays as float64 [N, C] and int64 [N].

    Raises:
        ValueError: they do not fit each other or the classes.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(labels)
    if scores.ndim != 2 or scores.shape[1] != len(classes) or not len(scores):
        raise ValueError(f"probabilities have shape {scores.shape}, expected [N > 0, {len(classes)}]")
    if truth.shape != scores.shape[:1] or not np.issubdtype(truth.dtype, np.integer):
        raise ValueError(f"labels are {truth.dtype} {truth.shape}, expected {len(scores)} integers")
    if truth.min() < 0 or truth.max() >= len(classes):
        raise ValueError(f"labels lie in [{truth.min()}, {truth.max()}], expected [0, {len(classes) - 1}]")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).any(axis=1).sum())} rows of probabilities are not finite")
    return scores, truth.astype(np.int64)


def _both_sides(name: str, flagged: Booleans, actual: Booleans) -> dict[str, Proportion]:
    return {
        f"sensitivity.{name}": Proportion(flagged & actual, actual),
        f"specificity.{name}": Proportion(~flagged & ~actual, ~actual),
    }


def _auroc(scores: Floats, positive: Booleans, weights: Floats) -> Floats:
    """Weighted Mann-Whitney: the chance that a positive scores above a negative, ties counting one half. [R]."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    drawn = weights[:, order]
    positives = np.add.reduceat(drawn * positive[order], starts, axis=1)
    negatives = np.add.reduceat(drawn * ~positive[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - 0.5 * negatives
    return _ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


def _probabilistic(probabilities: Floats, labels: Integers, weights: Floats) -> dict[str, Floats]:
    rows = np.arange(len(labels))
    total = weights.sum(axis=1)
    log_loss = -np.log(np.maximum(probabilities[rows, labels], _SMALLEST_PROBABILITY))
    target = np.zeros_like(probabilities)
    target[rows, labels] = 1.0
    distance = ((probabilities - target) ** 2).sum(axis=1)

    confidence = probabilities.max(axis=1)
    surplus = confidence - (probabilities.argmax(axis=1) == labels)
    # Bins are (low, high], as in the paper's code; a confidence of exactly 0 joins the first.
    index = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    bins = np.zeros((len(labels), CALIBRATION_BINS))
    bins[rows, index] = surplus
    return {
        "ece": _ratio(np.abs(weights @ bins).sum(axis=1), total),
        "nll": _ratio(weights @ log_loss, total),
        "brier": _ratio(weights @ distance, total),
    }


def _mean(columns: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(np.stack(columns), axis=0), dtype=np.float64)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
