"""The two ends that every artefact has, whatever the backend.

    image         uint8 [1, H, W, 3], one RGB picture, as decoded and resized by `edgetl.runtime.preprocessing`
    (x - 128) / 128
    network       float, NCHW inside: the only part that a quantizer touches
    / temperature one float32 scalar, found by the name "temperature" in the finished file of every backend
    softmax       float
    probabilities float32 [1, classes]

Each backend converts and quantizes the bare network and fits the ends on afterwards, in its own format. So no
converter can fold the division into the classifier, no quantizer can round a probability, and a temperature fitted
on the finished int8 artefact is baked in by replacing four bytes' worth of graph.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

from edgetl.runtime.preprocessing import DIVISOR, OFFSET

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

__all__ = ["DIVISOR", "INPUT", "OFFSET", "OUTPUT", "TEMPERATURE", "checked", "frozen", "normalized"]

INPUT = "image"
OUTPUT = "probabilities"
TEMPERATURE = "temperature"


def frozen(network: nn.Module) -> nn.Module:
    """A copy for a converter: on the CPU, in inference mode, NCHW-contiguous, training-time branches merged.

    The caller's network is left as it is. Networks that train with parallel branches (RepViT, MobileOne, FastViT)
    are merged into their deployed form, by timm's own convention for the names of the merging methods.
    """
    import torch

    copied = copy.deepcopy(network).cpu().float()
    for tensor in (*copied.parameters(), *copied.buffers()):
        # Training lays weights out channels last, and exporters would write that layout into the graph. contiguous() is not
        # enough: weights of 1x1 count as contiguous in both layouts and keep their strides, for which PyTorch exports a
        # global pooling as a gather over all its values, which holds for one image alone.
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    _merge_branches(copied)
    copied.eval().requires_grad_(False)
    return copied


def _merge_branches(module: nn.Module) -> None:
    # The same walk as timm.utils.reparameterize_model, without importing timm where the network is not timm's.
    for name, child in list(module.named_children()):
        if callable(fuse := getattr(child, "fuse", None)):
            setattr(module, name, fuse())
        elif callable(merge := getattr(child, "reparameterize", getattr(child, "switch_to_deploy", None))):
            merge()
        _merge_branches(getattr(module, name))


def normalized(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The scalar affine of the input in numpy: uint8 [...] -> float32 [...] in [-1, 1), exact."""
    import numpy as np

    return (images.astype(np.float32) - np.float32(OFFSET)) / np.float32(DIVISOR)


def checked(temperature: float) -> float:
    """`temperature` if it can divide logits; ValueError otherwise."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"got temperature {temperature!r}, expected a finite number above 0")
    return temperature
