"""mixup and CutMix: the images of a batch blended in pairs, and their labels with them.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, https://arxiv.org/abs/1710.09412
Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019,
https://arxiv.org/abs/1905.04899

The blending is torchvision's; what is added is that its draws depend on the numbers of a batch alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import edgetl.models  # noqa: F401 (makes torchvision importable)
from edgetl.config.training import Training

_LEAST_ALPHA = 0.01  # shares are next to 0 or 1 here already; torch's float32 draws halves for much smaller ones
_STREAM = 1  # keeps these draws apart from others that are seeded by (seed, epoch, index)


def mixed(
    images: Tensor, labels: Tensor, classes: int, settings: Training, seed: int, epoch: int, index: int
) -> tuple[Tensor, Tensor]:
    """The batch as the recipe's `mixup` and `cutmix` want it; with both, the batch draws one of them.

    Image i is blended with image i - 1 (the batch is shuffled), all with one share from Beta(alpha, alpha).

    Args:
        images: float [B, 3, H, W].
        labels: int64 [B], on the same device.
        classes: C.
        settings: alphas; without any the batch is given back as it is.
        seed, epoch, index: of the batch; the same three numbers blend in the same way on every device.

    Returns:
        images [B, 3, H, W]; labels as shares of the classes, float [B, C], each row with sum 1.
    """
    if settings.mixup == settings.cutmix == 0:
        return images, labels
    from torchvision.transforms import v2

    alphas = ((v2.MixUp, settings.mixup), (v2.CutMix, settings.cutmix))
    kinds = [kind(alpha=max(alpha, _LEAST_ALPHA), num_classes=classes) for kind, alpha in alphas if alpha > 0]
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the CPU's global generator
        draw = np.random.SeedSequence((seed, epoch, index, _STREAM)).generate_state(1)
        torch.default_generator.manual_seed(int(draw[0]))
        blended, shares = v2.RandomChoice(kinds)(images, labels)
    return blended, shares


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """int64 [B] -> float32 [B, C]. F.one_hot looks at its labels on some devices, which then wait."""
    return torch.zeros((len(labels), classes), device=labels.device).scatter_(1, labels[:, None], 1.0)
