"""Two tables of the same pictures as one: ground truth and metadata, as ISIC publishes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from edgetl.data.readers.hints import as_yaml, data_field
from edgetl.data.readers.labels import without_nothing
from edgetl.data.readers.paths import stem_of
from edgetl.data.readers.roles import USUAL, plain_name
from edgetl.data.readers.tables import Table
from edgetl.errors import DataError
from edgetl.errors.wording import did_you_mean, some

__all__ = ["Joined"]


class Joined:
    """A table with the further columns of another one; it looks like a `Table`.

    Rows go together where the column that both have is the same, but for the ending of a picture and for folders that only
    one of them names. A row that the other table lacks has nothing in the further columns, and one with an empty cell too.
    """

    def __init__(self, first: Table, second: Path, on: str | None, columns: Mapping[str, str | Sequence[str]]) -> None:
        """Read the second table.

        Args:
            on: the column of both; None takes that of the pictures, of groups, or the only one that differs in each row.
            columns: role -> column, as the recipe names them.

        Raises:
            DataError: no such column, two rows of the second table that contradict each other, or no row in common.
        """
        if not os.path.isfile(second):  # noqa: PTH113 - Path.is_file raises where a name is too long
            raise DataError("does not exist, expected a table", place=str(second), hint="correct data.table.join")
        other = Table(second)
        self._first = first
        self._on = _shared(first, other, on, columns)
        self._further = [name for name in other.names if name and name not in first.names]
        self.path, self.place = first.path, first.place
        spelt = dict(zip(other.names, other.spelt, strict=True))
        self.spelt = [*first.spelt, *(spelt[name] for name in self._further)]
        self._rows = _by_key(other, self._on, self._further)
        self.cautions = list(self._missing(second))

    @property
    def names(self) -> list[str]:
        """As those of `Table`."""
        return [*self._first.names, *self._further]

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """As those of `Table`."""
        nothing = ("",) * len(self._further)
        for line, row in self._first.rows():
            further = self._of(line, row)
            yield line, row | dict(zip(self._further, nothing if further is None else further, strict=True))

    def require_a_header(self, is_picture: Callable[[str], bool]) -> None:
        """As that of `Table`."""
        self._first.require_a_header(is_picture)

    def _of(self, line: int, row: Mapping[str, str]) -> tuple[str, ...] | None:
        """The further cells of a row; None where the other table lacks it. Raises DataError where several may be meant."""
        key = _key(row[self._on])
        if key in self._rows or not key:
            return self._rows.get(key)
        fitting = [other for other in self._called.get(key.rpartition("/")[2], ()) if _one_ends_as(key, other)]
        if len({self._rows[other] for other in fitting}) > 1:
            raise DataError(
                f"{self._on}: got {row[self._on]}, which may be {' or '.join(some(fitting, 3))} of the joined table",
                place=f"{self.path}:{line}",
                hint="data.table.on names the column by which rows go together",
            )
        return self._rows[fitting[0]] if fitting else None

    @cached_property
    def _called(self) -> dict[str, list[str]]:
        """The other table's keys by their names without folders."""
        called: dict[str, list[str]] = {}
        for key in self._rows:
            called.setdefault(key.rpartition("/")[2], []).append(key)
        return called

    def _missing(self, second: Path) -> Iterator[str]:
        lacking = rows = 0
        for line, row in self._first.rows():
            rows += 1
            lacking += self._of(line, row) is None
        if rows and lacking == rows:
            raise DataError(
                f"no row has a value of {self._on} that is in {self.path.name} too",
                place=str(second),
                hint="data.table.on names the column by which rows go together",
            )
        if lacking:
            yield f"{lacking} of {rows} rows have no row in {second.name}: its columns are empty there"


def _shared(first: Table, other: Table, on: str | None, columns: Mapping[str, str | Sequence[str]]) -> str:
    """The column, in lower case, by which rows go together."""
    both = [name for name in first.names if name and name in other.names]
    if on is not None:
        if on.strip().lower() not in both:
            there = f"both have {', '.join(both) or 'no column of one name'}"
            raise DataError(f"data.table.on: got {on!r}; {there}", place=first.place, hint=did_you_mean(on, both))
        return on.strip().lower()
    path = str(columns.get("path") or "").lower()
    pictures = [name for name in both if (name == path if path else plain_name(name) in USUAL["path"])]
    groups = [name for name in both if plain_name(name) in USUAL["group"]]
    for fitting in (pictures, groups, [name for name in both if _all_differ(first, name)]):
        if len(fitting) == 1:
            return fitting[0]
    raise DataError(
        f"{first.path.name} and {other.path.name} both have {', '.join(both) or 'no column of one name'}, expected one by "
        "which their rows go together",
        place=first.place,
        hint=f"name it: {data_field('table.on', as_yaml(both[0]))}"
        if both
        else "give the pictures' column the same name in both",
    )


def _all_differ(table: Table, name: str) -> bool:
    """Whether a column tells the rows of a table apart, as an eye's side does not."""
    seen: set[str] = set()
    rows = 0
    for _, row in table.rows():
        seen.add(row[name])
        rows += 1
    return len(seen) == rows


def _key(cell: str) -> str:
    """What rows go together by: a path without the ending of a picture, as names of one picture may be in many folders."""
    path = without_nothing(cell).replace("\\", "/").removeprefix("./")
    return path[: len(path) - len(path.rpartition("/")[2])] + stem_of(path)


def _one_ends_as(first: str, second: str) -> bool:
    """Whether one path is the end of the other."""
    return f"/{first}".endswith(f"/{second}") or f"/{second}".endswith(f"/{first}")


def _by_key(table: Table, on: str, further: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The further cells of each row by what it goes together by. Raises DataError where two rows say other things."""
    rows: dict[str, tuple[str, ...]] = {}
    for line, row in table.rows():
        cells = tuple(row[name] for name in further)
        key = _key(row[on])
        if key and rows.setdefault(key, cells) != cells:
            raise DataError(
                f"{on}: got {row[on]} a second time, with other cells than before", place=f"{table.path}:{line}"
            )
    return rows
