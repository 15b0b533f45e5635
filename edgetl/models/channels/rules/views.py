"""The rule for reshapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.models.channels.bonds import Atoms
from edgetl.models.channels.rules.table import Dims, join_rows, none, rule

if TYPE_CHECKING:
    from edgetl.models.channels.trace import Tracer

__all__: list[str] = []


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "_reshape_alias", "unsqueeze_", "squeeze_")
def _view(tracer: Tracer, args: tuple[Any, ...], out: Any) -> Dims:
    """Neighbouring dimensions become one, or one becomes several; dimensions of size 1 come and go."""
    dims = tracer.of(args[0])
    result = none(out.shape)
    asked = tracer.asked(out)
    free = {index for index, size in enumerate(asked) if size == -1}
    for before, after in _blocks(args[0].shape, out.shape):
        atoms = _merged(tracer, [args[0].shape[i] for i in before], [dims[i] for i in before])
        if atoms is None:
            continue
        written = bool(asked) and not free & set(after)
        if len(after) == 1:
            result[after[0]] = atoms
            if written:
                tracer.couple(atoms)
            continue
        sizes = [out.shape[index] for index in after]
        axis = _carrier(tracer, atoms.reshape(sizes), [index in free for index in after])
        rows = np.moveaxis(atoms.reshape(sizes), axis, -1).reshape(-1, sizes[axis])
        join_rows(tracer, rows)
        result[after[axis]] = rows[0]
        for place in range(len(sizes) if written else 0):
            tail = sizes[place:]
            shape = [size if index + place == axis else 1 for index, size in enumerate(tail)]
            if axis >= place:
                tracer.couple(np.broadcast_to(rows[0].reshape(shape), tail).reshape(-1))
    for size, atoms in zip(asked, result, strict=False):
        if size > 1:
            tracer.number(size, atoms)
    if asked:
        tracer.row(asked, result)
    return result


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Dimensions above 1 on both sides, cut into the shortest pieces of equal size."""
    left = [index for index, size in enumerate(before) if size > 1]
    right = [index for index, size in enumerate(after) if size > 1]
    blocks = []
    while left and right:
        one, other = [left.pop(0)], [right.pop(0)]
        while (product := math.prod(before[i] for i in one)) != (wanted := math.prod(after[i] for i in other)):
            if product < wanted:
                one.append(left.pop(0))
            else:
                other.append(right.pop(0))
        blocks.append((one, other))
    return blocks


def _merged(tracer: Tracer, sizes: list[int], dims: Dims) -> Atoms | None:
    """The atoms of all values of several dimensions, flat; where more than one has atoms, only those of the last may go."""
    having = [index for index, atoms in enumerate(dims) if atoms is not None]
    if not having:
        return None
    for index in having[:-1]:
        tracer.bonds.pin(dims[index])
    atoms = dims[having[-1]]
    assert atoms is not None
    shape = [1] * len(sizes)
    shape[having[-1]] = len(atoms)
    return np.ascontiguousarray(np.broadcast_to(atoms.reshape(shape), sizes)).reshape(-1)


def _carrier(tracer: Tracer, atoms: Atoms, free: list[bool]) -> int:
    """Which of several dimensions becomes shorter when channels go.

    The one whose atoms do not depend on the others; else the one whose size the network leaves open (-1); else the last.
    """
    for axis in range(atoms.ndim):
        lines = np.moveaxis(atoms, axis, -1).reshape(-1, atoms.shape[axis])
        if (lines == lines[0]).all():
            return axis
    return tracer.choose(free.index(True) if any(free) else atoms.ndim - 1)
