"""The attention layers: timm's own (eca.py says what is different), with the gate of the block they go into."""

from __future__ import annotations

import pkgutil

from timm.layers import make_divisible
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from timm.layers.squeeze_excite import SEModule
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn

from edgetl.models.attention import ATTENTION
from edgetl.models.attention.eca import Eca

__all__ = ["SQUEEZE_EXCITE", "cbam", "coord", "eca", "layers", "squeeze_excite", "squeeze_excite_behind"]

SQUEEZE_EXCITE = (SqueezeExcite, SEModule)
"""The two classes of squeeze-and-excite that timm's compact backbones come with."""


def layers() -> tuple[type[nn.Module], ...]:
    """Every class of attention that a network of edgetl can hold."""
    return (*SQUEEZE_EXCITE, *(pkgutil.resolve_name(attention.layer) for attention in ATTENTION.values()))


def squeeze_excite(channels: int, gate: str) -> nn.Module:
    """As in MobileNetV3, with a quarter of the channels between the two convolutions."""
    layer: nn.Module = SqueezeExcite(channels, rd_ratio=0.25, rd_round_fn=make_divisible, gate_layer=gate)
    return layer


def squeeze_excite_behind(channels: int, gate: str) -> nn.Module:
    """As in the paper, with a sixteenth of the block's output between the two convolutions, and at least 8 channels."""
    layer: nn.Module = SqueezeExcite(channels, rd_ratio=1 / 16, rd_round_fn=make_divisible, gate_layer=gate)
    return layer


def eca(channels: int, gate: str) -> nn.Module:
    """The kernel's size follows from the channels."""
    layer: nn.Module = Eca(channels, gate_layer=gate)
    return layer


def cbam(channels: int, gate: str) -> nn.Module:
    """A divisor of 8 keeps the reduced channels on the grid that pruning rounds to and int8 kernels like."""
    layer: nn.Module = CbamModule(channels, rd_divisor=8, gate_layer=gate)
    return layer


def coord(channels: int, gate: str) -> nn.Module:
    """With timm's own reduction."""
    layer: nn.Module = CoordAttn(channels, gate_layer=gate)
    return layer
