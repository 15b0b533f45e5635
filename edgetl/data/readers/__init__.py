"""One file a kind of data set; each turns a root folder into records.

A reader opens no picture: it looks at names and tables only, so that reading a large set takes a second.
What is odd but bearable it says as a `DataWarning`; what is wrong it raises as a `DataError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from edgetl.data.readers import folder, ham10000, skin_phantom
from edgetl.data.records import Record
from edgetl.errors import DataError, UsageError

__all__ = ["READERS", "read"]

READERS: dict[str, Callable[[Path], list[Record]]] = {
    "folder": folder.read,
    "ham10000": ham10000.read,
    "skin_phantom": skin_phantom.read,
}


def read(kind: str, root: Path) -> list[Record]:
    """The records under `root`, sorted by image path.

    Raises:
        UsageError: an unknown kind.
        DataError: the root is no folder, holds nothing that this kind understands, or has fewer than two classes.
    """
    if kind not in READERS:
        near = difflib.get_close_matches(kind, READERS, n=1)
        hint = f"did you mean {near[0]}?" if near else None
        raise UsageError(f"data kind: got {kind!r}, expected one of {', '.join(READERS)}", hint=hint)
    if not root.is_dir():
        got = "a file" if root.exists() else "nothing"
        raise DataError(
            f"got {got}, expected a folder with images", place=str(root), hint="correct data.root in the recipe"
        )
    records = sorted(READERS[kind](root), key=lambda record: record.image)
    classes = sorted({record.label for record in records})
    if len(classes) < 2:
        found = f"one class ({classes[0]})" if classes else "no images"
        raise DataError(f"got {found}, expected at least two classes with images", place=str(root))
    _require_text(records, root)
    return records


def _require_text(records: list[Record], root: Path) -> None:
    """A Linux file name may be any bytes; one that is no text cannot go into a table, a report or an error message."""
    for record in records:
        for path in (record.image, record.mask or ""):
            if not path.isascii() and path.encode(errors="ignore").decode() != path:
                raise DataError(
                    f"got a file name that is not UTF-8 text: {path!a}", place=str(root), hint="rename the file"
                )
