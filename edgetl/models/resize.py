"""The sizes of a network that pruning changes, in words: to read off two networks, and to give to a fresh one.

Convolutions, norms and linear layers say theirs in numbers, from which the shapes of their tensors follow. Of every
other tensor the shape itself is said. Blocks keep further numbers that their code reads, alone or several at
once: which of them, `edgetl.models.channels.sizes` decides by name, so that a file cannot reach strides or paddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgetl.models.channels.sizes import numbers_of, rescale, rows_of

__all__ = ["SizeError", "Sizes", "changed", "resize"]

Sizes = dict[str, dict[str, Any]]
"""By module and attribute: a number, or a list of them."""

# timm's norm with a fused activation is a _BatchNorm but no BatchNorm2d.
_LAYERS: Final[tuple[tuple[type[nn.Module], tuple[str, ...]], ...]] = (
    (_ConvNd, ("in_channels", "out_channels", "groups")),
    (_BatchNorm, ("num_features",)),
    (nn.Linear, ("in_features", "out_features")),
    (nn.LayerNorm, ("normalized_shape",)),
    (nn.GroupNorm, ("num_channels",)),
)
_IMPLIED: Final = ("weight", "bias", "running_mean", "running_var")


class SizeError(ValueError):
    """Sizes that a network cannot have."""


def changed(fresh: nn.Module, pruned: nn.Module) -> Sizes:
    """What differs from the fresh network."""
    different: Sizes = {}
    original = dict(fresh.named_modules())
    for name, module in pruned.named_modules():
        before = _sizes_of(original[name]) if name in original else {}
        words = {key: size for key, size in _sizes_of(module).items() if key in before and before[key] != size}
        if words:
            different[name] = words
    return different


def resize(body: nn.Module, sizes: Mapping[str, Mapping[str, Any]]) -> None:
    """Give layers other sizes, in place; their tensors become uninitialised.

    Raises:
        SizeError: a layer that is not there, a size that it does not have, or one that grows.
    """
    modules = dict(body.named_modules())
    for name, wanted in sizes.items():
        before = _sizes_of(modules[name]) if name in modules else {}
        for key, size in wanted.items():
            _check(f"{name}.{key}", before.get(key), size)
        if not before:
            raise SizeError(f"{name!r}: no layer of this name has sizes")
        _set(modules[name], name, wanted)


def _sizes_of(module: nn.Module) -> dict[str, Any]:
    known = next((attributes for kind, attributes in _LAYERS if isinstance(module, kind)), ())
    sizes: dict[str, Any] = {}
    for attribute in known:
        value = getattr(module, attribute)
        sizes[attribute] = value if isinstance(value, int) else list(value)
    if not known:
        sizes.update(numbers_of(module))
    sizes.update({name: list(row) for name, row in rows_of(module).items()})
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        if tensor is not None and tensor.ndim and not (known and name in _IMPLIED):
            sizes[name] = list(tensor.shape)
    return sizes


def _check(place: str, before: Any, size: Any) -> None:
    if before is None:
        raise SizeError(f"{place}: got {size!r}, expected no such size")
    if isinstance(before, int):
        if type(size) is not int or not 1 <= size <= before:
            raise SizeError(f"{place}: got {size!r}, expected 1 to {before}")
    elif type(size) is not list or len(size) != len(before):
        raise SizeError(f"{place}: got {size!r}, expected {len(before)} numbers")
    elif not all(type(one) is int and 1 <= one <= most for one, most in zip(size, before, strict=True)):
        raise SizeError(f"{place}: got {size!r}, expected at most {before}")


def _set(module: Any, name: str, wanted: Mapping[str, Any]) -> None:
    for key, size in wanted.items():
        value = getattr(module, key)
        if isinstance(value, Tensor):
            _allocate(module, key, tuple(size))
            continue
        for other, number in rescale(module, key, size).items():
            setattr(module, other, number)
        setattr(module, key, size if isinstance(size, int) else type(value)(size))
    shapes: dict[str, tuple[int, ...]] = {}
    if isinstance(module, _ConvNd):
        if module.in_channels % module.groups or module.out_channels % module.groups:
            raise SizeError(f"{name}: groups do not divide the channels")
        sides = (module.out_channels, module.in_channels)
        first, second = reversed(sides) if module.transposed else sides
        shapes = {"weight": (first, second // module.groups, *module.kernel_size), "bias": (module.out_channels,)}
    elif isinstance(module, nn.Linear):
        shapes = {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    elif isinstance(module, _BatchNorm):
        shapes = dict.fromkeys(_IMPLIED, (module.num_features,))
    elif isinstance(module, nn.LayerNorm):
        shapes = dict.fromkeys(_IMPLIED[:2], tuple(module.normalized_shape))
    elif isinstance(module, nn.GroupNorm):
        if module.num_channels % module.num_groups:
            raise SizeError(f"{name}: groups do not divide the channels")
        shapes = dict.fromkeys(_IMPLIED[:2], (module.num_channels,))
    for key, shape in shapes.items():
        tensor = getattr(module, key, None)
        if isinstance(tensor, Tensor):
            if any(size > most for size, most in zip(shape, tensor.shape, strict=True)):
                raise SizeError(f"{name}: {key} would grow from {list(tensor.shape)} to {list(shape)}")
            _allocate(module, key, shape)


def _allocate(module: nn.Module, key: str, shape: tuple[int, ...]) -> None:
    tensor = getattr(module, key)
    empty = tensor.new_empty(shape)
    setattr(module, key, nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty)
