"""The data table: every record with its split and its row.

The row of a record is its place among all records, sorted by image path, whatever of them a stage looks at: augmentation is
drawn by it. Each split is a folder of its own, so that a stage that does not look at the test split does not depend on it:

    train/records.json  val/records.json  test/records.json
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern

import numpy as np
import numpy.typing as npt

from edgetl.data.records import SPLITS, Record, SharedMetadata, Split, group_of
from edgetl.errors import IntegrityError

__all__ = ["RECORDS", "DataTable"]

RECORDS = "records.json"
_SCHEMA = 2


@dataclass(frozen=True)
class DataTable:
    """Labelled images, split.

    classes: names, sorted; a label's number is its index here.
    records: all with a split, sorted by image path.
    source: kind of the data set, as in the recipe.
    has_groups: whether the source says which images belong together; without it, intervals are optimistic.
    own_rows: the row of each record where some splits are left out; None where all are here, each at its row.
    """

    classes: tuple[str, ...]
    records: tuple[Record, ...]
    source: str
    has_groups: bool
    own_rows: array[int] | None = None

    @cached_property
    def _places(self) -> Mapping[Split | None, npt.NDArray[np.int64]]:
        """Indices of each split's records, ascending."""
        places: dict[Split | None, list[int]] = {}
        for place, record in enumerate(self.records):
            places.setdefault(record.split, []).append(place)
        return {split: np.asarray(indices, dtype=np.int64) for split, indices in places.items()}

    def _of(self, split: Split) -> npt.NDArray[np.int64]:
        return self._places.get(split, np.empty(0, dtype=np.int64))

    def rows(self, split: Split) -> npt.NDArray[np.int64]:
        """int64 [n]: ascending rows of the split's pictures."""
        places = self._of(split)
        return places if self.own_rows is None else np.asarray(self.own_rows, dtype=np.int64)[places]

    def of(self, split: Split) -> list[Record]:
        """The split's records, in row order."""
        return [self.records[place] for place in self._of(split)]

    def record(self, row: int) -> Record:
        """The record of one row."""
        return self.records[row if self.own_rows is None else self.own_rows.index(row)]

    def labels(self, split: Split) -> npt.NDArray[np.int64]:
        """int64 [n]: class numbers of the split, in row order."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.asarray([number[record.label] for record in self.of(split)], dtype=np.int64)

    def groups(self, split: Split) -> list[str]:
        """Group of each record of the split, in row order; where the source knows none, each picture is its own."""
        return [group_of(record) for record in self.of(split)]

    def save(self, folder: Path) -> None:
        """Write SPLIT/records.json for each split, one record a line; paths stay relative to the data root."""
        head = {"schema": _SCHEMA, "source": self.source, "has_groups": self.has_groups, "classes": self.classes}
        for split in SPLITS:
            (folder / split).mkdir(parents=True, exist_ok=True)
            with (folder / split / RECORDS).open("w", encoding="utf-8") as file:
                file.write(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "records": [\n')
                for number, (row, record) in enumerate(zip(self.rows(split), self.of(split), strict=True)):
                    line = json.dumps({"row": int(row), **_to_json(record)}, ensure_ascii=False)
                    file.write(",\n" * bool(number) + line)
                file.write("\n]}\n")

    @classmethod
    def load(cls, folder: Path, splits: Sequence[Split] = SPLITS) -> DataTable:
        """Read what `save` wrote of some splits.

        Raises:
            IntegrityError: there are no such files.
        """
        shared: dict[tuple[str, ...], SharedMetadata] = {}
        heads, rows, records = [], array("q"), []
        for split in splits:
            path = folder / split / RECORDS
            try:
                with path.open(encoding="utf-8") as file:
                    heads.append(_head(file.readline()))
                    for row, record in _records(file, split, shared):
                        rows.append(row)
                        records.append(record)
            except (OSError, ValueError, KeyError, TypeError) as exc:
                raise IntegrityError(f"is not a data table: {exc}", place=str(path)) from exc
        if any(head != heads[0] for head in heads):
            raise IntegrityError("the splits are of different data sets", place=str(folder))
        order = np.argsort(np.asarray(rows, dtype=np.int64))
        rows = array("q", np.asarray(rows, dtype=np.int64)[order].tobytes())
        complete = all(row == place for place, row in enumerate(rows))
        ordered = tuple(records[place] for place in order)
        classes, source, has_groups = heads[0]
        return cls(classes, ordered, source, has_groups, None if complete else rows)


def _to_json(record: Record) -> dict[str, object]:
    return {
        "image": record.image,
        "label": record.label,
        "group": record.group,
        "mask": record.mask,
        "metadata": dict(record.metadata),
    }


def _head(line: str) -> tuple[tuple[str, ...], str, bool]:
    """Classes, source and has_groups out of the first line. Raises ValueError, KeyError, TypeError."""
    document = json.loads(line + "]}")
    if document["schema"] != _SCHEMA:
        raise ValueError(f"schema: got {document['schema']}, expected {_SCHEMA}")
    return tuple(document["classes"]), document["source"], document["has_groups"]


def _records(
    lines: Iterator[str], split: Split, shared: dict[tuple[str, ...], SharedMetadata]
) -> Iterator[tuple[int, Record]]:
    """A line at a time: the whole as JSON would take many times the memory of the records."""
    for line in lines:
        if line == "]}\n":
            return
        if line.strip():
            fields = json.loads(line.removesuffix(",\n"))
            names = tuple(fields["metadata"])
            if names not in shared:
                shared[names] = SharedMetadata(names)
            yield (
                fields["row"],
                Record(
                    image=fields["image"],
                    label=intern(fields["label"]),
                    group=fields["group"],
                    split=split,
                    mask=fields["mask"],
                    metadata=shared[names](tuple(map(intern, fields["metadata"].values()))),
                ),
            )
    raise ValueError("it ends early")
