"""Distillation with what a teacher says of an image's own class set apart from what it says of the others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ALPHA, _BETA = 1.0, 2.0
"""Weights of the own class and of the others. The authors take 1 and 0.5 to 8 and, where a ResNet-50 teaches a MobileNet on
ImageNet, 2 (https://github.com/megvii-research/mdistiller, configs/imagenet/r50_mv1/dkd.yaml)."""


def dkd(student: Tensor, teacher: Tensor, temperature: float, labels: Tensor) -> Tensor:
    """Divergence of how sure they are of the label, plus that of their probabilities among the other classes.

    In `kd` the second term has the factor 1 - p(label) of the teacher: the surer it is, the less is learned of the classes
    that it finds similar. Here it has a weight of its own. With two classes only the first term is left.
    Zhao, Cui, Song, Qiu and Liang, "Decoupled Knowledge Distillation", CVPR 2022, https://arxiv.org/abs/2203.08679 (without
    their warm-up of the loss; that of the learning rate is there).

    Args:
        student: logits [B, C], C >= 2.
        teacher: logits [B, C], without gradient.
        temperature: > 0; both terms are multiplied by its square, so that gradients keep their size.
        labels: class indices int64 [B], or shares of the classes [B, C], whose largest (the first of equals) is the label:
            the picture that most of a blended one comes from.
    """
    label = labels if labels.ndim == 1 else labels.argmax(dim=1)
    own = label[:, None] == torch.arange(student.shape[1], device=student.device)
    ours_binary, ours_among = _parts(student / temperature, own)
    theirs_binary, theirs_among = _parts(teacher / temperature, own)
    loss = _ALPHA * _divergence(ours_binary, theirs_binary) + _BETA * _divergence(ours_among, theirs_among)
    return loss * temperature**2


def _parts(logits: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities of the own class and of all others, [B, 2]; and of each among the others, [B, C], 0 for the own one.

    Nowhere through probabilities, which round to 0 and to 1.
    """
    itself = logits.masked_fill(~own, 0.0).sum(dim=1, keepdim=True)
    others = logits.masked_fill(own, -torch.inf)
    binary = torch.cat([itself, others.logsumexp(dim=1, keepdim=True)], dim=1)
    return F.log_softmax(binary, dim=1), F.log_softmax(others, dim=1).masked_fill(own, 0.0)


def _divergence(ours: Tensor, theirs: Tensor) -> Tensor:
    """Kullback-Leibler divergence of log probabilities [B, K], mean over the images; equal entries add nothing."""
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)
