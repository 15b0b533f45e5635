"""Which tables in a folder tell of its pictures, and what a recipe has to say of them.

A table is read as a recipe that names nothing would read it. One that lacks a column of pictures or of labels tells of
nothing by itself: it may hold further columns of another table's pictures, and is named. Everything else that stops a table
is said, because pictures in folders beside it are hardly its classes.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.data.layout import Layout
from edgetl.data.readers import labels
from edgetl.data.readers.endings import WORKBOOKS
from edgetl.data.readers.roles import USUAL, NoColumn, NoLabelColumn, plain_name
from edgetl.data.readers.tables import Table
from edgetl.data.readers.walking import inside, is_there
from edgetl.data.source import Source
from edgetl.data.table_trials import (
    COVIDX,
    Asked,
    Tried,
    lists,
    opened,
    path_from,
    split_of_table,
    tables,
    tried,
)
from edgetl.errors import DataError
from edgetl.errors.wording import quoted, some

__all__ = ["LEFT_OUT", "FoundTable", "NoTable", "find", "init_of"]

LEFT_OUT = ", left out"
"""How a note about a table ends that tells of no pictures."""
_MOST = 20


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
class NoTable:
    """No table tells of pictures and their labels.

    notes: what became of those that were seen. error: what the likeliest one lacks, which has a column of pictures.
    """

    notes: tuple[str, ...]
    error: DataError | None = None


@dataclass(frozen=True)
class _Seen:
    """What lies beside the tables that tell of pictures: tables that do not, and a note on each file."""

    root: Path
    useless: Sequence[Tried]
    notes: Mapping[Path, str]


def find(path: Path, asked: Asked) -> FoundTable | NoTable:
    """The table at `path`, or those in it that tell of its pictures.

    Raises:
        DataError: several tables tell of pictures, or one that does cannot be used as it is.
    """
    root = path.parent if path.is_file() else path
    seen = [tried(table, root, asked) for table in tables(path)]
    if path.is_dir() and not any(one.tells for one in seen):
        seen += [tried(table, root, asked) for folder in inside(path)[0][:_MOST] for table in tables(folder)]
    usable = _chosen([one for one in seen if one.tells], root)
    useless = [one for one in seen if one not in usable]
    notes = {one.path: f"{one.reason}{LEFT_OUT}" for one in useless} | (_others(path) if path.is_dir() else {})
    for one in usable or useless:
        if one.error and (usable or path.is_file() or asked.layout.columns or not isinstance(one.error, NoColumn)):
            fine = [f"or name the table that is meant: {init_of(other.path)}" for other in usable if not other.error]
            raise _with_notes(one, notes, root, fine[:1])
    rest = _Seen(root, useless, notes)
    if len(usable) > 1:
        return _of_splits(usable, rest, asked)
    if usable:
        return _joined(usable[0].path, usable[0], usable[0].layout, usable[0].labels, rest, asked)
    lacking = next((one for one in useless if isinstance(one.error, NoLabelColumn)), None)
    return NoTable(_sentences(notes, root), _with_notes(lacking, notes, root) if lacking else None)


def _chosen(telling: Sequence[Tried], root: Path) -> list[Tried]:
    """The tables that tell of pictures without those of one class, as templates of answers are, unless they are splits."""
    if len({split_of_table(one.path, root) for one in telling} - {None}) == len(telling):
        return list(telling)
    return [one for one in telling if one.error or len(one.classes) > 1] or list(telling)


def _others(folder: Path) -> dict[Path, str]:
    """What is said of the files that may hold labels and are no tables."""
    workbooks = [file for file in inside(folder)[1] if file.suffix.lower() in WORKBOOKS]
    said = dict.fromkeys(workbooks, "a workbook, not read; export it as CSV")
    return said | dict.fromkeys(lists(folder), "names pictures without labels, not read")


def _sentences(notes: Mapping[Path, str], root: Path) -> tuple[str, ...]:
    return tuple(f"{path.relative_to(root).as_posix()}: {note}" for path, note in notes.items())


def _with_notes(one: Tried, notes: Mapping[Path, str], root: Path, hints: Sequence[str] = ()) -> DataError:
    """The error of a table, with what became of the others."""
    assert one.error is not None, one
    others = {path: note for path, note in notes.items() if path != one.path}
    message = "\n  ".join([one.error.message, *_sentences(others, root)])
    hint = "; ".join(filter(None, [one.error.hint, *hints]))
    return DataError(message, place=one.error.place, hint=hint or None)


def _of_splits(usable: Sequence[Tried], seen: _Seen, asked: Asked) -> FoundTable:
    """The tables as one for each split. Raises DataError where they are not."""
    root = seen.root
    splits = {split: one for one in usable if (split := split_of_table(one.path, root))}
    headers = {tuple(Table(one.path, one.layout.header).names) for one in usable}
    if len(splits) < len(usable) or len(headers) > 1:
        lines = [f"{one.path.name}: {_classes(one.source)}" for one in usable if one.source]
        raise DataError(
            "\n  ".join(
                [f"got {len(usable)} tables that tell of pictures: {'; '.join(lines)}", *_sentences(seen.notes, root)]
            ),
            place=str(root),
            hint="name the one that is meant: " + " or ".join(init_of(one.path) for one in usable[:3]),
        )
    said = {name: new for one in usable for name, new in one.labels.items()}
    layout = replace(
        usable[0].layout,
        splits={split: one.path.relative_to(root).as_posix() for split, one in splits.items()},
        folder=asked.layout.folder,
    )
    return _joined(root, usable[0], layout, said, seen, asked)


def _joined(
    table: Path, one: Tried, layout: Layout, said: Mapping[str, str | None], seen: _Seen, asked: Asked
) -> FoundTable:
    """The table, or those of splits such as `one`, with another that has the groups of their pictures if they have none."""
    notes = dict(seen.notes)
    alone = layout.join or layout.group or (one.source and "group" in one.source.columns)
    for other in [] if alone else [other.path for other in seen.useless if _has_groups(other)]:
        joined = replace(layout, join=path_from(other, table if table.is_dir() else table.parent))
        try:
            found = _finished(table, joined, said, asked)
        except DataError as exc:
            notes[other] = f"has a column of groups, but cannot be joined: {exc.message}{LEFT_OUT}"
            continue
        if "group" in found.source.columns:
            notes[other] = f"joined, as it has {found.source.columns['group']}"
            return replace(found, notes=(*_sentences(notes, seen.root), *found.notes))
    found = _finished(table, layout, said, asked)
    return replace(found, notes=(*_sentences(notes, seen.root), *found.notes))


def _has_groups(one: Tried) -> bool:
    try:
        return any(plain_name(name) in USUAL["group"] for name in Table(one.path).spelt)
    except DataError:
        return False


def _finished(root: Path, layout: Layout, said: Mapping[str, str | None], asked: Asked) -> FoundTable:
    """The table with its columns named, and the words of one that only says yes or no of a finding."""
    try:
        source = opened(root, layout, said, asked)
    except DataError as exc:
        if exc.hint or "" not in said or "" in asked.labels:
            raise
        hint = "images without a label were left out; if they are the other class: --set 'data.labels={\"\": other}'"
        raise DataError(exc.message, place=exc.place, hint=hint) from exc
    notes = []
    if layout.header == COVIDX and not asked.layout.header:
        notes.append(f"the lists have no header: their columns are read as {', '.join(COVIDX)}")
    missing = [record.image for record in source.records if not is_there(source.root / record.image)]
    if missing:
        notes.append(f"{len(missing)} of {len(source.records)} pictures are not there, such as {missing[0]}")
    finding = source.columns["label"]
    if isinstance(finding, str) and not asked.labels and plain_name(finding) not in USUAL["label"]:
        answers = {record.label for record in source.records}
        words = {answer: _in_words(answer.lower(), finding) for answer in sorted(answers)}
        if {finding, f"no {finding}"} <= {*words.values()} <= {finding, f"no {finding}", None}:
            said = {**said, **words}
            uncertain = sum(words[record.label] is None for record in source.records)
            if uncertain:
                notes.append(f"{uncertain} images of which {finding} is uncertain (-1) are left out")
            source = opened(root, layout, said, asked)
    return FoundTable(root, replace(layout, columns=source.columns), said, source, tuple(notes))


def _in_words(answer: str, finding: str) -> str | None:
    """The class of an answer; None where it is uncertain, and the answer itself where it is none."""
    if answer in labels.YES:
        return finding
    if answer in labels.NO:
        return f"no {finding}"
    return None if answer in labels.MAYBE else answer


def _classes(source: Source) -> str:
    names = sorted({record.label for record in source.records})
    return f"{len(source.records)} images of {', '.join(some([quoted(name, 30) for name in names], 5))}"


def init_of(path: Path, *words: str) -> str:
    """The command to write."""
    return shlex.join(["edgetl", "init", str(path), *words])
