"""Several networks that answer as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["AveragedLogits"]


class AveragedLogits(nn.Module):
    """The mean of several networks' logits: the geometric mean of their probabilities, normalized.

    One of the two ways to merge an ensemble into one teacher that Hinton, Vinyals and Dean name ("Distilling the Knowledge
    in a Neural Network", 2015, https://arxiv.org/abs/1503.02531); it gives logits, so that every loss can use it.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Tensor:
        """float [B, 3, H, W] in [-1, 1) to logits [B, classes]."""
        return _mean([network(image) for network in self.networks])

    def with_features(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The logits that `forward` gives, and the last feature map of each network, in one pass; all must be `Network`."""
        said = [network.with_features(image) for network in self.networks]  # type: ignore[operator]
        return _mean([logits for logits, _ in said]), tuple(features for _, features in said)


def _mean(logits: Sequence[Tensor]) -> Tensor:
    return torch.stack([each.float() for each in logits]).mean(dim=0)
