"""The leak guard: what is on both sides of a split, by group, byte for byte, or as the same photograph saved again.

Public data sets hold the same file under several names, at times with different labels
(Cassidy et al., "Analysis of the ISIC image datasets", Medical Image Analysis 2022, https://doi.org/10.1016/j.media.2021.102305).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgetl.data.records import Record, Split, group_of

__all__ = ["Identical", "Leaks", "Near", "SharedGroup", "connected", "find", "merge", "merge_identical"]


@dataclass(frozen=True)
class SharedGroup:
    """A group with images in several splits.

    splits: sorted; images: sorted paths.
    """

    group: str
    splits: tuple[Split, ...]
    images: tuple[str, ...]


@dataclass(frozen=True)
class Identical:
    """Files with the same bytes.

    images: sorted paths.
    labels: sorted, several when they contradict each other.
    splits: sorted, several when they leak.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Near:
    """Pictures of different groups that are the same photograph in other bytes; fields as of `Identical`."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Leaks:
    """What was found.

    groups: groups in several splits.
    identical: every set of byte-identical files, also the harmless ones within a split.
    near: every set of near duplicates that no group holds together, also the harmless ones within a split.
    """

    groups: tuple[SharedGroup, ...]
    identical: tuple[Identical, ...]
    near: tuple[Near, ...]

    @property
    def across(self) -> tuple[Identical, ...]:
        """Identical files that are in several splits."""
        return tuple(same for same in self.identical if len(same.splits) > 1)

    @property
    def near_across(self) -> tuple[Near, ...]:
        """Near duplicates that are in several splits."""
        return tuple(same for same in self.near if len(same.splits) > 1)

    @property
    def conflicting(self) -> tuple[Identical, ...]:
        """Identical files with different labels."""
        return tuple(same for same in self.identical if len(same.labels) > 1)

    def to_json(self) -> dict[str, Any]:
        """As in the report: `{groups: [...], identical: [...], near: [...]}`."""
        return asdict(self)


def find(records: Sequence[Record], digests: Mapping[str, str], near: Iterable[Sequence[Record]] = ()) -> Leaks:
    """Look at the records' splits as they stand; a record without one cannot leak yet.

    Args:
        records: with the splits that the source prescribes, or with those that were dealt.
        digests: sha256 of each image, by its path.
        near: sets of near duplicates among the records.
    """
    seen: dict[str, Split] = {}
    torn = {
        group_of(record)
        for record in records
        if record.split and seen.setdefault(group_of(record), record.split) != record.split
    }
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if group_of(record) in torn:
            groups[group_of(record)].append(record)
    shared = tuple(SharedGroup(name, _splits(members), _images(members)) for name, members in sorted(groups.items()))
    identical = tuple(Identical(_images(same), _labels(same), _splits(same)) for same in _identical(records, digests))
    return Leaks(shared, identical, tuple(Near(_images(same), _labels(same), _splits(same)) for same in near))


def merge_identical(records: Sequence[Record], digests: Mapping[str, str]) -> list[Record]:
    """The same records, with groups that share a file made one, so that a split cannot part identical files."""
    return merge(records, _identical(records, digests))


def merge(records: Sequence[Record], sets: Iterable[Sequence[Record]]) -> list[Record]:
    """The same records, with the groups of each set made one.

    A merged group takes the first of its groups' names; records that share nothing stay as they are.
    """
    of = {
        name: merged[0]
        for merged in connected({group_of(record) for record in same} for same in sets)
        for name in merged
    }
    return [replace(record, group=of[group_of(record)]) if group_of(record) in of else record for record in records]


def connected(sets: Iterable[Iterable[str]]) -> list[list[str]]:
    """Sets that share a member made one, over chains; each sorted, and they by their first."""
    from scipy.cluster.hierarchy import DisjointSet  # takes 0.3 s, which builds without new data can do without

    joined = DisjointSet()
    for first, *others in sets:
        joined.add(first)
        for other in others:
            joined.add(other)
            joined.merge(first, other)
    return sorted(sorted(members) for members in joined.subsets())


def _identical(records: Sequence[Record], digests: Mapping[str, str]) -> list[list[Record]]:
    """Sets of two or more records whose files have the same bytes, ordered by their first path."""
    seen: set[str] = set()
    several: set[str] = set()
    for record in records:
        digest = digests[record.image]
        (several if digest in seen else seen).add(digest)
    by_digest: defaultdict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.image):
        if digests[record.image] in several:
            by_digest[digests[record.image]].append(record)
    return list(by_digest.values())


def _images(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(sorted(record.image for record in records))


def _labels(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(sorted({record.label for record in records}))


def _splits(records: Sequence[Record]) -> tuple[Split, ...]:
    return tuple(sorted({record.split for record in records if record.split is not None}))
