"""Which epoch of a training to keep: the last one, unless an earlier one is better by more than noise.

The highest of many noisy numbers is too high: the validation score of the best of k epochs is biased upwards, and so is its
lead over the last epoch, where the learning rate has come down and the average of the weights has settled. Hence the best
is kept only where its lead is more than z standard errors, with z = Phi^-1(1 - Phi(-1) / k): the one-standard-error rule
(Breiman et al., 1984), corrected for k looks (Bonferroni). Epochs of one training resemble each other, so that k looks are
worth fewer and the correction asks for more than it would have to: it errs on the side of the last epoch.

The error is that of the paired difference on the same images, by a bootstrap over groups within each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import bootstrap_weights, group_index
from edgetl.evidence.model_selection import weighted_scores

__all__ = ["EpochChoice", "choose_epoch", "errors_asked"]

_RESAMPLES = 200
_ROUNDING = 1e-12


@dataclass(frozen=True)
class EpochChoice:
    """keeps_best: whether the best-scored epoch is kept, not the last one.

    lead: its score less that of the last epoch, at least 0; standard_error: of the lead, 0 where resampling shows no noise.
    """

    keeps_best: bool
    lead: float
    standard_error: float


def choose_epoch(
    last: ArrayLike,
    best: ArrayLike,
    labels: NDArray[np.integer],
    groups: Sequence[str] | None,
    looked_at: int,
    seed: int,
) -> EpochChoice:
    """Whether to keep the epoch with the best score or the last one.

    Args:
        last, best: logits [N, C] of the two on the same validation images.
        labels: class indices [N], at least two different ones.
        groups: [N], what was sampled together (lesion, patient); None when every image stands alone.
        looked_at: how many epochs the best one is the best of, >= 1.
        seed: of the resampling.
    """
    membership = group_index(groups, len(labels))
    pair = softmax(best), softmax(last)

    def leads(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        ahead, behind = (weighted_scores(probabilities, labels, weights) for probabilities in pair)
        return ahead - behind

    lead = max(0.0, float(leads(np.ones((1, len(labels))))[0]))  # an equal score may be behind by a rounding
    weightings = bootstrap_weights(labels.astype(np.int64), membership, seed, _RESAMPLES)
    drawn = np.concatenate([leads(weights) for weights in weightings])
    known = drawn[~np.isnan(drawn)]  # nan: a class whose images share groups with another one was not drawn
    error = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    # Where resamples differ by rounding alone (one group a class) nothing is known of the noise, and the last is kept.
    error = error if error > _ROUNDING else 0.0
    return EpochChoice(error > 0 and lead > errors_asked(looked_at) * error, lead, error)


def errors_asked(looked_at: int) -> float:
    """How many standard errors the best of so many epochs has to lead by: 1 for one, 2.41 for 20."""
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-1.0) / looked_at)
