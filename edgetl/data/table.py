"""The data table: every record with its split, in the order of the image cache's rows.

The index of a record in `records` is the index of its picture in images.npy and the same everywhere downstream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edgetl.data.records import Record, Split, group_of
from edgetl.errors import IntegrityError

__all__ = ["DataTable"]

_SCHEMA = 1


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
        lines = ",\n".join(json.dumps(_to_json(record), ensure_ascii=False) for record in self.records)
        path.write_text(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "records": [\n{lines}\n]}}\n', encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> DataTable:
        """Read what `save` wrote.

        Raises:
            IntegrityError: not such a file.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["schema"] != _SCHEMA:
                raise IntegrityError(f"schema: got {document['schema']}, expected {_SCHEMA}", place=str(path))
            return cls(
                classes=tuple(document["classes"]),
                records=tuple(_from_json(record) for record in document["records"]),
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


def _from_json(fields: dict[str, object]) -> Record:
    metadata = fields.pop("metadata")
    assert isinstance(metadata, dict)
    return Record(**fields, metadata=MappingProxyType(metadata))  # type: ignore[arg-type]
