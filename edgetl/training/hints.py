"""Hints: the teacher's last feature map as a target of the student's, through a projection that is thrown away.

Romero, Ballas, Kahou, Chassang, Gatta and Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015,
https://arxiv.org/abs/1412.6550. There the hints come first and the teacher's logits after; here both are one loss from the
first step to the last, and maps are compared as `losses.pkd` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgetl.errors import UsageError, out_of_memory
from edgetl.errors.wording import one_line
from edgetl.models.architecture import Network
from edgetl.models.ensemble import AveragedLogits
from edgetl.training.losses.pkd import pkd

__all__ = ["Hints", "channels", "heard", "hint_loss", "hints_between"]


class Hints(nn.Module):
    """The projections of one training, a 1x1 convolution for each teacher, and the loss that they are trained by.

    weight: of the hints beside the loss of the logits.
    """

    def __init__(self, channels: int, theirs: Sequence[int], weight: float) -> None:
        """`channels` of the student's map, `theirs` of each teacher's."""
        super().__init__()
        # What a bias would add is taken out again with the mean of the channel.
        self.projections = nn.ModuleList(nn.Conv2d(channels, many, 1, bias=False) for many in theirs)
        self.weight = weight

    def forward(self, ours: Tensor, theirs: Sequence[Tensor]) -> tuple[tuple[Tensor, Tensor], ...]:
        """For each teacher what its projection makes of the student's map, and its own map, equally large.

        Both are averaged to the smaller height and width of the two, before the projection.

        Args:
            ours: the student's [B, K, h, w].
            theirs: each teacher's [B, C, H, W], without gradient.
        """
        pairs = []
        for projection, their in zip(self.projections, theirs, strict=True):
            height, width = (min(sides) for sides in zip(ours.shape[2:], their.shape[2:], strict=True))
            pairs.append((projection(_pooled(ours, height, width)), _pooled(their, height, width)))
        return tuple(pairs)


def hint_loss(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """What is left between the maps that `Hints` gave: a scalar in [0, 2], the mean over the teachers, in float32."""
    return torch.stack([pkd(ours.float(), theirs.float()) for ours, theirs in pairs]).mean()


def heard(teacher: nn.Module, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What a teacher says of images in one pass: logits [B, classes], and the feature map of each of its networks."""
    if isinstance(teacher, AveragedLogits):
        return teacher.with_features(images)
    assert isinstance(teacher, Network)
    logits, features = teacher.with_features(images)
    return logits, (features,)


def hints_between(student: Network, teacher: nn.Module, height: int, width: int, weight: float, seed: int) -> Hints:
    """Fresh projections for a student and its teacher, on the CPU; how many channels there are, one picture tells.

    A pruned student has as many as were left to it.

    Args:
        teacher: a Network, or AveragedLogits of several.
        height, width: of the pictures.
        weight: of the hints beside the loss of the logits.
        seed: draws the projections.

    Raises:
        UsageError: a network has no last feature map, or does not take such pictures.
    """
    (ours,), theirs = (channels(network, height, width) for network in (student, teacher))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Hints(ours, theirs, weight)


@torch.no_grad()
def channels(network: nn.Module, height: int, width: int) -> list[int]:
    """Of the feature map of each network of a teacher, or of a student's; raises UsageError as `hints_between` does."""
    training, device = network.training, next(network.parameters()).device  # a teacher may have taught on a GPU before
    try:
        _, maps = heard(network.eval(), torch.zeros(1, 3, height, width, device=device))
    except (AssertionError, AttributeError, RuntimeError, ValueError) as exc:
        if out_of_memory(exc):
            raise
        raise UsageError(
            f"distil.hints: no features of pictures of {height} x {width}: {one_line(exc)}",
            hint="set distil.hints: 0, or take another backbone",
        ) from exc
    finally:
        network.train(training)
    return [features.shape[1] for features in maps]


def _pooled(features: Tensor, height: int, width: int) -> Tensor:
    """[B, C, H, W] averaged to [B, C, height, width]."""
    return features if features.shape[2:] == (height, width) else F.adaptive_avg_pool2d(features, (height, width))
