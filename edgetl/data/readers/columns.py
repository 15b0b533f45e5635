"""A metadata table (comma or tab separated) as checked rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgetl.errors import DataError

__all__ = ["rows"]


def rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row, keyed by lower-case column name.

    The separator is read off the header line: the same table is offered as .csv, as .tab, and without an ending.

    Raises:
        DataError: not UTF-8 text, a required column is missing, or a row has another number of cells than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError("got bytes that are not UTF-8 text, expected a table", place=str(path)) from exc
    header_line, _, _ = text.partition("\n")
    reader = csv.reader(text.splitlines(), delimiter="\t" if "\t" in header_line else ",")
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(
            f"got columns {', '.join(header) or 'none'}; {', '.join(missing)} missing",
            place=f"{path}:1",
            hint=f"expected at least {', '.join(required)}",
        )
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise DataError(f"got {len(cells)} cells, expected {len(header)}", place=f"{path}:{reader.line_num}")
        yield reader.line_num, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
