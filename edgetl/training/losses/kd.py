"""Distillation by matching softened probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-7


def kd(student: Tensor, teacher: Tensor, temperature: float, labels: Tensor | None = None) -> Tensor:
    """Kullback-Leibler divergence of softened outputs, times temperature squared so that gradients keep their size.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531

    Args:
        student: logits [B, C].
        teacher: logits [B, C], without gradient.
        temperature: > 0; above 1 the small probabilities count more.
        labels: not looked at.
    """
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2


def kd_standardized(student: Tensor, teacher: Tensor, temperature: float, labels: Tensor | None = None) -> Tensor:
    """`kd` on logits whose mean over the classes is 0 and whose standard deviation is 1, image by image.

    A small student then need not reach the size of the teacher's logits, only their shape. Of two classes no shape is left:
    z-scores say only which logit is larger, and have no gradient.
    Sun, Ren, Li, Wang and Cao, "Logit Standardization in Knowledge Distillation", CVPR 2024, https://arxiv.org/abs/2403.01427

    Args:
        student: logits [B, C], C >= 3 for a gradient.
        teacher: logits [B, C], without gradient.
        temperature: > 0, applied after standardizing.
        labels: not looked at.
    """
    return kd(_standardized(student), _standardized(teacher), temperature)


def _standardized(logits: Tensor) -> Tensor:
    """Z-scores over the classes, [B, C]."""
    deviation, mean = torch.std_mean(logits, dim=1, keepdim=True)
    return (logits - mean) / (deviation + _EPSILON)
