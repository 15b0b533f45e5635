"""Take classes out of a network's tensors, and put them back.

Tensors are cut along the places that trace found. Layers and blocks also remember sizes as plain numbers, which their
code reads (`num_features`, `groups`, `head_dim`, the sizes of a split): those follow, as far as the trace saw the module
work with a dimension of that size. Whether that was right is found out by running the network (`holds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgetl.models.channels.bonds import Atoms, Broken, Held
from edgetl.models.channels.groups import Channels
from edgetl.models.channels.sizes import numbers_of, rescale, rows_of
from edgetl.models.channels.trace import names_of, run, tensors_of

__all__ = ["cut", "evaluating", "holds"]

_Keep = Callable[[Atoms], NDArray[np.bool_]]


def cut(network: nn.Module, channels: Channels, kept: NDArray[np.bool_]) -> Callable[[], None]:
    """Remove all classes that are not kept, in place.

    Returns:
        What puts everything back.
    """
    undo: list[Callable[[], None]] = []

    def put(module: nn.Module, attribute: str, value: Any) -> None:
        undo.append(partial(setattr, module, attribute, getattr(module, attribute)))
        setattr(module, attribute, value)

    def keep(atoms: Atoms) -> NDArray[np.bool_]:
        return kept[channels.classes[atoms]]

    followed = _layers(network, channels, kept)
    _cut_tensors(network, channels, kept, put)
    for name, module in network.named_modules():
        sizes = {**_mirrored(module, followed), **_seen(module, name, channels, keep), **followed.get(module, {})}
        for attribute, size in sizes.items():
            old = getattr(module, attribute)
            for other, value in rescale(module, attribute, size).items():
                put(module, other, value)
            if old != size:
                put(module, attribute, size)

    def back() -> None:
        for step in reversed(undo):
            step()

    return back


def holds(network: nn.Module, image: Tensor, channels: Channels, kept: NDArray[np.bool_]) -> str | None:
    """Cut, run, and put back: why the network does not work with what is kept, or None."""
    back = cut(network, channels, kept)
    try:
        return check(network, image, channels, kept)
    finally:
        back()


def check(network: nn.Module, image: Tensor, channels: Channels, kept: NDArray[np.bool_]) -> str | None:
    """Run a network that was cut: why it does not work, or None."""
    try:
        with evaluating(network):
            run(
                network,
                image,
                Held(channels.classes, channels.free),
                channels.trace,
                lambda a: kept[channels.classes[a]],
            )
    except Broken as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 - whatever the code of a network raises when its sizes do not fit
        return f"{type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"[:160]
    return None


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode. What some networks keep in it (LeViT's biases) they forget whenever a mode is set, as before and after."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _cut_tensors(
    network: nn.Module, channels: Channels, kept: NDArray[np.bool_], put: Callable[[nn.Module, str, Any], None]
) -> None:
    owners: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in network.modules():
        for attribute, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                owners.setdefault(id(tensor), []).append((module, attribute))
    for name, tensor in tensors_of(network).items():
        smaller = tensor.detach()
        for dim in range(tensor.ndim):
            numbers = channels.places.get((name, dim))
            if numbers is not None and not kept[numbers].all():
                index = torch.from_numpy(np.flatnonzero(kept[numbers])).to(tensor.device)
                smaller = smaller.index_select(dim, index)
        if smaller.shape != tensor.shape:
            value = nn.Parameter(smaller, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else smaller
            for module, attribute in owners[id(tensor)]:
                put(module, attribute, value)


def _layers(network: nn.Module, channels: Channels, kept: NDArray[np.bool_]) -> dict[nn.Module, dict[str, int]]:
    """The numbers of convolutions, linear layers and BatchNorm, from what is left of their weights."""
    found: dict[nn.Module, dict[str, int]] = {}
    names = names_of(network)
    for name, layer in network.named_modules():

        def left(dim: int, attribute: str = "weight", name: str = name) -> NDArray[np.bool_] | None:
            numbers = channels.places.get((names.get(f"{name}.{attribute}", ""), dim))
            return None if numbers is None else kept[numbers]

        def size(dim: int, whole: int, attribute: str = "weight") -> int:
            mask = left(dim, attribute)
            return whole if mask is None else int(mask.sum())

        if isinstance(layer, _ConvNd):
            rows = left(0)
            groups = layer.groups
            if rows is not None and groups > 1:
                alive = rows.reshape(groups, -1)
                if (alive.all(axis=1) == alive.any(axis=1)).all():
                    groups = int(alive.all(axis=1).sum())
            first, second = size(0, layer.weight.shape[0]), size(1, layer.weight.shape[1]) * groups
            inputs, outputs = (first, second) if layer.transposed else (second, first)
            found[layer] = {"in_channels": inputs, "out_channels": outputs, "groups": groups}
        elif isinstance(layer, nn.Linear):
            found[layer] = {"in_features": size(1, layer.in_features), "out_features": size(0, layer.out_features)}
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            attribute = "weight" if layer.affine else "running_mean"
            found[layer] = {"num_features": size(0, layer.num_features, attribute)}
    return found


def _mirrored(module: nn.Module, followed: Mapping[nn.Module, Mapping[str, int]]) -> dict[str, int]:
    """Numbers that a block keeps of the convolutions inside it (`groups` of MobileOne's), which follow them.

    A block may have a norm alone (FastViT's identity branch), whose channels are all of these numbers; `dim` of its mixer
    is those of all that is inside.
    """
    mirrored: dict[str, int] = {}
    layers = [layer for layer in module.modules() if layer in followed]
    norms_alone = all(followed[layer].keys() == {"num_features"} for layer in layers)
    for attribute, whole in numbers_of(module).items():
        kind = next((kind for kind in ("groups", "in_c", "out_c", "dim") if attribute.startswith(kind)), None)
        if kind is None or whole == 1 or module in followed:
            continue
        any_of_them = norms_alone or kind == "dim"
        new = {
            size
            for layer in layers
            for name, size in followed[layer].items()
            if (any_of_them or name.startswith(kind)) and getattr(layer, name) == whole
        }
        if len(new) == 1:
            mirrored[attribute] = new.pop()
    return mirrored


def _seen(module: nn.Module, name: str, channels: Channels, keep: _Keep) -> dict[str, Any]:
    """Numbers and rows of numbers that a module was seen to work with."""
    changed: dict[int, set[int]] = {}
    certain: set[int] = set()
    for size, atoms in channels.trace.numbers.get(name, ()):
        changed.setdefault(size, set()).add(size if atoms is None else int(keep(atoms).sum()))
        if atoms is None:
            certain.add(size)
    found: dict[str, Any] = {}
    for attribute, size in numbers_of(module).items():
        new = changed.get(size, set()) - (
            {size} if len(changed.get(size, ())) > 1 and not _counts(attribute) else set()
        )
        if len(new) == 1:
            found[attribute] = new.pop()
    for sizes, dims in channels.trace.rows.get(name, ()):
        smaller = [size if atoms is None else int(keep(atoms).sum()) for size, atoms in zip(sizes, dims, strict=True)]
        for attribute, row in rows_of(module).items():
            if tuple(row) == sizes:
                found[attribute] = type(row)(smaller)
    return found


def _counts(attribute: str) -> bool:
    """How many of something there are, not how long it is: where both are equal, the length is what shrinks."""
    return attribute.startswith("num_")
