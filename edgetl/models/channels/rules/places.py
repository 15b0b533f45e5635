"""Rules for what puts the same values elsewhere: transposes, concatenations, slices, shuffles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.models.channels.bonds import NO_ATOM
from edgetl.models.channels.rules.table import Dims, join_rows, known, none, rule

if TYPE_CHECKING:
    from edgetl.models.channels.trace import Tracer

__all__: list[str] = []


@rule("permute")
def _permute(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    return [dims[index] for index in args[1]]


@rule("transpose", "swapaxes", "t", "transpose_")
def _transpose(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    one, other = args[1:3] if len(args) > 1 else (0, -1)
    if len(dims) > 1:
        dims[one], dims[other] = dims[other], dims[one]
    return dims


@rule("expand")
def _expand(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    new = out.ndim - len(dims)
    same = [size == out.shape[new + index] for index, size in enumerate(args[0].shape)]
    tracer.expand(out, {new + index for index, kept in enumerate(same) if not kept})
    return [*[None] * new, *(atoms if kept else None for atoms, kept in zip(dims, same, strict=True))]


@rule("repeat")
def _repeat(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    dims = [*[None] * (out.ndim - len(dims)), *dims]
    return [None if atoms is None else np.tile(atoms, times) for atoms, times in zip(dims, args[1], strict=True)]


@rule("cat", "concatenate")
def _cat(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    values = [value for value in args[0] if value.numel()]
    along = (args[1] if len(args) > 1 else 0) % out.ndim
    dims = [tracer.of(value) for value in values]
    joined: Dims = []
    for index in range(out.ndim):
        parts = [each[index] for each in dims]
        if index != along:
            atoms = parts[0]
            for other in parts[1:]:
                tracer.bonds.join(atoms, other)
                atoms = known(atoms, other)
            joined.append(atoms)
        elif all(part is None for part in parts):
            joined.append(None)
        else:
            lengths = [value.shape[index] for value in values]
            blank = [np.full(n, NO_ATOM) if part is None else part for part, n in zip(parts, lengths, strict=True)]
            joined.append(np.concatenate(blank))
    return joined


@rule("stack")
def _stack(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    along = (args[1] if len(args) > 1 else 0) % out.ndim
    dims = list(tracer.of(args[0][0]))
    for value in args[0][1:]:
        for index, atoms in enumerate(tracer.of(value)):
            tracer.bonds.join(dims[index], atoms)
            dims[index] = known(dims[index], atoms)
    return [*dims[:along], None, *dims[along:]]


@rule("select")
def _select(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    tracer.bonds.pin(dims.pop(args[1]))
    return dims


@rule("slice")
def _slice(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    along, start, end, step = (args[1:] + (0, None, None, 1)[len(args) - 1 :])[:4]
    atoms = dims[along]
    if atoms is not None:
        for bound in (start, end):
            if bound is not None and 0 < bound <= len(atoms):
                tracer.number(bound, atoms[:bound])
        dims[along] = atoms[slice(start, end, step)]
    elif end is not None and 0 < end < args[0].shape[along]:
        tracer.number(end, None)
    return dims


@rule("index_select")
def _index_select(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    tracer.bonds.pin(dims[args[1]])
    dims[args[1]] = None
    return dims


@rule("index", "_unsafe_index")
def _index(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = tracer.of(args[0])
    indices = [*args[1], *[None] * (len(dims) - len(args[1]))]
    places = [place for place, index in enumerate(indices) if index is not None]
    for place in places:
        tracer.bonds.pin(dims[place])
    if not places or places != list(range(places[0], places[-1] + 1)):
        for atoms in dims:
            tracer.bonds.pin(atoms)
        return none(out.shape)
    new = out.ndim - (len(dims) - len(places))
    return [*dims[: places[0]], *[None] * new, *dims[places[-1] + 1 :]]


@rule("roll", "flip")
def _roll(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    moved = (
        args[2] if tracer.name == "roll" and len(args) > 2 else args[1] if tracer.name == "flip" else range(len(dims))
    )
    for index in moved:
        tracer.bonds.pin(dims[index])
    return dims


@rule("im2col")
def _im2col(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    batch, channels = tracer.of(args[0])[:2]
    return [batch, None if channels is None else np.repeat(channels, out.shape[1] // len(channels)), None]


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def _shuffled(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    dims = list(tracer.of(args[0]))
    atoms = dims[-3]
    if atoms is None:
        return dims
    if tracer.name == "pixel_unshuffle":
        return [*dims[:-3], np.repeat(atoms, args[1] ** 2), None, None]
    if tracer.name == "pixel_shuffle":
        rows = atoms.reshape(-1, args[1] ** 2)
        join_rows(tracer, rows.T)
        return [*dims[:-3], rows[:, 0], None, None]
    rows = atoms.reshape(args[1], -1)
    join_rows(tracer, rows)
    return [*dims[:-3], np.repeat(rows[0], args[1]), *dims[-2:]]
