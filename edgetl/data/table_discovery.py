"""Which tables in a folder tell of its pictures, and what a recipe has to say of them.

A table is read as a recipe that names nothing would read it. One that lacks a column of pictures or of labels tells of
nothing by itself: it may hold further columns of another table's pictures, and is named. Everything else that stops a table
is said, because pictures in folders beside it are hardly its classes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.layout import Layout
from edgetl.data.readers import READERS, labels
from edgetl.data.readers.csv_table import NoPicture
from edgetl.data.readers.folder import SUFFIXES
from edgetl.data.readers.roles import USUAL, NoColumn, NoLabelColumn, plain_name
from edgetl.data.readers.tables import Table
from edgetl.data.readers.walking import inside
from edgetl.data.records import SPLIT_NAMES, Split
from edgetl.data.source import Source, open_source
from edgetl.errors import DataError
from edgetl.errors.wording import quoted, some

__all__ = ["LEFT_OUT", "TEXT", "WORKBOOKS", "Asked", "FoundTable", "find", "init_of"]

TEXT, WORKBOOKS = (".txt", ".lst"), (".xlsx", ".xls", ".ods")
LEFT_OUT = ", left out"
"""How a note about a table ends that tells of no pictures."""
_COVIDX = ("patientid", "path", "label", "source")
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
class FoundTable:
    """A table, or one for each split, that can be read.

    root: as the recipe should name it. layout, labels: what the recipe has to say.
    notes: what became of the tables that were seen, a sentence each.
    """

    root: Path
    layout: Layout
    labels: Mapping[str, str | None]
    source: Source
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Tried:
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


@dataclass(frozen=True)
class NoTable:
    """No table tells of pictures and their labels.

    notes: what became of those that were seen. error: what the likeliest one lacks, which has a column of pictures.
    """

    notes: tuple[str, ...]
    error: DataError | None = None


def find(path: Path, asked: Asked) -> FoundTable | NoTable:
    """The table at `path`, or those in it that tell of its pictures.

    Raises:
        DataError: several tables tell of pictures, or one that does cannot be used as it is.
    """
    root = path.parent if path.is_file() else path
    tried = [_try(table, root, asked) for table in _tables(path)]
    if path.is_dir() and not any(one.tells for one in tried):
        tried += [_try(table, root, asked) for folder in inside(path)[0][:_MOST] for table in _tables(folder)]
    usable = _chosen([one for one in tried if one.tells], root)
    useless = [one for one in tried if one not in usable]
    notes = [f"{one.path.name}: {one.reason}{LEFT_OUT}" for one in useless]
    notes += [f"{name.name}: a workbook, not read; export it as CSV" for name in _workbooks(path)]
    notes += [f"{name.name}: names pictures without labels, not read" for name in _lists(path)]
    wrong = [one for one in usable if one.error] or [one for one in useless if one.error and _is_meant(one, path, asked)]
    if wrong and (wrong[0] in usable or not usable) and (error := wrong[0].error):
        fine = [f"or name the table that is meant: {init_of(one.path)}" for one in usable if not one.error]
        hint = "; ".join([*([error.hint] if error.hint else []), *fine[:1]])
        notes = _of_others(notes, wrong[0])
        raise DataError(_with_notes(error.message, notes), place=error.place, hint=hint or None)
    if not usable:
        lacking = next((one for one in useless if isinstance(one.error, NoLabelColumn)), None)
        error = lacking and lacking.error
        if lacking and error:
            others = _with_notes(error.message, _of_others(notes, lacking))
            error = DataError(others, place=error.place, hint=error.hint)
        return NoTable(tuple(notes), error)
    if len(usable) > 1:
        return _of_splits(root, usable, useless, asked, notes)
    one = usable[0]
    return _joined(one.path, one.layout, one.labels, useless, asked, notes)


def _tables(path: Path) -> list[Path]:
    """The file, or the tables right in a folder."""
    return [path] if path.is_file() else [file for file in inside(path)[1] if _is_table(file)][:_MOST]


def _chosen(telling: Sequence[_Tried], root: Path) -> list[_Tried]:
    """The tables that tell of pictures without those of one class, as templates of answers are, unless they are splits."""
    if len({_split(one.path, root) for one in telling} - {None}) == len(telling):
        return list(telling)
    return [one for one in telling if one.error or len(one.classes) > 1] or list(telling)


def _is_meant(one: _Tried, path: Path, asked: Asked) -> bool:
    """Whether whoever asks knows of the table: it is named, or its columns are."""
    return path.is_file() or bool(asked.layout.columns) or not isinstance(one.error, NoColumn)


def _of_others(notes: Sequence[str], one: _Tried) -> list[str]:
    return [note for note in notes if not note.startswith(f"{one.path.name}: ")]


def _is_table(path: Path) -> bool:
    """Whether it is one by its ending; a text file where it has columns, or names pictures."""
    ending = path.suffix.lower()
    if ending in READERS["csv"].endings:
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


def _workbooks(path: Path) -> list[Path]:
    return [] if path.is_file() else [file for file in inside(path)[1] if file.suffix.lower() in WORKBOOKS]


def _lists(path: Path) -> list[Path]:
    """Files with nothing but a picture's name a line."""
    if path.is_file():
        return []
    endings = (*TEXT, *READERS["csv"].endings)
    return [file for file in inside(path)[1] if file.suffix.lower() in endings and _is_list(file)]


