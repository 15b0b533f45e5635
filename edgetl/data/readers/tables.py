"""A table of text, separated by commas, tabs, semicolons, bars or blanks, as checked rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from edgetl.data.readers.endings import SUFFIXES
from edgetl.data.readers.hints import data_field
from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["Columned", "Table", "rows", "wrong_rows"]

_SEPARATORS = ",\t;|"
_EXCEL = re.compile(r'"?sep=([,;|\t])"?\s*', re.IGNORECASE)
"""A first line that tells Excel the separator; it is no part of the table."""
_MOST_KNOWN = 10_000
_QUOTED = re.compile(r'"[^"]*"?')
_NUMBER = re.compile(r"\d{0,3}")
"""What pandas calls columns without a name, and others call pictures."""
_LOOKED_AT = 20
"""Lines that decide whether a table is separated by blanks."""
_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
"""How the files of spreadsheet programs begin, of the newer and the older kind."""


class Columned(Protocol):
    """A table by its columns.

    path: the file. place: PATH:LINE of the header. spelt: names of the columns as they stand there; names: in lower case.
    """

    path: Path
    place: str
    spelt: list[str]

    @property
    def names(self) -> list[str]:
        """The columns in lower case, as `rows` has them."""

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Line number and stripped cells of each row that is not empty, by lower-case column name."""

    def require_a_header(self, is_picture: Callable[[str], bool]) -> None:
        """Raises DataError where the first line seems to be a row: it names a picture."""


class Table:
    """A table whose header was read: `Columned`, of one file."""

    def __init__(self, path: Path, header: Sequence[str] = (), separator: str | None = None) -> None:
        """Read the header.

        Args:
            header: names of the columns where the table has none itself.
            separator: between cells; None finds it out from the first line.

        Raises:
            DataError: no UTF-8 text, no header, or one name twice.
        """
        self.path = path
        self._header, self._separator = header, separator
        line, self.spelt = next(_cells(path, header, separator))
        self.place = f"{path}:{line}"

    @property
    def names(self) -> list[str]:
        """The columns in lower case, as `rows` has them."""
        return [name.lower() for name in self.spelt]

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Line number and stripped cells of each row that is not empty, by lower-case column name.

        Empty cells beyond the header, which spreadsheets leave behind, are none.

        Raises:
            DataError: a row has another number of cells than the header.
        """
        table = _cells(self.path, self._header, self._separator)
        next(table)
        names = self.names
        for line, cells in table:
            if not any(cells):
                continue
            while len(cells) > len(names) and not cells[-1]:
                cells.pop()
            if len(cells) != len(names):
                raise DataError(f"got {len(cells)} cells, expected {len(names)}", place=f"{self.path}:{line}")
            yield line, dict(zip(names, cells, strict=True))

    def require_a_header(self, is_picture: Callable[[str], bool]) -> None:
        """Raises DataError where the first line seems to be a row: it names a picture."""
        if self._header:
            return
        for at, name in enumerate(self.spelt):
            if Path(name).suffix.lower() in SUFFIXES or (not _NUMBER.fullmatch(name) and is_picture(name)):
                columns = [f"column{number}" for number in range(1, len(self.spelt) + 1)]
                columns[at] = "path"
                if len(columns) == 2:
                    columns[1 - at] = "label"
                written = ", ".join(columns)
                raise DataError(
                    f"the first line looks like a row, not like the names of columns: {name!a} is a picture",
                    place=self.place,
                    hint=f"name the columns, one of them label: {data_field('table.header', f'[{written}]')}",
                )


def rows(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table that must have some columns, as `Table.rows`. Raises DataError too where one is missing."""
    table = Table(path)
    missing = [name for name in required if name not in table.names]
    if missing:
        raise DataError(
            f"got columns {', '.join(table.names) or 'none'}; {', '.join(missing)} missing",
            place=table.place,
            hint=f"expected at least {', '.join(required)}",
        )
    yield from table.rows()


def wrong_rows(path: Path, wrong: Sequence[tuple[int, str]], hint: str | None = None) -> DataError:
    """One error for all rows that are wrong, each given as its line and what is wrong with it."""
    (first, message), *others = wrong
    lines = some([message, *(f"{path}:{line}: {text}" for line, text in others)])
    return DataError("\n".join(lines), place=f"{path}:{first}", hint=hint)


def _cells(path: Path, header: Sequence[str], separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """The header, without names that are there twice, then the rows; each with the line on which it begins.

    A row at a time is read, and most columns repeat few values, of which one object each is kept.
    """
    above, begins = 0, 1
    known: dict[str, str] = {}
    try:
        _refuse_a_workbook(path)
        with path.open(encoding="utf-8-sig") as file:  # line ends of every system become one
            first = file.readline()
            excel = _EXCEL.fullmatch(first)
            if excel:
                above, begins = 1, 2
            else:
                first += "".join(file.readline() for _ in range(_LOOKED_AT - 1))
                file.seek(0)
            separator = separator or (excel[1] if excel else _separator(first))
            # Not strict, an open quote would take everything up to the next one, or the rest of the table, for a cell.
            reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True)
            names = list(header) or [name.strip() for name in next(reader, [])]
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
            f"the row that begins here cannot be parted into cells: {exc}",
            place=f"{path}:{begins}",
            hint='a quote (") that opens a cell has to close it; inside such a cell it is written twice ("")',
        ) from exc


def _refuse_a_workbook(path: Path) -> None:
    with path.open("rb") as file:
        begins = file.read(8)
    if begins.startswith(_WORKBOOK):
        raise DataError(
            "got a workbook of a spreadsheet program, expected a table",
            place=str(path),
            hint="export its sheet as CSV in UTF-8",
        )


def _separator(beginning: str) -> str:
    """What separates the cells: what the first line has most of; blanks where it has none, and all lines as many."""
    lines = [_QUOTED.sub("", line) for line in beginning.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    most = max(_SEPARATORS, key=first.count)
    if most in first:
        return most
    blanks = {len(line.split()) for line in lines}
    return " " if len(lines) > 1 and len(blanks) == 1 and blanks != {1} else ","


def _require_unique(names: Sequence[str], place: str) -> None:
    folded = [name.lower() for name in names if name]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise DataError(f"got column {', '.join(twice)} twice, expected each once", place=place)
