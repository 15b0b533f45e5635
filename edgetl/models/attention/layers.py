"""The attention layers: timm's own (eca.py says what is different), with the gate of the block they go into."""

from __future__ import annotations

from collections.abc import Callable

from timm.layers import make_divisible
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from timm.layers.squeeze_excite import SEModule
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn

from edgetl.models.attention.eca import Eca

__all__ = ["KINDS", "LAYERS", "SQUEEZE_EXCITE"]

SQUEEZE_EXCITE = (SqueezeExcite, SEModule)
"""The two classes of squeeze-and-excite that timm's compact backbones come with."""

LAYERS = (*SQUEEZE_EXCITE, Eca, CbamModule, CoordAttn)
"""Every class of attention that a network of edgetl can hold."""


def _se(channels: int, gate: str) -> nn.Module:
    layer: nn.Module = SqueezeExcite(channels, rd_ratio=0.25, rd_round_fn=make_divisible, gate_layer=gate)
    return layer


def _eca(channels: int, gate: str) -> nn.Module:
    layer: nn.Module = Eca(channels, gate_layer=gate)
    return layer


def _cbam(channels: int, gate: str) -> nn.Module:
    # A divisor of 8 keeps the reduced channels on the grid that pruning rounds to and int8 kernels like.
    layer: nn.Module = CbamModule(channels, rd_divisor=8, gate_layer=gate)
    return layer


def _coord(channels: int, gate: str) -> nn.Module:
    layer: nn.Module = CoordAttn(channels, gate_layer=gate)
    return layer


KINDS: dict[str, Callable[[int, str], nn.Module]] = {"cbam": _cbam, "coord": _coord, "eca": _eca, "se": _se}
"""A layer from the number of its channels and the name of its gate; it maps [B, channels, H, W] to the same shape."""