def _is_list(file: Path) -> bool:
    try:
        names = Table(file).spelt
    except DataError:
        return False
    return len(names) == 1 and Path(names[0]).suffix.lower() in SUFFIXES


def _try(table: Path, root: Path, asked: Asked) -> _Tried:
    """Read a table, and say what has to be said for it: names of columns, the folder of pictures, labels that are none."""
    layout = asked.layout
    if table.parent != root and layout.folder is None:
        layout = replace(layout, folder="..")
    if not layout.header and _is_covidx(table):
        layout = replace(layout, header=_COVIDX)
    said = dict(asked.labels)
    # Names that are in the folders of two splits are told apart by the table's own.
    split = _split(table, root)
    alone = replace(layout, splits={split: _from(table, root)}, folder=asked.layout.folder) if split else layout
    for _ in range(2):
        try:
            source = _open(root if split else table, alone, said, asked, fewest=0)
            return _Tried(table, layout, said, source)
        except labels.NoLabel as exc:
            if "" in said:
                return _Tried(table, layout, said, error=exc)
            said[""] = None
        except DataError as exc:
            return _Tried(table, layout, said, error=exc)
    raise AssertionError(table)


def _open(root: Path, layout: Layout, said: Mapping[str, str | None], asked: Asked, fewest: int = 2) -> Source:
    return open_source("csv", root, layout=layout, labels=said, exclude=asked.exclude, fewest=fewest)


def _is_covidx(table: Path) -> bool:
    try:
        names = Table(table).spelt
    except DataError:
        return False
    of_a_split = table.suffix.lower() in TEXT and _split(table, table.parent) is not None
    return of_a_split and len(names) == len(_COVIDX) and Path(names[1]).suffix.lower() in SUFFIXES


def _of_splits(
    root: Path, usable: Sequence[_Tried], useless: Sequence[_Tried], asked: Asked, notes: Sequence[str]
) -> FoundTable:
    """The tables as one for each split. Raises DataError where they are not."""
    splits = {split: one for one in usable if (split := _split(one.path, root))}
    headers = {tuple(Table(one.path, one.layout.header).names) for one in usable}
    if len(splits) < len(usable) or len(headers) > 1:
        lines = [f"{one.path.name}: {_classes(one.source)}" for one in usable if one.source]
        raise DataError(
            _with_notes(f"got {len(usable)} tables that tell of pictures: {'; '.join(lines)}", notes),
            place=str(root),
            hint="name the one that is meant: " + " or ".join(init_of(one.path) for one in usable[:3]),
        )
    said = {name: new for one in usable for name, new in one.labels.items()}
    layout = replace(
        usable[0].layout,
        splits={split: one.path.relative_to(root).as_posix() for split, one in splits.items()},
        folder=None,
    )
    return _joined(root, layout, said, useless, asked, notes)


