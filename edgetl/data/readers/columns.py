"""A metadata table (separated by commas, tabs or semicolons) as checked rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern

from edgetl.errors import DataError

__all__ = ["header", "rows"]

_SEPARATORS = ",\t;"


def header(path: Path) -> list[str]:
    """Stripped names of the columns, as they are spelt.

    Raises:
        DataError: not UTF-8 text, no header, or one name twice.
    """
    return next(_cells(path))[1]


def rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row, keyed by lower-case column name.

    The separator is read off the header line: the same table is offered as .csv, as .tab, and without an ending.

    Raises:
        DataError: not UTF-8 text, a required column is missing, or a row has another number of cells than the header.
    """
    table = _cells(path)
    names = [name.lower() for name in next(table)[1]]
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"got columns {', '.join(names) or 'none'}; {', '.join(missing)} missing",
            place=f"{path}:1",
            hint=f"expected at least {', '.join(required)}",
        )
    for line, cells in table:
        if not any(cells):
            continue
        if len(cells) != len(names):
            raise DataError(f"got {len(cells)} cells, expected {len(names)}", place=f"{path}:{line}")
        yield line, dict(zip(names, cells, strict=True))


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header, without names that are there twice, then the rows; each with the line on which it ends.

    A row at a time is read, and most columns repeat few values, of which one object each is kept.
    """
    line = 0
    try:
        with path.open(encoding="utf-8-sig") as file:  # line ends of every system become one
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_SEPARATORS, key=first.count))
            names = [name.strip() for name in next(reader, [])]
            _require_unique(names, path)
            yield 1, names
            for cells in reader:
                line = reader.line_num
                yield line, [intern(cell.strip()) for cell in cells]
    except UnicodeDecodeError as exc:
        raise DataError(
            "got bytes that are not UTF-8 text, expected a table", place=str(path), hint="save it as CSV in UTF-8"
        ) from exc
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
    except csv.Error as exc:
        raise DataError(f"is no row of a table: {exc}", place=f"{path}:{line + 1}") from exc


def _require_unique(names: Sequence[str], path: Path) -> None:
    folded = [name.lower() for name in names if name]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise DataError(f"got column {', '.join(twice)} twice, expected each once", place=f"{path}:1")
