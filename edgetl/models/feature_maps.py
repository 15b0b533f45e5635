"""A backbone's last features as a map [B, C, H, W], however timm lays them out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgetl.errors import UsageError

__all__ = ["feature_map"]


def feature_map(body: nn.Module, features: Any, height: int, width: int) -> Tensor:
    """The map of what `body.forward_features` gave: [B, C, H, W].

    Args:
        body: timm's network.
        features: [B, C, H, W] of most; [B, H, W, C] where timm says so (Swin, Sequencer); tokens [B, L, C] of transformers, of
            which those that stand for no place (class, distillation, registers) are left out.
        height, width: of the pictures, for tokens of pictures that are not square.

    Raises:
        UsageError: the features are several tensors (CrossViT, CoaT), or no map.
    """
    if isinstance(features, Tensor) and features.ndim == 4:
        return features.permute(0, 3, 1, 2) if getattr(body, "output_fmt", "NCHW") == "NHWC" else features
    if isinstance(features, Tensor) and features.ndim == 3:
        # VOLO has a class token and does not count it (timm 1.0.31).
        uncounted = int(getattr(body, "cls_token", None) is not None)
        prefix = int(getattr(body, "num_prefix_tokens", uncounted))
        places = features.shape[1] - prefix
        rows = round((places * height / width) ** 0.5)
        if rows > 0 and places % rows == 0:
            batch, _, channels = features.shape
            return features[:, prefix:].transpose(1, 2).reshape(batch, channels, rows, places // rows)
    got = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
    raise UsageError(
        f"hints: the last features of {type(body).__name__} are no map, got {got}, expected [B, C, H, W] or [B, L, C]",
        hint="set distil.hints: 0, or take another backbone",
    )