def _joined(
    root: Path,
    layout: Layout,
    said: Mapping[str, str | None],
    others: Sequence[_Tried],
    asked: Asked,
    notes: Sequence[str],
) -> FoundTable:
    """The table, or those of splits, with another that has the groups of their pictures where they have none."""
    alone = _finished(root, layout, said, asked, notes)
    if "group" in alone.source.columns or layout.join or layout.group:
        return alone
    notes = list(alone.notes)
    for other in (one.path for one in others if _has_groups(one)):
        at = next(at for at, note in enumerate(notes) if note.startswith(f"{other.name}: "))
        try:
            joined = replace(layout, join=_from(other, root if root.is_dir() else root.parent))
            found = _finished(root, joined, said, asked, [])
        except DataError as exc:
            notes[at] = f"{other.name}: has a column of groups, but cannot be joined, {exc.message}{LEFT_OUT}"
            continue
        if "group" in found.source.columns:
            notes[at] = f"{other.name}: joined, as it has {found.source.columns['group']}"
            return replace(found, notes=tuple(notes))
    return replace(alone, notes=tuple(notes))


def _has_groups(one: _Tried) -> bool:
    try:
        return any(plain_name(name) in USUAL["group"] for name in Table(one.path).spelt)
    except DataError:
        return False


def _from(other: Path, folder: Path) -> str:
    return (
        other.relative_to(folder).as_posix()
        if other.is_relative_to(folder)
        else f"../{other.relative_to(folder.parent)}"
    )


def _finished(
    root: Path, layout: Layout, said: Mapping[str, str | None], asked: Asked, notes: Sequence[str]
) -> FoundTable:
    """The table with its columns named, and the words of one that only says yes or no of a finding."""
    source = _open(root, layout, said, asked)
    notes = [*notes]
    if layout.header == _COVIDX and not asked.layout.header:
        notes.append(f"no line of names in the lists: read as {', '.join(_COVIDX)}")
    finding = source.columns["label"]
    if isinstance(finding, str) and not asked.labels and plain_name(finding) not in USUAL["label"]:
        answers = {record.label for record in source.records}
        words = {answer: _in_words(answer.lower(), finding) for answer in sorted(answers)}
        if {finding, f"no {finding}"} <= {*words.values()} <= {finding, f"no {finding}", None}:
            said = {**said, **words}
            uncertain = sum(words[record.label] is None for record in source.records)
            if uncertain:
                notes.append(f"{uncertain} images of which {finding} is uncertain (-1) are left out")
            source = _open(root, layout, said, asked)
    return FoundTable(root, replace(layout, columns=source.columns), said, source, tuple(notes))


def _in_words(answer: str, finding: str) -> str | None:
    """The class of an answer; None where it is uncertain, and the answer itself where it is none."""
    if answer in labels.YES:
        return finding
    if answer in labels.NO:
        return f"no {finding}"
    return None if answer in labels.MAYBE else answer


def _split(table: Path, root: Path) -> Split | None:
    """The split that a table's name or its folder's says: train.csv, ISIC2018_Task3_Validation_GroundTruth.csv."""
    for name in (table.stem, *table.relative_to(root).parent.parts[::-1]):
        words = [SPLIT_NAMES[word] for word in re.split("[^a-z]+", name.lower()) if word in SPLIT_NAMES]
        if words:
            return words[0] if len(words) == 1 else None
    return None


def _classes(source: Source) -> str:
    names = sorted({record.label for record in source.records})
    return f"{len(source.records)} images of {', '.join(some([quoted(name, 30) for name in names], 5))}"


def init_of(path: Path, *words: str) -> str:
    """The command to write."""
    return shlex.join(["edgetl", "init", str(path), *words])


def _with_notes(message: str, notes: Sequence[str]) -> str:
    return "\n  ".join([message, *notes])
