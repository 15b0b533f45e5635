"""mixup and CutMix on the device: drawn before an epoch, and blended without a look at a number.

What is drawn is torchvision's, as in `edgetl.training.mixing`: its transform is shown a picture of zeros and one of ones, and
what comes back is how much of its own each picture keeps, place by place. So both kinds of step blend a batch alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgetl.config.training import Training
from edgetl.training.mixing import mixed, one_hot

__all__ = ["blend", "drawn"]


def drawn(settings: Training, height: int, width: int, seed: int, epoch: int, index: int) -> tuple[Tensor, Tensor]:
    """How a batch is blended: what a picture keeps of itself, float [H, W], and of its label, float []."""
    pictures = torch.stack([torch.zeros(1, height, width), torch.ones(1, height, width)])
    blended, shares = mixed(pictures, torch.tensor([0, 1]), 2, settings, seed, epoch, index)
    return blended[1, 0], shares[1, 1]


def blend(images: Tensor, labels: Tensor, classes: int, kept: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Each image with the one before it.

    Args:
        images: float [B, 3, H, W].
        labels: int64 [B].
        classes: C.
        kept, share: as `drawn`, on the same device.

    Returns:
        images [B, 3, H, W]; labels as shares of the classes, float [B, C].
    """
    hot = one_hot(labels, classes)
    return (
        images * kept + images.roll(1, 0) * (1 - kept),
        hot * share + hot.roll(1, 0) * (1 - share),
    )
