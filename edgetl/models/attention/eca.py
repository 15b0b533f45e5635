"""Efficient channel attention (https://arxiv.org/abs/1910.03151): timm's, written so that TFLite takes it.

timm expands the channel weights to the whole feature map before the product. litert-torch 0.10 keeps that expanded shape
in NCHW while it moves the feature map to NHWC, and fails with "'tfl.mul' op operands don't have broadcast-compatible
shapes". Broadcasting computes the same bits. Delete this file when the converter takes `expand_as` here.
"""

from __future__ import annotations

from timm.layers.eca import EcaModule
from torch import Tensor

__all__ = ["Eca"]


class Eca(EcaModule):  # type: ignore[misc]  # timm is untyped
    """One weight a channel, from a 1-D convolution over its neighbours; [B, C, H, W] to the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x, float [B, C, H, W]."""
        pooled = x.mean((2, 3)).view(x.shape[0], 1, -1)
        weights: Tensor = self.gate(self.conv(pooled)).view(x.shape[0], -1, 1, 1)
        return x * weights
