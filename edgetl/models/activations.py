"""One activation for the whole network, e.g. ReLU6 for NPUs and microcontrollers that only run pure int8.

TFLite's XNNPACK has no int8 HARD_SWISH, so a backbone made of it is either split or left partly in float; the same
backbone with ReLU6, distilled, is integer only.
"""

from __future__ import annotations

from collections.abc import Iterator

import timm.layers
from torch import nn

from edgetl.errors import UsageError
from edgetl.models.attention.layers import layers

__all__ = ["ACTIVATIONS", "replace"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "hard_swish": nn.Hardswish,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
}

_PIECEWISE_LINEAR = (nn.ReLU, nn.ReLU6)
_SMOOTH = (
    nn.GELU,
    nn.Hardswish,
    nn.Mish,
    nn.SiLU,
    timm.layers.HardMish,
    timm.layers.HardSwish,
    timm.layers.Mish,
    timm.layers.Swish,
    timm.layers.activations_me.HardMishMe,
    timm.layers.activations_me.HardSwishMe,
    timm.layers.activations_me.MishMe,
    timm.layers.activations_me.SwishMe,
)


def replace(body: nn.Module, name: str) -> int:
    """Put the activation `name` in the place of every other one, in place.

    Gates (sigmoid, hard sigmoid) are no activations and stay. Inside attention a ReLU stays too: its few values have
    nothing to win from a smooth function, and squeeze-and-excite is defined with it.

    Returns:
        How many modules were replaced.

    Raises:
        UsageError: an unknown name.
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"activation: got {name!r}, expected one of {', '.join(ACTIVATIONS)}")
    kind = ACTIVATIONS[name]
    replaced = 0
    for parent, inside in _with_attention(body):
        removable = _SMOOTH if inside else (*_SMOOTH, *_PIECEWISE_LINEAR)
        for child_name, child in list(parent.named_children()):
            if isinstance(child, removable) and type(child) is not kind:
                setattr(parent, child_name, kind(inplace=True))
                replaced += 1
    return replaced


def _with_attention(module: nn.Module, inside: bool = False) -> Iterator[tuple[nn.Module, bool]]:
    """Each module of the tree, and whether it is a part of an attention layer."""
    inside = inside or isinstance(module, layers())
    yield module, inside
    for child in module.children():
        yield from _with_attention(child, inside)
