"""Channels that are alike: groups of classes that are ranked against each other, and what the layers cost.

A class is the smallest thing that can be removed: all positions that go together. Classes that touch the same
dimensions of the same tensors form a group, such as the output channels of a convolution with all that follows from
them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgetl.models.channels.bonds import BY_DESIGN, Atoms, Bonds
from edgetl.models.channels.sizes import numbers_of
from edgetl.models.channels.trace import Trace, run, tensors_of

__all__ = ["Channels", "Coupling", "Group", "Place", "Whole", "find"]

Place = tuple[str, int]
"""A dimension of a tensor, by the tensor's name."""

_NOT_ELEMENTWISE = {"cat", "split", "split_with_sizes", "slice", "view", "_unsafe_view", "expand", "bmm"}
_BY_THEIR_WEIGHTS = {"convolution", "addmm", "mm", "linear", "native_batch_norm", "native_layer_norm"}


class Coupling(IntEnum):
    """What shrinks together because a reshape asks for as many channels as its module's input has.

    NONE; LIKELY: where no number of the module says how many; ALL: everywhere.
    """

    NONE = 0
    LIKELY = 1
    ALL = 2


@dataclass(frozen=True)
class Group:
    """Classes of one structure.

    name: of its first weight. classes: their numbers. touches: how many positions of each place one class has.
    scope: the structure; groups of equal structure are ranked together.
    """

    name: str
    classes: Atoms
    touches: Mapping[Place, int]
    scope: str

    def unit(self, round_to: int) -> int:
        """How many classes go at a time for what is left to be a multiple of `round_to`."""
        return round_to // math.gcd(round_to, min(self.touches.values()))


@dataclass(frozen=True)
class Whole:
    """Channels that are left whole, by the name of their first weight, and why."""

    name: str
    channels: int
    why: str


@dataclass(frozen=True)
class Channels:
    """Everything pruning knows of a network; it stays true while classes are removed.

    classes: of each atom. places: the classes of each position, by place. groups: what can be pruned as far as bonds
    tell. whole: what cannot, and why. free: whether a class may go. energy: [outputs, inputs] the squared weights of
    each convolution and linear layer, or [n] of a norm, summed over the kernel, by tensor name. uses: by the weight's
    name, how often it is used for one image.
    """

    trace: Trace
    classes: Atoms
    free: NDArray[np.bool_]
    places: Mapping[Place, Atoms]
    groups: tuple[Group, ...]
    whole: tuple[Whole, ...]
    energy: Mapping[str, NDArray[np.float64]]
    uses: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]


def find(network: nn.Module, image: Tensor, uses: Mapping[str, int], coupling: Coupling = Coupling.LIKELY) -> Channels:
    """Trace a network, in eval mode, and sort its channels."""
    bonds = Bonds()
    trace = run(network, image, bonds)
    classes = _coupled(network, trace, bonds, coupling)
    reasons = bonds.reasons(classes)
    free = np.ones(int(classes.max()) + 1, dtype=np.bool_)
    free[list(reasons)] = False
    places = {
        (name, dim): classes[atoms]
        for name, dims in trace.atoms.items()
        for dim, atoms in enumerate(dims)
        if atoms is not None
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors_of(network).items()}
    groups, whole = _groups(network, trace, classes, places, reasons, uses)
    return Channels(trace, classes, free, places, groups, whole, _energy(network), uses, shapes)


def _coupled(network: nn.Module, trace: Trace, bonds: Bonds, coupling: Coupling) -> Atoms:
    """Classes, when what must keep the same length does: what one number of a module is the size of, above all."""
    pairs = [
        (one, other)
        for one, other, certain in trace.coupled
        if (coupling >= (Coupling.LIKELY if certain else Coupling.ALL))
    ]
    for name, seen in trace.numbers.items():
        alike: dict[int, Atoms] = {}
        for size in set(numbers_of(network.get_submodule(name)).values()):
            for seen_size, atoms in seen:
                if seen_size == size and atoms is not None:
                    pairs.append((alike.setdefault(size, atoms), atoms))
    classes = bonds.classes()
    for one, other in pairs:
        if sorted(classes[one]) != sorted(classes[other]):
            bonds.where = "another dimension of the same size"
            bonds.join(one, other)
            classes = bonds.classes()
    return classes


def _groups(
    network: nn.Module,
    trace: Trace,
    classes: Atoms,
    places: Mapping[Place, Atoms],
    reasons: Mapping[int, str],
    uses: Mapping[str, int],
) -> tuple[tuple[Group, ...], tuple[Whole, ...]]:
    touches: dict[int, dict[Place, int]] = {}
    for place, numbers in places.items():
        for number, count in zip(*(array.tolist() for array in np.unique(numbers, return_counts=True)), strict=True):
            touches.setdefault(number, {})[place] = count
    alike: dict[tuple[tuple[Place, int], ...], list[int]] = {}
    for number in sorted(touches):
        if any(place[0] in uses and place[1] < 2 for place in touches[number]):
            alike.setdefault(tuple(touches[number].items()), []).append(number)
    kinds: dict[int, Counter[str]] = {}
    for kind, atoms in trace.kinds:
        if kind not in _BY_THEIR_WEIGHTS and atoms[0]:
            known = kind if kind in _NOT_ELEMENTWISE else "elementwise"
            kinds.setdefault(int(classes[atoms[0]]), Counter())[known] += 1
    owners = dict(network.named_modules())
    groups: list[Group] = []
    whole: list[Whole] = []
    for signature, members in alike.items():
        name = next(place[0] for place, _ in signature if place[0] in uses)
        why = reasons.get(members[0])
        if why is None and all(len(places[place]) == count for place, count in signature if place[0] in uses):
            why = "all of them depend on each other"
        if why is not None:
            if why not in BY_DESIGN:
                whole.append(Whole(name, len(members) if len(members) > 1 else max(dict(signature).values()), why))
            continue
        seen = sum((kinds[number] for number in members if number in kinds), Counter[str]())
        structure = sorted(f"{_kind(owners, place[0])}{place[1]}" for place, _ in signature)
        scope = f"{structure} {sorted(seen.items())}"
        groups.append(Group(name, np.array(members), dict(signature), scope))
    return tuple(groups), tuple(whole)


def _kind(owners: Mapping[str, nn.Module], name: str) -> str:
    owner, _, attribute = name.rpartition(".")
    module = owners[owner]
    return f"{type(module).__name__}{'_depthwise' if _depthwise(module) else ''}.{attribute}"


def _depthwise(layer: Any) -> bool:
    return isinstance(layer, _ConvNd) and layer.groups == layer.out_channels > 1


def _energy(network: nn.Module) -> dict[str, NDArray[np.float64]]:
    energy: dict[str, NDArray[np.float64]] = {}
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or _depthwise(module):
            continue
        if isinstance(module, (_ConvNd, nn.Linear)):
            squares = weight.detach().double().square()
            energy[f"{name}.weight"] = squares.reshape(*weight.shape[:2], -1).sum(2).cpu().numpy()
        elif isinstance(module, (_BatchNorm, nn.LayerNorm)) and weight.ndim == 1:
            energy[f"{name}.weight"] = weight.detach().double().square().cpu().numpy()
    return energy
