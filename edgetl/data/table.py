"""The data table: every record with its split, in the order of the image cache's rows.

The index of a record in `records` is the index of its picture in images.npy and the same everywhere downstream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern

import numpy as np
import numpy.typing as npt

from edgetl.data.records import SPLITS, Record, SharedMetadata, Split, group_of
from edgetl.errors import IntegrityError

__all__ = ["DataTable"]

_SCHEMA = 1
_SPLIT: dict[str | None, Split | None] = {None: None, **{split: split for split in SPLITS}}


@dataclass(frozen=True)
class DataTable:
    """Labelled images, split.

    classes: names, sorted; a label's number is its index here.
    records: all with a split, sorted by image path.
    source: kind of the data set, as in the recipe.
    has_groups: whether the source says which images belong together; without it, intervals are optimistic.
    """

    classes: tuple[str, ...]
    records: tuple[Record, ...]
    source: str
    has_groups: bool

    @cached_property
    def _rows(self) -> Mapping[Split | None, npt.NDArray[np.int64]]:
        rows: dict[Split | None, list[int]] = {}
        for row, record in enumerate(self.records):
            rows.setdefault(record.split, []).append(row)
        return {split: np.asarray(found, dtype=np.int64) for split, found in rows.items()}

    def rows(self, split: Split) -> npt.NDArray[np.int64]:
        """int64 [n]: ascending rows of the split's pictures in the image cache."""
        return self._rows.get(split, np.empty(0, dtype=np.int64))

    def of(self, split: Split) -> list[Record]:
        """The split's records, in row order."""
        return [self.records[row] for row in self.rows(split)]

    def labels(self, split: Split) -> npt.NDArray[np.int64]:
        """int64 [n]: class numbers of the split, in row order."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.asarray([number[record.label] for record in self.of(split)], dtype=np.int64)

    def groups(self, split: Split) -> list[str]:
        """Group of each record of the split, in row order; where the source knows none, each picture is its own."""
        return [group_of(record) for record in self.of(split)]

    def save(self, path: Path) -> None:
        """Write as JSON, one record a line; paths stay relative to the data root."""
        head = {
            "schema": _SCHEMA,
            "source": self.source,
            "has_groups": self.has_groups,
            "classes": self.classes,
        }
        with path.open("w", encoding="utf-8") as file:
            file.write(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "records": [\n')
            for number, record in enumerate(self.records):
                file.write(",\n" * bool(number) + json.dumps(_to_json(record), ensure_ascii=False))
            file.write("\n]}\n")

    @classmethod
    def load(cls, path: Path) -> DataTable:
        """Read what `save` wrote.

        Raises:
            IntegrityError: not such a file.
        """
        try:
            with path.open(encoding="utf-8") as file:
                document = json.loads(file.readline() + "]}")
                if document["schema"] != _SCHEMA:
                    raise IntegrityError(f"schema: got {document['schema']}, expected {_SCHEMA}", place=str(path))
                return cls(
                    classes=tuple(document["classes"]),
                    records=tuple(_records(file)),
                    source=document["source"],
                    has_groups=document["has_groups"],
                )
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise IntegrityError(f"is not a data table: {exc}", place=str(path)) from exc


def _to_json(record: Record) -> dict[str, object]:
    return {
        "image": record.image,
        "label": record.label,
        "group": record.group,
        "split": record.split,
        "mask": record.mask,
        "metadata": dict(record.metadata),
    }


def _records(lines: Iterator[str]) -> Iterator[Record]:
    """A line at a time: the whole as JSON would take many times the memory of the records."""
    shared: dict[tuple[str, ...], SharedMetadata] = {}
    for line in lines:
        if line == "]}\n":
            return
        if line.strip():
            fields = json.loads(line.removesuffix(",\n"))
            names = tuple(fields["metadata"])
            if names not in shared:
                shared[names] = SharedMetadata(names)
            yield Record(
                image=fields["image"],
                label=intern(fields["label"]),
                group=fields["group"],
                split=_SPLIT[fields["split"]],
                mask=fields["mask"],
                metadata=shared[names](tuple(map(intern, fields["metadata"].values()))),
            )
    raise ValueError("it ends early")
