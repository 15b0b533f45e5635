"""The search: candidates are registered, and those that then agree are tied together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgetl.data.leaks import connected
from edgetl.data.near_duplicates.candidates import candidates, root
from edgetl.data.near_duplicates.registration import registered
from edgetl.data.near_duplicates.thumbnails import Thumbnails, turned
from edgetl.data.records import Record, group_of

__all__ = ["Pair", "duplicates", "search"]

_NEAR = 0.95
"""Least correlation after registration."""
_PAIRS = 64
"""Pairs that are looked at at once."""


@dataclass(frozen=True)
class Pair:
    """Two pictures, by their index with first < second, and their correlation after registration."""

    first: int
    second: int
    correlation: float


def search(
    count: int,
    look: Callable[[int], Thumbnails],
    groups: Iterable[str] | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[Pair]:
    """Near pairs among `count` pictures, ordered: enough of them to connect whatever is one photograph.

    Needs next to no memory, a kilobyte a picture of temporary files, and thumbnails twice where they are looked at twice.

    Args:
        look: index -> its thumbnail.
        groups: of each picture; pairs within one are left out. None puts each picture into its own.
        advance: told (done, total) pictures.
    """
    from scipy.cluster.hierarchy import DisjointSet  # takes 0.3 s, which builds without new data can do without

    # Their hashes stand for the groups: a table of the names would take megabytes.
    group = np.arange(count) if groups is None else np.fromiter(map(hash, groups), np.int64, count)
    near: list[Pair] = []
    known = DisjointSet()
    for done, pairs, turns in candidates(count, look, group, known):
        for at in range(0, len(turns), _PAIRS):
            some = slice(at, at + _PAIRS)
            new = [root(known, first) != root(known, second) for first, second in pairs[:, some].T.tolist()]
            if not any(new):
                continue
            few, turns_of_few = pairs[:, some][:, new].tolist(), turns[some][new].tolist()
            fixed = np.stack([look(index) for index in few[0]])
            moving = np.stack([turned(look(index), turn) for index, turn in zip(few[1], turns_of_few, strict=True)])
            for first, second, value in zip(*few, registered(fixed, moving).tolist(), strict=True):
                if value >= _NEAR:
                    near.append(Pair(first, second, value))
                    for index in (first, second):
                        known.add(index)
                    known.merge(first, second)
        advance(done, count)
    return sorted(near, key=lambda pair: (pair.first, pair.second))


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
    rows = _different(records, digests)
    groups = (group_of(records[row]) for row in rows)
    pairs = search(len(rows), lambda place: look(rows[place]), groups, advance)
    near = [(records[rows[pair.first]], records[rows[pair.second]]) for pair in pairs]
    by_image = {record.image: record for both in near for record in both}
    sets = connected((first.image, second.image) for first, second in near)
    return [[by_image[image] for image in same] for same in sets]


def _different(records: Sequence[Record], digests: Mapping[str, str]) -> list[int]:
    """Indices of the records whose picture is there for the first time."""
    seen: set[str] = set()
    rows = []
    for index, record in enumerate(records):
        if (digest := digests[record.image]) not in seen:
            seen.add(digest)
            rows.append(index)
    return rows
