"""A metadata table (separated by commas, tabs or semicolons) as checked rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["header", "rows", "wrong_rows"]

_SEPARATORS = ",\t;"
_EXCEL = re.compile(r'"?sep=([,;|\t])"?\s*', re.IGNORECASE)
"""A first line that tells Excel the separator; it is no part of the table."""
_MOST_KNOWN = 10_000
_QUOTED = re.compile(r'"[^"]*"?')


def header(path: Path) -> tuple[str, list[str]]:
    """Where the header stands, as PATH:LINE, and the stripped names of the columns, as they are spelt.

    Raises:
        DataError: not UTF-8 text, no header, or one name twice.
    """
    line, names = next(_cells(path))
    return f"{path}:{line}", names


def rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row, keyed by lower-case column name.

    The separator is read off the header line: the same table is offered as .csv, as .tab, and without an ending. Empty
    cells beyond the header, which spreadsheets leave behind, are none.

    Raises:
        DataError: not UTF-8 text, a required column is missing, or a row has another number of cells than the header.
    """
    table = _cells(path)
    first, spelt = next(table)
    names = [name.lower() for name in spelt]
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"got columns {', '.join(names) or 'none'}; {', '.join(missing)} missing",
            place=f"{path}:{first}",
            hint=f"expected at least {', '.join(required)}",
        )
    for line, cells in table:
        if not any(cells):
            continue
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()
        if len(cells) != len(names):
            raise DataError(f"got {len(cells)} cells, expected {len(names)}", place=f"{path}:{line}")
        yield line, dict(zip(names, cells, strict=True))


def wrong_rows(path: Path, wrong: Sequence[tuple[int, str]], hint: str | None = None) -> DataError:
    """One error for all rows that are wrong, each given as its line and what is wrong with it."""
    (first, message), *others = wrong
    lines = some([message, *(f"{path}:{line}: {text}" for line, text in others)])
    return DataError("\n".join(lines), place=f"{path}:{first}", hint=hint)


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header, without names that are there twice, then the rows; each with the line on which it begins.

    A row at a time is read, and most columns repeat few values, of which one object each is kept.
    """
    above, begins = 0, 1
    known: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:  # line ends of every system become one
            first = file.readline()
            excel = _EXCEL.fullmatch(first)
            if excel:
                above, begins = 1, 2
            else:
                file.seek(0)
            separator = excel[1] if excel else max(_SEPARATORS, key=_QUOTED.sub("", first).count)
            # Not strict, an open quote would take everything up to the next one, or the rest of the table, for a cell.
            reader = csv.reader(file, delimiter=separator, strict=True)
            names = [name.strip() for name in next(reader, [])]
            _require_unique(names, f"{path}:{begins}")
            yield begins, names
            begins = above + reader.line_num + 1
            for cells in reader:
                # Paths are never told twice: to remember them all would take more memory than their records.
                known = known if len(known) < _MOST_KNOWN else {}
                yield begins, [known.setdefault(cell, cell) for cell in map(str.strip, cells)]
                begins = above + reader.line_num + 1
    except UnicodeDecodeError as exc:
        raise DataError(
            "got bytes that are not UTF-8 text, expected a table", place=str(path), hint="save it as CSV in UTF-8"
        ) from exc
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
    except csv.Error as exc:
        raise DataError(
            f"the row that begins here is none of a table: {exc}",
            place=f"{path}:{begins}",
            hint='a quote (") that opens a cell has to close it; inside such a cell it is written twice ("")',
        ) from exc


def _require_unique(names: Sequence[str], place: str) -> None:
    folded = [name.lower() for name in names if name]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise DataError(f"got column {', '.join(twice)} twice, expected each once", place=place)
