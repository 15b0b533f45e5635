"""Every picture of a data set looked at once, without training: what is in it, what cannot be read, what would leak."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetl.console.progress import Progress
from edgetl.data import leaks, pixel_types
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.near_duplicates import SIDE, duplicates, thumbnail
from edgetl.data.parallel import each_picture
from edgetl.data.records import SPLITS, Record, group_of
from edgetl.data.source import Source
from edgetl.runtime.decoding import decode

__all__ = ["Class", "Survey", "Unreadable", "survey"]


@dataclass(frozen=True)
class Unreadable:
    """A picture or mask that cannot be read, by its path below the root, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class Class:
    """What there is of one class."""

    images: int
    groups: int


@dataclass(frozen=True)
class Survey:
    """What a data set holds.

    classes: by name, sorted.
    groups: how many; where the source knows none, each picture is one.
    has_groups: whether the source knows the group of every image. lone: images whose group it does not know.
    splits: images in each split that the source prescribes.
    cautions: what is odd but bearable.
    """

    classes: dict[str, Class]
    images: int
    groups: int
    has_groups: bool
    lone: int
    splits: dict[str, int]
    unreadable: tuple[Unreadable, ...]
    leaks: leaks.Leaks
    cautions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`{classes: {name: images}, images, groups, unreadable: [...], leaks: {groups, identical, near}, ...}`."""
        return {
            "classes": {name: each.images for name, each in self.classes.items()},
            "images": self.images,
            "groups": self.groups,
            "unreadable": [{"image": picture.image, "reason": picture.reason} for picture in self.unreadable],
            "leaks": self.leaks.to_json(),
            "has_groups": self.has_groups,
            "lone": self.lone,
            "splits": self.splits,
            "warnings": list(self.cautions),
        }


def survey(source: Source, index_path: Path, progress: Progress, bits: int | None = None) -> Survey:
    """Hash and decode every picture of a data set, and look for leaks.

    Args:
        index_path: where hashes are kept between calls, an SQLite file.
        bits: that unsigned 16-bit grey uses; None measures.

    Raises:
        EnvironmentFault: the index, or the disk of the temporary folder, cannot be used.
    """
    records = source.records
    named = (path for record in records for path in (record.image, record.mask) if path)
    digests, unreadable = Fingerprints(index_path).look(source.root, named)
    images = [record.image for record in records]
    types = pixel_types.look(source.root, images, unreadable, progress, bits)
    with tempfile.TemporaryFile() as scratch:
        thumbnails = _Thumbnails(scratch.fileno())

        def look(row: int) -> None:
            thumbnails.keep(row, thumbnail(decode(source.root / images[row], types.bits)))

        failures = each_picture(source.root, images, look, unreadable, progress)
        unreadable |= {images[row]: reason for row, reason in failures}
        readable = [row for row, image in enumerate(images) if image not in unreadable]
        near = duplicates(
            [records[row] for row in readable],
            digests,
            lambda place: thumbnails.look(readable[place]),
            lambda done, total: progress.advance("near duplicates", done, total),
        )
    digests |= {image: image for image in unreadable}  # identical to nothing: two empty files show no one lesion twice
    return Survey(
        classes=_classes(records),
        images=len(records),
        groups=len({group_of(record) for record in records}),
        has_groups=all(record.group is not None for record in records),
        lone=sum(record.group is None for record in records),
        splits={name: count for name in SPLITS if (count := sum(record.split == name for record in records))},
        unreadable=tuple(Unreadable(image, reason) for image, reason in sorted(unreadable.items())),
        leaks=leaks.find(records, digests, near),
        cautions=(*source.cautions, *types.cautions()),
    )


class _Thumbnails:
    """Thumbnails in an open file, by number: 100,000 of them would take 400 MB of memory."""

    def __init__(self, file: int) -> None:
        self._file = file

    def keep(self, number: int, small: npt.NDArray[np.uint8]) -> None:
        os.pwrite(self._file, small.tobytes(), number * SIDE * SIDE)

    def look(self, number: int) -> npt.NDArray[np.uint8]:
        content = os.pread(self._file, SIDE * SIDE, number * SIDE * SIDE)
        return np.frombuffer(content, np.uint8).reshape(SIDE, SIDE)


def _classes(records: Sequence[Record]) -> dict[str, Class]:
    images = Counter(record.label for record in records)
    groups = Counter(label for label, _ in {(record.label, group_of(record)) for record in records})
    return {label: Class(images[label], groups[label]) for label in sorted(images)}
