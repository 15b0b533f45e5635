"""Pictures made smaller on the device by OpenCV's mean over areas, which `progressive` trains on first."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

__all__ = ["Shrink"]


class Shrink:
    """From (height, width) to a smaller one, as two products with OpenCV's own weights."""

    def __init__(self, whole: tuple[int, int], small: tuple[int, int], device: torch.device) -> None:
        self._rows, self._columns = (_weights(*sides).to(device) for sides in zip(whole, small, strict=True))

    def __call__(self, images: Tensor) -> Tensor:
        """float [B, C, H, W] -> [B, C, h, w]."""
        return self._rows @ (images @ self._columns.T)


def _weights(whole: int, small: int) -> Tensor:
    """[small, whole]: what each new place takes of the old ones."""
    identity = np.eye(whole, dtype=np.float32)
    return torch.from_numpy(cv2.resize(identity, (whole, small), interpolation=cv2.INTER_AREA))
