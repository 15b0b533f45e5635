"""Which of several trained candidates to keep, without mistaking noise for progress.

The one-standard-error rule (Breiman et al., 1984; Hastie, Tibshirani and Friedman, "The Elements of Statistical
Learning", 7.10): of all candidates that are not worse than the best one by more than a standard error, the simplest is
kept. The error is that of the paired difference, by a bootstrap over groups within each class. It does not know how much
another seed of the training would change, and it is not widened for many candidates: among several of equal worth, one
that is not the simplest is kept now and then.
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

__all__ = ["RULE", "Standing", "choose", "score"]

Value = TypeVar("Value", float, NDArray[np.float64])

RULE = (
    "score = mean of balanced accuracy and macro AUROC on validation; kept is the smallest weight that is behind the "
    "best score by no more than one standard error of the paired difference (group bootstrap within classes)"
)
_RESAMPLES = 200


@dataclass(frozen=True)
class Standing:
    """How a candidate stands: its score, how far it is behind the best, and the standard error of that distance."""

    score: float
    behind: float
    standard_error: float


def score(balanced_accuracy: Value, auroc: Value) -> Value:
    """What a candidate is judged by; both in [0, 1], as arrays [R] under R weightings."""
    return (balanced_accuracy + auroc) / 2


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
    scores = np.concatenate([_scores(candidate, labels, everyone) for candidate in probabilities])
    best = int(scores.argmax())
    weightings = list(bootstrap_weights(labels.astype(np.int64), membership, seed, _RESAMPLES))
    drawn = np.stack(
        [np.concatenate([_scores(candidate, labels, weights) for weights in weightings]) for candidate in probabilities]
    )
    # A resample in which a class of few mixed groups was not drawn says nothing: it is nan for every candidate. Where all
    # are, nothing is known of the noise, and the best one is kept.
    known = ~np.isnan(drawn).any(axis=0)
    errors = (drawn[best] - drawn)[:, known].std(axis=1, ddof=1) if known.sum() > 1 else np.zeros(len(logits))
    standings = [
        Standing(float(value), float(scores[best] - value), float(error))
        for value, error in zip(scores, errors, strict=True)
    ]
    chosen = next(index for index, stands in enumerate(standings) if stands.behind <= stands.standard_error)
    return chosen, standings


def _scores(
    probabilities: NDArray[np.float64], labels: NDArray[np.integer], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score under each weighting: float64 [R]."""
    classes = [str(number) for number in range(probabilities.shape[1])]
    probabilities, truth = checked(probabilities, labels, classes)
    metrics = weighted_metrics(probabilities, truth, classes, None, weights)
    return score(metrics["balanced_accuracy"], metrics["auroc"])
