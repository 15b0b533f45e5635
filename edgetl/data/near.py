"""Pictures that are the same photograph in other bytes: saved again, resized, slightly cropped, mirrored or turned.

As in the perceptual hash of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
https://www.phash.org/docs/pubs/thesis_zauner.pdf) a picture is compared by the low frequencies of its cosine transform,
but by their values and not by 64 signs of them: dermatoscopic pictures are all a dark blob on bright skin, and different
lesions share their signs. Two steps:

1. Candidates are pairs whose low frequencies correlate in one of the eight orientations of a square. Mirror images and
   quarter turns only change signs and swap the axes, so sorted absolute values bound all eight at once (rearrangement
   inequality), and one blocked matrix product leaves few pairs to look at.
2. Each candidate is registered (scale and shift along both axes, brightness, contrast), because a crop of 2 % moves the
   picture; the pair is near when its slopes then correlate.

Some data sets look all alike (frames of a clip, chest X-rays), and then nearly every pair is a candidate. So pairs are
left out that could tell nothing new: those within a group, and those that pairs found before connect already.

benchmarks/near_duplicates.py measures what is found and what is found falsely.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edgetl.data.leaks import connected
from edgetl.data.records import Record, group_of
from edgetl.data.registration import registered
from edgetl.data.ties import Ties

__all__ = ["SIDE", "Pair", "duplicates", "search", "thumbnail"]

SIDE = 64
"""Height and width of a thumbnail."""
_BAND = 12
"""Frequencies along each axis that candidates are found by."""
_CANDIDATE = 0.93
"""Least correlation of a candidate."""
_NEAR = 0.95
"""Least correlation after registration."""
_MOST = 8
"""Candidates that are looked at of one picture, the best ones: bounds the work on sets that look all alike."""
_BLOCK = 1024
"""Pictures whose products are taken at once."""
_FEW = 4096
"""Pairs of two blocks up to which each is looked at by itself; of more, the products of all are cheaper."""
_PAIRS = 256
"""Pairs that are looked at at once."""

Floats = npt.NDArray[np.float32]
Thumbnails = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their index with first < second, and their correlation after registration."""

    first: int
    second: int
    correlation: float


def thumbnail(pixels: npt.NDArray[np.uint8]) -> Thumbnails:
    """uint8 [h, w, 3] to grey uint8 [64, 64]: the mean of each cell, whatever the aspect."""
    # Not by matrix products: their threads would fight with those that decode.
    grey = np.einsum("yxc,c->yx", _means(pixels), np.array([0.299, 0.587, 0.114], np.float32))
    return np.asarray(np.rint(_means(grey.T).T), dtype=np.uint8)


