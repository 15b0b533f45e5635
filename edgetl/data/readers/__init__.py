"""One file a kind of data set; each turns a root (a folder, or for csv a table) into records.

A reader opens no picture: it looks at names and tables only, so that reading a large set takes a second.
What is odd but bearable it returns as a caution; what is wrong it raises as a `DataError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgetl.data.readers import csv_table, folder, ham10000, medmnist, skin_phantom
from edgetl.data.records import Reading, Record
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import did_you_mean

__all__ = ["READERS", "read"]

READERS: dict[str, Callable[[Path, Mapping[str, str]], Reading]] = {
    "folder": lambda root, _: folder.read(root),
    "csv": csv_table.read,
    "ham10000": lambda root, _: ham10000.read(root),
    "medmnist": lambda root, _: medmnist.read(root),
    "skin_phantom": lambda root, _: skin_phantom.read(root),
}
"""The kinds; only csv looks at the second argument, its columns by role."""


def read(kind: str, root: Path, columns: Mapping[str, str] | None = None, fewest: int = 2) -> Reading:
    """The records under `root`, sorted by image path, as the source has them.

    `edgetl.data.source.open_source` does this and what a recipe adds to it; nothing else needs a reader.

    Args:
        fewest: classes that there must be.

    Raises:
        UsageError: an unknown kind, or columns of one that has none.
        DataError: the root is not of its kind, holds nothing that this kind understands, or has too few classes.
    """
    if kind not in READERS:
        expected = f"expected one of {', '.join(READERS)}"
        raise UsageError(f"data kind: got {kind!r}, {expected}", hint=did_you_mean(kind, READERS))
    if columns and kind != "csv":
        raise UsageError(f"columns: only a csv has them, and this is a {kind}")
    if not root.is_dir() and not (kind == "csv" and root.is_file()):
        got = "a file" if root.exists() else "nothing"
        wanted = {"csv": "a table or its folder", "medmnist": "a MedMNIST .npz"}.get(kind, "a folder with images")
        raise DataError(f"got {got}, expected {wanted}", place=str(root), hint="correct data.root in the recipe")
    reading = READERS[kind](root, columns or {})
    records = sorted(reading.records, key=lambda record: record.image)
    classes = sorted({record.label for record in records})
    if len(classes) < fewest:
        got = f"one class ({classes[0]})" if classes else "no images"
        raise DataError(
            f"got {got}, expected at least {('one class', 'two classes')[fewest - 1]} with images",
            place=str(root),
            hint=folder.nested(root) if kind == "folder" else None,
        )
    _require_text(records, root)
    return Reading(records, reading.cautions)


def _require_text(records: list[Record], root: Path) -> None:
    """A Linux file name may be any bytes; one that is no text cannot go into a table, a report or an error message."""
    for record in records:
        for path in (record.image, record.mask or ""):
            if not path.isascii() and path.encode(errors="ignore").decode() != path:
                raise DataError(
                    f"got a file name that is not UTF-8 text: {path!a}", place=str(root), hint="rename the file"
                )
