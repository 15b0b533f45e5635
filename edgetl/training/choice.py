"""Which of several trained candidates to keep, without mistaking noise for progress.

The one-standard-error rule (Breiman et al., 1984; Hastie, Tibshirani and Friedman, "The Elements of Statistical
Learning", 7.10): of all candidates that are not worse than the best one by more than a standard error, the simplest is
kept. The error is that of the paired difference, by a bootstrap over groups within each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classify import validation_scores

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


def choose(
    logits: Sequence[NDArray[np.floating]], labels: NDArray[np.integer], groups: Sequence[str], seed: int
) -> tuple[int, list[Standing]]:
    """The candidate to keep and where all stand.

    Args:
        logits: [N, C] of each candidate on the same validation images, the simplest candidate first.
        labels: class indices [N], at least two different ones.
        groups: [N], what was sampled together (lesion, patient).
        seed: of the resampling.

    Returns:
        The index of the chosen candidate, and a standing for each.
    """
    scores = np.array([validation_scores(candidate, labels)["score"] for candidate in logits])
    best = int(scores.argmax())
    samples = [_resample(labels, groups, np.random.default_rng((seed, draw))) for draw in range(_RESAMPLES)]
    drawn = np.array([[validation_scores(c[rows], labels[rows])["score"] for rows in samples] for c in logits])
    errors = (drawn[best] - drawn).std(axis=1, ddof=1)
    standings = [
        Standing(float(score), float(scores[best] - score), float(error))
        for score, error in zip(scores, errors, strict=True)
    ]
    chosen = next(index for index, one in enumerate(standings) if one.behind <= one.standard_error)
    return chosen, standings


def _resample(labels: NDArray[np.integer], groups: Sequence[str], generator: np.random.Generator) -> NDArray[np.intp]:
    """Rows of groups drawn with replacement within each class; a group counts to the class of its first row."""
    _, first, member = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    rows_of = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    group_labels = labels[first]
    drawn = []
    for label in np.unique(group_labels):
        pool = np.flatnonzero(group_labels == label)
        drawn += [rows_of[group] for group in generator.choice(pool, size=len(pool))]
    return np.concatenate(drawn)
