"""Where attention goes.

A backbone that has squeeze-and-excite in some blocks (MobileNetV3, EfficientNet, RepViT) has it replaced in exactly
those. A backbone without it (EfficientNet-Lite, MobileNetV2, MobileNetV4-Conv) gets it in every inverted residual
block, after the depthwise convolution, where its siblings have squeeze-and-excite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from edgetl.errors import UsageError
from edgetl.models.attention import ATTENTION, NONE
from edgetl.models.attention.layers import SQUEEZE_EXCITE

__all__ = ["Placement", "place"]

_SLOT = "se"
_PROJECTIONS = {
    "DepthwiseSeparableConv": "conv_pw",
    "EdgeResidual": "conv_pwl",
    "InvertedResidual": "conv_pwl",
    "UniversalInvertedResidual": "pw_proj.conv",
}
"""timm's block -> the convolution that reads what its slot for attention gives."""


@dataclass(frozen=True)
class Placement:
    """What `place` did: names of modules inside the body.

    kind: what was asked for.
    placed: where a new layer is. removed: where squeeze-and-excite was.
    """

    kind: str | None
    placed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def place(body: nn.Module, kind: str | None) -> Placement:
    """Put attention into a timm network, in place; None leaves it alone, and so does se where the backbone has it.

    Raises:
        UsageError: an unknown kind, or a backbone without a place for it.
    """
    if kind is not None and kind not in ATTENTION and kind != NONE:
        raise UsageError(f"attention: got {kind!r}, expected one of {', '.join((NONE, *ATTENTION))}")
    existing = [name for name, module in body.named_modules() if isinstance(module, SQUEEZE_EXCITE)]
    if kind is None or (kind == NONE and not existing) or (kind == "se" and existing):
        return Placement(kind)
    if kind == NONE:
        for name in existing:
            body.set_submodule(name, nn.Identity())
        return Placement(kind, removed=tuple(existing))
    slots = {name: _channels_and_gate(body.get_submodule(name)) for name in existing} or _free_slots(body)
    if not slots:
        raise UsageError(
            f"attention: {type(body).__name__} has no block with a place for {kind!r}",
            hint="leave attention out, or take a MobileNetV2/V3/V4 or EfficientNet backbone",
        )
    for name, (channels, gate) in slots.items():
        body.set_submodule(name, ATTENTION[kind].build(channels, gate))
    return Placement(kind, placed=tuple(slots), removed=tuple(existing))


def _channels_and_gate(squeeze_excite: nn.Module) -> tuple[int, str]:
    reduce: Any = getattr(squeeze_excite, "conv_reduce", None) or getattr(squeeze_excite, "fc1", None)
    hard = "hard" in type(squeeze_excite.gate).__name__.lower()
    return reduce.in_channels, "hard_sigmoid" if hard else "sigmoid"


def _free_slots(body: nn.Module) -> dict[str, tuple[int, str]]:
    slots: dict[str, tuple[int, str]] = {}
    for name, block in body.named_modules():
        projection = _PROJECTIONS.get(type(block).__name__)
        if projection and isinstance(getattr(block, _SLOT, None), nn.Identity):
            convolution: Any = block.get_submodule(projection)
            slots[f"{name}.{_SLOT}"] = (convolution.in_channels, "sigmoid")
    return slots
