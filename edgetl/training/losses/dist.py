"""Distillation by matching relations instead of values."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-8


def dist(student: Tensor, teacher: Tensor, temperature: float, labels: Tensor | None = None) -> Tensor:
    """One minus the Pearson correlation of softened probabilities, over classes and over the batch.

    The inter-class term asks that the student orders the classes of an image as the teacher does; the intra-class term
    that it orders the images of the batch for a class as the teacher does. Neither asks for equal values, which a much
    smaller student cannot reach.
    Huang, You, Wang, Qian and Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
    https://arxiv.org/abs/2205.10536 (both terms with weight 1, as there for large gaps between teacher and student).
    With two classes their order is all that the inter-class term can ask for: the intra-class term teaches.

    Args:
        student: logits [B, C], B >= 2 and C >= 2.
        teacher: logits [B, C], without gradient.
        temperature: > 0; the sum is multiplied by its square, as in the authors' code. A correlation has no scale, so
            gradients then grow with that square, and the temperature weighs the teacher too.
        labels: not looked at.
    """
    ours = torch.softmax(student / temperature, dim=1)
    theirs = torch.softmax(teacher / temperature, dim=1)
    inter = 1 - _correlation(ours, theirs).mean()
    intra = 1 - _correlation(ours.T, theirs.T).mean()
    return (inter + intra) * temperature**2


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation of matching rows of [R, K]: [R]; 0 where a row is constant."""
    a = a - a.mean(dim=1, keepdim=True)
    b = b - b.mean(dim=1, keepdim=True)
    return torch.cosine_similarity(a, b, dim=1, eps=_EPSILON)
