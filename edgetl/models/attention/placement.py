"""Where attention goes, which backbone and attention alone decide.

A backbone that has squeeze-and-excite in some blocks (MobileNetV3, EfficientNet, RepViT) has it replaced in exactly
those. One of the same blocks without it (EfficientNet-Lite, MobileNetV2, MobileNetV4-Conv) gets it in every inverted
residual block, before the last convolution, where its siblings have squeeze-and-excite. Every other one (ResNet, RegNetX,
RepVGG, MobileOne, ConvNeXt, DenseNet) gets it after the last convolution of each block, before the addition: `blocks`.

The layers start as in their papers, with gates of one half (se, eca) and one quarter (cbam and coord, which multiply two):
at first a block adds that share of what it would add.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgetl.errors import UsageError
from edgetl.models.attention import ATTENTION, NONE
from edgetl.models.attention.blocks import Place, places
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
_HEADS = ("final_conv",)
"""FastViT has squeeze-and-excite in its last convolution, but in no block."""


@dataclass(frozen=True)
class Placement:
    """What `place` did: names of modules inside the body.

    kind: what was asked for.
    placed: where a new layer is. removed: where squeeze-and-excite was.
    renamed: layers that attention was put behind, as (name now, timm's name).
    said: the same for people; empty where nothing was done.
    """

    kind: str | None
    placed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    said: str = ""


def place(body: nn.Module, kind: str | None) -> Placement:
    """Put attention into a timm network, in place; None leaves it alone, and so does se where the backbone has it.

    Raises:
        UsageError: an unknown kind, or a backbone without a place for it.
    """
    if kind is not None and kind not in ATTENTION and kind != NONE:
        raise UsageError(f"attention: got {kind!r}, expected one of {', '.join((NONE, *ATTENTION))}")
    existing = [name for name, module in body.named_modules() if isinstance(module, SQUEEZE_EXCITE)]
    if kind is None or (kind == NONE and not existing):
        return Placement(kind)
    if kind == NONE:
        for name in existing:
            body.set_submodule(name, nn.Identity())
        said = f"squeeze-and-excite taken away from {_blocks(map(_parent, existing))}"
        return Placement(kind, removed=tuple(existing), said=said)
    in_blocks = [name for name in existing if name.split(".")[0] not in _HEADS]
    if kind == "se" and in_blocks:
        return Placement(kind, said=f"se where the backbone has it, in {_blocks(map(_parent, in_blocks))}")
    slots = {name: _channels_and_gate(body.get_submodule(name)) for name in existing}
    if in_blocks:
        return _filled(
            body, kind, slots, existing, f"in place of squeeze-and-excite in {_blocks(map(_parent, existing))}"
        )
    if free := _free_slots(body):
        return _filled(body, kind, free, existing, f"before the last convolution of {_blocks(map(_parent, free))}")
    return _behind_blocks(body, kind, [] if kind == "se" else existing)


def _filled(
    body: nn.Module, kind: str, slots: dict[str, tuple[int, str]], existing: Sequence[str], where: str
) -> Placement:
    for name, (channels, gate) in slots.items():
        body.set_submodule(name, ATTENTION[kind].build(channels, gate))
    return Placement(kind, placed=tuple(slots), removed=tuple(existing), said=f"{kind} {where}")


def _behind_blocks(body: nn.Module, kind: str, heads: Sequence[str]) -> Placement:
    found = list(places(body))
    if not found:
        raise UsageError(
            f"attention: {type(body).__name__} has no block with a place for {kind!r}: none ends in a convolution of its own",
            hint="leave attention out (transformers, MLP mixers and plain stacks such as ViT, Swin, VGG and Inception have"
            " no place for it), or take a MobileNet, EfficientNet, ResNet, RegNet, MobileOne, RepVGG or ConvNeXt",
        )
    removed = [place.slot for place in found if not place.behind and _occupied(body, place.slot)]
    gates = {name: _channels_and_gate(body.get_submodule(name)) for name in heads}
    placed, renamed = [], []
    for each in found:
        layer = ATTENTION[kind].build(each.channels, "sigmoid", behind=True)
        placed.append(_put(body, each, layer))
        if each.behind:
            renamed.append((f"{each.slot}.layer", each.slot))
    for name, (channels, gate) in gates.items():
        body.set_submodule(name, ATTENTION[kind].build(channels, gate))
    also = f" and in place of squeeze-and-excite in {', '.join(map(_parent, heads))}" if heads else ""
    said = f"{kind} after the last convolution of {_blocks(each.block for each in found)}{also}"
    return Placement(kind, (*placed, *heads), (*removed, *heads), tuple(renamed), said)


def _put(body: nn.Module, at: Place, layer: nn.Module) -> str:
    block, attribute = body.get_submodule(at.block), at.slot.rpartition(".")[2]
    if not at.behind:
        setattr(block, attribute, layer)  # not set_submodule: an empty slot may be None
        return at.slot
    chain = nn.Sequential()
    chain.add_module("layer", getattr(block, attribute))
    chain.add_module("attention", layer)
    setattr(block, attribute, chain)
    return f"{at.slot}.attention"


def _occupied(body: nn.Module, slot: str) -> bool:
    module = getattr(body.get_submodule(_parent(slot)), slot.rpartition(".")[2])
    return module is not None and next(module.parameters(), None) is not None


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _blocks(names: Iterable[str]) -> str:
    names = list(names)
    if len(names) == 1:
        return f"1 block ({names[0]})"
    return f"{len(names)} blocks ({names[0]} to {names[-1]})"


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
