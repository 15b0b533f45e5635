"""What a table in a folder of pictures tells by itself, and what has to be said to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.layout import Layout
from edgetl.data.readers import labels
from edgetl.data.readers.csv_table import NoPicture
from edgetl.data.readers.endings import SUFFIXES, TABLES, TEXT
from edgetl.data.readers.roles import USUAL, NoColumn, plain_name
from edgetl.data.readers.tables import Table
from edgetl.data.readers.walking import inside
from edgetl.data.records import Split, splits_within
from edgetl.data.source import Source, open_source
from edgetl.errors import DataError

__all__ = [
    "COVIDX",
    "Asked",
    "Tried",
    "lists",
    "opened",
    "path_from",
    "split_of_table",
    "tables",
    "tried",
]

COVIDX = ("patientid", "path", "label", "source")
"""Columns of the lists without a header of COVIDx (Wang, Lin and Wong, "COVID-Net", Scientific Reports 2020)."""
_MOST = 20


@dataclass(frozen=True)
class Asked:
    """What whoever asks for a recipe says of the data beforehand."""

    layout: Layout
    labels: Mapping[str, str | None]
    exclude: Sequence[str] = ()
    said_level: bool = False


@dataclass(frozen=True)
class Tried:
    """A table, what had to be said to read it, and what came of it."""

    path: Path
    layout: Layout
    labels: Mapping[str, str | None]
    source: Source | None = None
    error: DataError | None = None

    @property
    def tells(self) -> bool:
        """Whether it tells of pictures that are there, even if it cannot be used as it is."""
        if self.error is not None:
            return not isinstance(self.error, NoColumn | NoPicture)
        return bool(self.source and self.source.records)

    @property
    def classes(self) -> set[str]:
        """What it knows."""
        return {record.label for record in self.source.records} if self.source else set()

    @property
    def reason(self) -> str:
        """Why it is left out."""
        if self.error is not None:
            return self.error.message.partition(";")[0]
        return f"one class ({next(iter(self.classes))})" if self.classes else "no rows"


def tables(path: Path) -> list[Path]:
    """The file, or the tables right in a folder."""
    return [path] if path.is_file() else [file for file in inside(path)[1] if _is_table(file)][:_MOST]


def _is_table(path: Path) -> bool:
    """Whether it is one by its ending; a text file where it has columns, or names pictures."""
    ending = path.suffix.lower()
    if ending in TABLES:
        return not _is_list(path)
    if ending not in TEXT:
        return False
    try:
        names = Table(path).spelt
    except DataError:
        return False
    return len(names) > 1 and any(
        Path(name).suffix.lower() in SUFFIXES or plain_name(name) in USUAL["path"] for name in names
    )


def lists(folder: Path) -> list[Path]:
    """Files in a folder with nothing but a picture's name a line."""
    endings = (*TEXT, *TABLES)
    return [file for file in inside(folder)[1] if file.suffix.lower() in endings and _is_list(file)]


def _is_list(file: Path) -> bool:
    try:
        names = Table(file).spelt
    except DataError:
        return False
    return len(names) == 1 and Path(names[0]).suffix.lower() in SUFFIXES


def tried(table: Path, root: Path, asked: Asked) -> Tried:
    """Read a table, and say what has to be said for it: names of columns, the folder of pictures, labels that are none."""
    layout = asked.layout
    if table.parent != root and layout.folder is None:
        layout = replace(layout, folder="..")
    if not layout.header and _is_covidx(table):
        layout = replace(layout, header=COVIDX)
    said = dict(asked.labels)
    # Names that are in the folders of two splits are told apart by the table's own.
    split = split_of_table(table, root)
    alone = replace(layout, splits={split: path_from(table, root)}, folder=asked.layout.folder) if split else layout
    for _ in range(2):
        try:
            source = opened(root if split else table, alone, said, asked, fewest=0)
            return Tried(table, layout, said, source)
        except labels.NoLabel as exc:
            if "" in said:
                return Tried(table, layout, said, error=exc)
            said[""] = None
        except DataError as exc:
            return Tried(table, layout, said, error=exc)
    raise AssertionError(table)


def opened(root: Path, layout: Layout, said: Mapping[str, str | None], asked: Asked, fewest: int = 2) -> Source:
    """The table with what is said of it. Raises as `open_source`."""
    return open_source("csv", root, layout=layout, labels=said, exclude=asked.exclude, fewest=fewest)


def _is_covidx(table: Path) -> bool:
    try:
        names = Table(table).spelt
    except DataError:
        return False
    of_a_split = table.suffix.lower() in TEXT and split_of_table(table, table.parent) is not None
    return of_a_split and len(names) == len(COVIDX) and Path(names[1]).suffix.lower() in SUFFIXES


def split_of_table(table: Path, root: Path) -> Split | None:
    """The split that a table's name or its folder's says: train.csv, ISIC2018_Task3_Validation_GroundTruth.csv."""
    for name in (table.stem, *table.relative_to(root).parent.parts[::-1]):
        if splits := splits_within(name):
            return splits.pop() if len(splits) == 1 else None
    return None


def path_from(other: Path, folder: Path) -> str:
    """Path of a table in a folder, or in one beside it, from the folder on."""
    return (
        other.relative_to(folder).as_posix()
        if other.is_relative_to(folder)
        else f"../{other.relative_to(folder.parent)}"
    )
