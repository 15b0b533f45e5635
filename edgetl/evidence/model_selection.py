"""Which of several trained candidates to keep, without mistaking noise for progress.

Of all candidates that are not worse than the best one by more than chance explains, the simplest is kept. The best of many
is ahead by luck more often than the better of two, so a candidate is held against the maximum over all: it is out where its
distance to the best is larger than what the largest distance from it to any candidate would be, in 84 of 100 resamples, if
all were of equal worth. That is the test of superior predictive ability with the candidate as the benchmark (Hansen, 2005,
https://doi.org/10.1198/073500105000000063; White, 2000, https://doi.org/10.1111/1468-0262.00152), not studentized, so that
every candidate is held against one number. For two candidates it is the one-standard-error rule (Breiman et al., 1984;
Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 7.10); however many there are, one that is not the
simplest is kept in about one of six cases where all are equal.

Resampled are groups within each class, for all candidates at once: what they share cancels out. How much another seed of the
training would change is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import bootstrap_weights, group_index
from edgetl.evidence.metrics import checked, weighted_metrics

__all__ = ["RULE", "Standing", "choose", "score", "weighted_scores"]

Value = TypeVar("Value", float, NDArray[np.float64])

RULE = (
    "score = mean of balanced accuracy and macro AUROC on validation; kept is the smallest weight that is behind the "
    "best score by no more than chance would put the best of so many equal candidates ahead of it in 84 of 100 cases "
    "(paired group bootstrap within classes; of two candidates that is one standard error)"
)
_RESAMPLES = 500
_BY_CHANCE = 0.16  # a normal variable is one standard deviation or more above its mean that often


@dataclass(frozen=True)
class Standing:
    """How a candidate stands.

    behind: the best score less its own.
    standard_error: of that distance.
    allowed: how far behind it may be and still be kept: that much chance alone would do, among so many candidates.
    """

    score: float
    behind: float
    standard_error: float
    allowed: float


def score(balanced_accuracy: Value, auroc: Value) -> Value:
    """What a candidate is judged by; both in [0, 1], as arrays [R] under R weightings."""
    return (balanced_accuracy + auroc) / 2


def weighted_scores(
    probabilities: NDArray[np.float64], labels: NDArray[np.integer], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score under each weighting: float64 [R].

    Args:
        probabilities: [N, C].
        labels: class indices [N].
        weights: of the images, [R, N].
    """
    classes = [str(number) for number in range(probabilities.shape[1])]
    probabilities, truth = checked(probabilities, labels, classes)
    metrics = weighted_metrics(probabilities, truth, classes, None, weights)
    return score(metrics["balanced_accuracy"], metrics["auroc"])


def choose(
    logits: Sequence[ArrayLike], labels: NDArray[np.integer], groups: Sequence[str], seed: int
) -> tuple[int, list[Standing]]:
    """The candidate to keep and where all stand.

    Args:
        logits: [N, C] of each candidate on the same validation images, the simplest candidate first.
        labels: class indices [N], at least two different ones.
        groups: [N], what was sampled together (lesion, patient); a group may have images of several classes.
        seed: of the resampling.

    Returns:
        The index of the chosen candidate, and a standing for each.
    """
    membership = group_index(groups, len(labels))
    probabilities = [softmax(candidate) for candidate in logits]
    everyone = np.ones((1, len(labels)))
    scores = np.concatenate([weighted_scores(candidate, labels, everyone) for candidate in probabilities])
    weightings = list(bootstrap_weights(labels.astype(np.int64), membership, seed, _RESAMPLES))
    drawn = np.stack(
        [
            np.concatenate([weighted_scores(candidate, labels, weights) for weights in weightings])
            for candidate in probabilities
        ]
    )
    standings = _standings(scores, drawn)
    chosen = next(index for index, stands in enumerate(standings) if stands.behind <= stands.allowed)
    return chosen, standings


def _standings(scores: NDArray[np.float64], drawn: NDArray[np.float64]) -> list[Standing]:
    """How all stand, from their scores [K] and those in each resample [K, R]."""
    # A resample in which a class of few mixed groups was not drawn says nothing: it is nan for every candidate. Where all
    # are, nothing is known of the noise, and the best one is kept.
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    behind = scores.max() - scores
    errors, allowed = np.zeros(len(scores)), np.zeros(len(scores))
    if drawn.shape[1] > 1:
        errors = (drawn[scores.argmax()] - drawn).std(axis=1, ddof=1)
        luck = drawn - scores[:, None]
        allowed = np.quantile(luck.max(axis=0) - luck, 1 - _BY_CHANCE, axis=1)
    return [Standing(*map(float, stands)) for stands in zip(scores, behind, errors, allowed, strict=True)]
