"""Distillation by matching feature maps, whatever their scale."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-6


def pkd(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the Pearson correlation of each channel over all places of all images, mean over the channels.

    Half the squared difference of maps whose channels have mean 0 and deviation 1: networks of other norms and activations
    have features of other sizes, of which nothing is to be learned.
    Cao, Zhang, Gao, Cheng, Cheng and Zhang, "PKD: General Distillation Framework for Object Detectors via Pearson Correlation
    Coefficient", NeurIPS 2022, https://arxiv.org/abs/2207.02039

    Args:
        student: [B, C, H, W].
        teacher: [B, C, H, W], without gradient; a channel that is constant in the batch says nothing and does not count.

    Returns:
        A scalar in [0, 2]; 0 where every channel of the teacher does not count.
    """
    ours, theirs = (_centred(features) for features in (student, teacher))
    counts = (theirs.square().mean(dim=1) > _EPSILON**2).to(theirs.dtype)
    apart = 1 - torch.cosine_similarity(ours, theirs, dim=1, eps=_EPSILON)
    return (apart * counts).sum() / counts.sum().clamp(min=1)


def _centred(features: Tensor) -> Tensor:
    """[C, B * H * W], each channel less its mean."""
    channels = features.transpose(0, 1).flatten(1)
    return channels - channels.mean(dim=1, keepdim=True)
