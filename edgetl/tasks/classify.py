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
from edgetl.evidence.calibration import softmax
from edgetl.evidence.epoch_selection import EpochChoice, choose_epoch
from edgetl.evidence.metrics import classify_metrics
from edgetl.evidence.model_selection import score

__all__ = ["EpochChoice", "Imbalance", "LabelLoss", "choose_epoch", "label_loss", "validation_scores"]

Imbalance = Literal["logit_adjust", "weights", "none"]
LabelLoss = Callable[[Tensor, Tensor], Tensor]


def label_loss(
    imbalance: Imbalance,
    counts: Sequence[int] | NDArray[np.int64],
    smoothing: float = 0.0,
    device: torch.device | str = "cpu",
) -> LabelLoss:
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
    frequency = torch.as_tensor(np.asarray(counts) / np.sum(counts), dtype=torch.float32, device=device)
    if imbalance == "logit_adjust":
        shift = frequency.log()
        return lambda logits, labels: F.cross_entropy(logits + shift, labels, label_smoothing=smoothing)
    if imbalance == "weights":
        weights = 1 / (frequency * len(frequency))
        return lambda logits, labels: _weighted(logits, labels, weights, smoothing)
    return lambda logits, labels: F.cross_entropy(logits, labels, label_smoothing=smoothing)


def _weighted(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with class weights [C], divided by the weights of the labels.

    Against shares of classes torch divides by the number of images instead, and rare classes would change the step size.
    """
    if labels.ndim == 1 and smoothing == 0:
        return F.cross_entropy(logits, labels, weight=weights)
    # With smoothing torch divides by the same, but picks the weights with `masked_select`, which waits for the device and
    # cannot be recorded (2.13, aten/src/ATen/native/LossNLL.cpp).
    total = F.cross_entropy(logits, labels, weight=weights, reduction="sum", label_smoothing=smoothing)
    return total / (weights[labels] if labels.ndim == 1 else labels @ weights).sum()


def validation_scores(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
    """`balanced_accuracy`, `auroc` (macro, one class against the rest) and their mean, the `score`.

    Epochs and candidates are compared by the score.

    Args:
        logits: [N, C].
        labels: class indices [N], at least two different ones. Classes without one do not count.
    """
    metrics = classify_metrics(softmax(logits), labels, [str(number) for number in range(logits.shape[1])])
    accuracy, area = metrics["balanced_accuracy"], metrics["auroc"]
    return {"balanced_accuracy": accuracy, "auroc": area, "score": score(accuracy, area)}
