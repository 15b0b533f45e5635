"""One label per image: the loss against labels, and what a validation run is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edgetl.errors import DataError

Imbalance = Literal["logit_adjust", "weights", "none"]
LabelLoss = Callable[[Tensor, Tensor], Tensor]


def label_loss(imbalance: Imbalance, counts: Sequence[int] | NDArray[np.int64], smoothing: float = 0.0) -> LabelLoss:
    """Cross entropy against labels, with an answer to rare classes.

    logit_adjust adds the log of the class frequencies to the logits while training, so that the bare logits are
    those of a world where all classes are equally frequent: what balanced accuracy asks for. Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021, https://arxiv.org/abs/2007.07314 (temperature 1). weights multiplies
    each image's loss by the inverse frequency of its class.

    Args:
        imbalance: which answer; none is plain cross entropy.
        counts: training images of each class, [C].
        smoothing: share of each label that is spread evenly over all classes, in [0, 1). Szegedy et al., "Rethinking the
            Inception Architecture for Computer Vision", CVPR 2016, https://arxiv.org/abs/1512.00567

    Returns:
        (logits float [B, C], labels) -> scalar. Labels are class indices int64 [B], or shares of the classes float
        [B, C] with rows of sum 1; a row that is all one class counts as that class's index does.

    Raises:
        DataError: a class has no training image.
    """
    missing = [index for index, count in enumerate(counts) if count < 1]
    if missing:
        raise DataError(f"classes {missing} (by index) have no training image", hint="remove the class or add images")
    frequency = torch.as_tensor(np.asarray(counts) / np.sum(counts), dtype=torch.float32)
    if imbalance == "logit_adjust":
        shift = frequency.log()
        return lambda logits, labels: F.cross_entropy(
            logits + shift.to(logits.device), labels, label_smoothing=smoothing
        )
    if imbalance == "weights":
        weights = 1 / (frequency * len(frequency))
        return lambda logits, labels: _weighted(logits, labels, weights.to(logits), smoothing)
    return lambda logits, labels: F.cross_entropy(logits, labels, label_smoothing=smoothing)


def _weighted(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with class weights [C], divided by the weights of the labels.

    Against shares of classes torch divides by the number of images instead, and rare classes would change the step size.
    """
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    total = F.cross_entropy(logits, labels, weight=weights, reduction="sum", label_smoothing=smoothing)
    return total / (labels @ weights).sum()


def balanced_accuracy(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean over the classes present in `labels` of the share of their images that get the highest score.

    Args:
        scores: logits or probabilities [N, C].
        labels: class indices [N].
    """
    hit = scores.argmax(axis=1) == labels
    return float(np.mean([hit[labels == label].mean() for label in np.unique(labels)]))


def macro_auroc(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean one-against-rest area under the ROC curve over the classes present in `labels`, ties counted half.

    Softmax probabilities are ranked, not logits: a logit says little across images until it is normalized.

    Args:
        scores: logits [N, C].
        labels: class indices [N], at least two different ones.
    """
    exact = scores.astype(np.float64)  # float32 would saturate confident probabilities into ties
    shifted = np.exp(exact - exact.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    present = np.unique(labels)
    return float(np.mean([_auroc(probabilities[:, label], labels == label) for label in present]))


def validation_scores(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
    """What an epoch or a candidate is judged by: balanced accuracy, macro AUROC, and their mean as `score`."""
    accuracy, area = balanced_accuracy(logits, labels), macro_auroc(logits, labels)
    return {"balanced_accuracy": accuracy, "auroc": area, "score": (accuracy + area) / 2}


def _auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counted half."""
    others = np.sort(scores[~positive])
    below = np.searchsorted(others, scores[positive], side="left")
    not_above = np.searchsorted(others, scores[positive], side="right")
    return float((below + not_above).mean() / (2 * len(others)))
