"""The leak guard: what is on both sides of a split, by group or byte for byte.

Public data sets hold the same file under several names, at times with different labels
(Cassidy et al., "Analysis of the ISIC image datasets", Medical Image Analysis 2022, https://doi.org/10.1016/j.media.2021.102305).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgetl.data.records import Record, Split, group_of

__all__ = ["Identical", "Leaks", "SharedGroup", "find", "merge_identical"]


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
class Leaks:
    """What was found.

    groups: groups in several splits.
    identical: every set of byte-identical files, also the harmless ones within a split.
    """

    groups: tuple[SharedGroup, ...]
    identical: tuple[Identical, ...]

    @property
    def across(self) -> tuple[Identical, ...]:
        """Identical files that are in several splits."""
        return tuple(same for same in self.identical if len(same.splits) > 1)

    @property
    def conflicting(self) -> tuple[Identical, ...]:
        """Identical files with different labels."""
        return tuple(same for same in self.identical if len(same.labels) > 1)

    def to_json(self) -> dict[str, Any]:
        """As in the report: `{groups: [...], identical: [...]}`."""
        return asdict(self)


def find(records: Sequence[Record], digests: Mapping[str, str]) -> Leaks:
    """Look at the records' splits as they stand; a record without one cannot leak yet.

    Args:
        records: with the splits that the source prescribes, or with those that were dealt.
        digests: sha256 of each image, by its path.
    """
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[group_of(record)].append(record)
    shared = tuple(
        SharedGroup(name, _splits(members), tuple(sorted(member.image for member in members)))
        for name, members in sorted(groups.items())
        if len(_splits(members)) > 1
    )
    identical = tuple(
        Identical(
            images=tuple(sorted(record.image for record in same)),
            labels=tuple(sorted({record.label for record in same})),
            splits=_splits(same),
        )
        for same in _identical(records, digests)
    )
    return Leaks(shared, identical)


def merge_identical(records: Sequence[Record], digests: Mapping[str, str]) -> list[Record]:
    """The same records, with groups that share a file made one, so that a split cannot part identical files.

    A merged group takes the first of its groups' names; records that share nothing stay as they are.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            name = above
        return name

    for same in _identical(records, digests):
        roots = sorted({root(group_of(record)) for record in same})
        for name in roots:
            parent[name] = roots[0]
    return [
        replace(record, group=root(group_of(record))) if group_of(record) in parent else record for record in records
    ]


def _identical(records: Sequence[Record], digests: Mapping[str, str]) -> list[list[Record]]:
    """Sets of two or more records whose files have the same bytes, ordered by their first path."""
    by_digest: defaultdict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.image):
        by_digest[digests[record.image]].append(record)
    return [same for same in by_digest.values() if len(same) > 1]


def _splits(records: Sequence[Record]) -> tuple[Split, ...]:
    return tuple(sorted({record.split for record in records if record.split is not None}))