def search(
    count: int,
    look: Callable[[int], Thumbnails],
    groups: Sequence[str] | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[Pair]:
    """Near pairs among `count` pictures, ordered: enough of them to connect whatever is one photograph.

    Needs next to no memory, a kilobyte a picture of temporary files, and thumbnails twice where they are looked at twice.

    Args:
        look: index -> its thumbnail.
        groups: of each picture; pairs within one are left out. None puts each picture into its own.
        advance: told (done, total) pictures.
    """
    group = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    found: list[Pair] = []
    known: Ties[int] = Ties()
    for done, pairs, turns in _candidates(count, look, group, known):
        for at in range(0, len(turns), _PAIRS):
            some = slice(at, at + _PAIRS)
            new = [known.root(first) != known.root(second) for first, second in pairs[:, some].T.tolist()]
            if not any(new):
                continue
            few, turned = pairs[:, some][:, new].tolist(), turns[some][new].tolist()
            fixed = np.stack([look(index) for index in few[0]])
            moving = np.stack([_turned(look(index), turn) for index, turn in zip(few[1], turned, strict=True)])
            for first, second, value in zip(*few, registered(fixed, moving).tolist(), strict=True):
                if value >= _NEAR:
                    found.append(Pair(first, second, value))
                    known.tie(first, second)
        advance(done, count)
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def duplicates(
    records: Sequence[Record],
    digests: Mapping[str, str],
    look: Callable[[int], Thumbnails],
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[Record]]:
    """Sets of near duplicates that lie in several groups; of byte-identical files only the first is looked at.

    Args:
        digests: sha256 of each image, by its path.
        look: index of a record -> thumbnail of its picture.
    """
    first: dict[str, int] = {}
    for index, record in enumerate(records):
        first.setdefault(digests[record.image], index)
    rows = list(first.values())
    chosen = [records[row] for row in rows]
    pairs = search(len(rows), lambda place: look(rows[place]), [group_of(record) for record in chosen], advance)
    by_image = {record.image: record for record in chosen}
    sets = connected((chosen[pair.first].image, chosen[pair.second].image) for pair in pairs)
    return [[by_image[image] for image in same] for same in sets]


def _means(lines: npt.NDArray[np.generic]) -> Floats:
    """[n, ...] to float32 [64, ...]: the mean of each 64th along the first axis; lines that it cuts count by their parts."""
    edges = np.arange(SIDE + 1) * (len(lines) / SIDE)
    whole = edges.astype(np.int64)
    part = (edges - whole).astype(np.float32)
    means = np.empty((SIDE, *lines.shape[1:]), np.float32)
    for cell, (first, last) in enumerate(pairwise(whole.tolist())):
        np.add.reduce(lines[first:last], axis=0, dtype=np.float32, out=means[cell])
        if part[cell]:
            means[cell] -= part[cell] * lines[first]
        if part[cell + 1]:
            means[cell] += part[cell + 1] * lines[last]
    means *= np.float32(SIDE / len(lines))
    return means


@lru_cache(maxsize=1)
def _cosines() -> Floats:
    """float32 [12, 64]: the first rows of the orthonormal DCT-II."""
    angles = np.arange(_BAND)[:, None] * (np.arange(SIDE) + 0.5) * (np.pi / SIDE)
    return np.asarray(
        np.cos(angles) * np.sqrt(2.0 / SIDE) * np.where(np.arange(_BAND) == 0, 0.5**0.5, 1.0)[:, None], np.float32
    )


@lru_cache(maxsize=1)
def _weights() -> Floats:
    """float32 [12, 12]: the frequency, which evens out that pictures have less of the high ones; 0 outside the band."""
    frequency = np.hypot(*np.mgrid[:_BAND, :_BAND])
    return np.asarray(np.where(frequency < _BAND, frequency, 0.0), dtype=np.float32)


def _spectra(thumbnails: npt.NDArray[np.generic]) -> Floats:
    """[n, 64, 64] to float32 [n, 12, 12] of length 1; zeros for a picture without structure."""
    spectra = _cosines() @ thumbnails.astype(np.float32) @ _cosines().T * _weights()
    lengths = np.sqrt((spectra**2).sum((1, 2), keepdims=True))
    return np.where(lengths > 1.0, spectra / np.maximum(lengths, 1.0), np.float32(0.0))


def _bounding(spectra: Floats) -> Floats:
    """float32 [n, 12, 12] whose products bound those of the spectra in any orientation."""
    absolute = np.abs(spectra)
    across = absolute.transpose(0, 2, 1)
    rows, columns = np.indices((_BAND, _BAND))
    return np.where(rows > columns, np.maximum(absolute, across), np.minimum(absolute, across))


def _oriented(spectra: Floats, turn: int) -> Floats:
    """The spectra of pictures that `_turned` turned."""
    odd = np.where(np.arange(_BAND) % 2, np.float32(-1.0), np.float32(1.0))
    turned = spectra.transpose(0, 2, 1) if turn & 4 else spectra
    return turned * (odd[:, None] if turn & 2 else 1) * (odd if turn & 1 else 1)


def _turned(picture: npt.NDArray[np.uint8], turn: int) -> npt.NDArray[np.uint8]:
    """One of the eight orientations of [64, 64]."""
    turned = picture.T if turn & 4 else picture
    return turned[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


_Indices = npt.NDArray[np.int64]
_Turns = npt.NDArray[np.int8]


def _candidates(
    count: int, look: Callable[[int], Thumbnails], group: _Indices, known: Ties[int]
) -> Iterator[tuple[int, _Indices, _Turns]]:
    """Blocks of (pictures done, pairs [2, n], orientation of the second [n]), in each the likeliest pairs first.

    Pairs of one group, and those that `known` connects when their block begins, are left out.
    """
    blocks = [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    inside = _weights() > 0
    with _Spilled((_BAND, _BAND)) as spectra, _Spilled((int(inside.sum()),)) as bounds:
        for block in blocks:
            found_here = _spectra(np.stack([look(index) for index in range(block.start, block.stop)]))
            spectra.append(found_here)
            bounds.append(_bounding(found_here)[:, inside])
        for number, block in enumerate(blocks):
            roots = np.array([known.root(index) for index in range(count)])
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
        each = [np.einsum("nuv,nuv->n", ours[rows], _oriented(theirs[columns], turn)) for turn in range(8)]
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
    for turn in range(8):
        turned = ours.reshape(len(ours), -1) @ _oriented(theirs, turn).reshape(len(theirs), -1).T
        turns[turned > values] = turn
        np.maximum(values, turned, out=values)
    return values, turns
