"""torchvision's checkpoints for timm's networks: the same tensors in the same order, under other names.

Which order that is, which names belong to it and which eps the norms were trained with, torchvision's own network says,
made without memory for its tensors. A fully connected layer that timm has as a convolution, or a scale of another shape,
is the same numbers in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.models import norms
from edgetl.models.torchvision_names import TORCHVISION

__all__ = ["translate"]

_COUNTER = "num_batches_tracked"
_OLD_DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)")  # densenets of before torchvision 0.3


def translate(
    backbone: str, given: Mapping[str, Tensor], fresh: nn.Module
) -> tuple[dict[str, Tensor], dict[str, float]] | None:
    """Tensors with torchvision's names under timm's, and the eps of the norms in which the two differ.

    fresh: timm's network with as many classes as torchvision's own weights; its tensors may be on the meta device.
    None where these are not exactly torchvision's names, or torchvision has no such network.
    """
    reference = _reference(backbone)
    if reference is None:
        return None
    given = {_OLD_DENSE.sub(r"\1\2", name): tensor for name, tensor in given.items() if not name.endswith(_COUNTER)}
    theirs = _in_timms_order(reference)
    if set(given) != set(theirs):
        return None
    own = {name: tensor for name, tensor in fresh.state_dict().items() if not name.endswith(_COUNTER)}
    assert len(own) == len(theirs), f"the tensors of {backbone} are not those of torchvision in order"
    names = dict(zip(theirs, own, strict=True))
    tensors = {names[name]: _shaped(given[name], own[names[name]]) for name in theirs}
    return tensors, dict(_other_eps(reference, names, norms.of(fresh)))


def _reference(backbone: str) -> Any:
    """torchvision's network, without memory."""
    name = TORCHVISION.get(backbone.split(".")[0])
    if name is None:
        return None
    from torchvision import models

    # RegNet's widths are computed with tensors that must be real.
    device = "cpu" if name.startswith("regnet") else "meta"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        return models.get_model(name, weights=None)


def _in_timms_order(reference: nn.Module) -> list[str]:
    """torchvision's names as timm orders its own: in RegNet the shortcut's convolution follows its block."""
    names = [name for name in reference.state_dict() if not name.endswith(_COUNTER)]
    blocks: dict[str, list[str]] = {}
    for name in names:
        block = re.match(r"trunk_output\.block\d+\.block\d+-\d+", name)
        blocks.setdefault(block.group() if block else name, []).append(name)
    return [name for block in blocks.values() for name in sorted(block, key=lambda name: ".proj." in name)]


def _shaped(tensor: Tensor, like: Tensor) -> Tensor:
    return tensor.reshape(like.shape) if tensor.numel() == like.numel() else tensor


def _other_eps(reference: nn.Module, names: Mapping[str, str], own: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name, eps in norms.of(reference).items():
        timms = names.get(f"{name}.weight", "").rpartition(".")[0]
        if timms in own and own[timms] != eps:
            yield timms, eps
