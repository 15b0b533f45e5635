"""Pairs that may be one photograph: those whose low frequencies correlate in some orientation."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgetl.data.near_duplicates.spectra import BAND, ORIENTATIONS, bounding, inside, oriented
from edgetl.data.near_duplicates.spectra import spectra as spectra_of
from edgetl.data.near_duplicates.thumbnails import Thumbnails

if TYPE_CHECKING:
    from scipy.cluster.hierarchy import DisjointSet

__all__ = ["candidates", "root"]

_CANDIDATE = 0.93
"""Least correlation of a candidate."""
_MOST = 8
"""Candidates that are looked at of one picture, the best ones: bounds the work on sets that look all alike."""
_BLOCK = 512
"""Pictures whose products are taken at once."""
_FEW = 2048
"""Pairs of two blocks up to which each is looked at by itself; of more, the products of all are cheaper."""

Floats = npt.NDArray[np.float32]
_Indices = npt.NDArray[np.int64]
_Turns = npt.NDArray[np.int8]


def candidates(
    count: int, look: Callable[[int], Thumbnails], group: _Indices, known: DisjointSet
) -> Iterator[tuple[int, _Indices, _Turns]]:
    """Blocks of (pictures done, pairs [2, n], orientation of the second [n]), in each the likeliest pairs first.

    Pairs of one group, and those that `known` connects when their block begins, are left out.
    """
    blocks = [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    band = inside()
    with _Spilled((BAND, BAND)) as spectra, _Spilled((int(band.sum()),)) as bounds:
        for block in blocks:
            of_block = spectra_of(np.stack([look(index) for index in range(block.start, block.stop)]))
            spectra.append(of_block)
            bounds.append(bounding(of_block)[:, band])
        for number, block in enumerate(blocks):
            roots = np.array([root(known, index) for index in range(count)])
            best = _Best(np.empty((2, 0), np.int64), np.empty(0, np.int8), np.empty(0, np.float32))
            for other in blocks[number:]:
                possible = (group[block, None] != group[other]) & (roots[block, None] != roots[other])
                if other is block:
                    possible = np.triu(possible, 1)
                if possible.any():
                    possible &= bounds.block(block) @ bounds.block(other).T >= _CANDIDATE
                if not possible.any():
                    continue
                rows, columns, values, turns = _likely(possible, spectra.block(block), spectra.block(other))
                best = best.with_(np.stack([rows + block.start, columns + other.start]), turns, values)
            yield block.stop, best.pairs, best.turns


def root(known: DisjointSet, index: int) -> int:
    """What stands for all pictures that one is connected with. Only connected ones are in `known`: most never are."""
    return int(known[index]) if index in known else index


@dataclass(frozen=True)
class _Best:
    """The `_MOST` best candidates of each first picture: pairs [2, n], turns [n], values [n], each picture's best one first."""

    pairs: _Indices
    turns: _Turns
    values: Floats

    def with_(self, pairs: _Indices, turns: _Turns, values: Floats) -> _Best:
        """The best of these and of some more."""
        pairs = np.concatenate([self.pairs, pairs], axis=1)
        turns, values = np.concatenate([self.turns, turns]), np.concatenate([self.values, values])
        order = np.lexsort((-values, pairs[0]))
        ranked = pairs[0][order]
        rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
        order = order[np.lexsort((ranked, rank))[: int((rank < _MOST).sum())]]
        return _Best(pairs[:, order], turns[order], values[order])


class _Spilled:
    """float32 rows of one shape in a temporary file: in memory, a kilobyte a picture adds up."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._bytes = 4 * math.prod(shape)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> _Spilled:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, rows: Floats) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(rows, np.float32).data)

    def block(self, rows: slice) -> Floats:
        """Neighbouring rows, [n, *shape]."""
        self._file.seek(rows.start * self._bytes)
        content = self._file.read((rows.stop - rows.start) * self._bytes)
        return np.frombuffer(content, np.float32).reshape(-1, *self._shape)


def _likely(possible: npt.NDArray[np.bool_], ours: Floats, theirs: Floats) -> tuple[_Indices, _Indices, Floats, _Turns]:
    """The candidates among possible pairs, of each row at least the `_MOST` best.

    Args:
        possible: [n, m].
        ours, theirs: spectra [n, 12, 12] and [m, 12, 12].

    Returns:
        Row, column, correlation in the best orientation, and that orientation; [pairs] each.
    """
    rows, columns = np.nonzero(possible)
    if len(rows) <= _FEW:
        each = [np.einsum("nuv,nuv->n", ours[rows], oriented(theirs[columns], turn)) for turn in ORIENTATIONS]
        values, turns = np.max(each, axis=0), np.argmax(each, axis=0).astype(np.int8)
    else:
        all_values, all_turns = _correlations(ours, theirs)
        all_values[~possible] = 0.0
        most = min(_MOST, len(theirs))
        columns = np.argpartition(all_values, -most, axis=1)[:, -most:].ravel()
        rows = np.repeat(np.arange(len(ours)), most)
        values, turns = all_values[rows, columns], all_turns[rows, columns]
    kept = values >= _CANDIDATE
    return rows[kept], columns[kept], values[kept], turns[kept]


def _correlations(ours: Floats, theirs: Floats) -> tuple[Floats, _Turns]:
    """[n, m] of spectra [n, 12, 12] and [m, 12, 12], each pair in its best orientation, and that orientation."""
    values = np.zeros((len(ours), len(theirs)), np.float32)
    turns = np.zeros(values.shape, np.int8)
    for turn in ORIENTATIONS:
        turned = ours.reshape(len(ours), -1) @ oriented(theirs, turn).reshape(len(theirs), -1).T
        turns[turned > values] = turn
        np.maximum(values, turned, out=values)
    return values, turns
