"""Tables with a row for each picture: where it is, its label, and what else is known of it.

One table, one for each split, or one with a second that has more columns of the same pictures. Which column holds what is
found by `roles`, what a row's picture is by `locating`, what its label is by `labels`; the other columns become metadata.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from edgetl.data.layout import Layout, base_of, pictures_of
from edgetl.data.readers import labels, roles
from edgetl.data.readers.endings import TABLES
from edgetl.data.readers.hints import as_yaml, data_field
from edgetl.data.readers.joining import Joined
from edgetl.data.readers.locating import Locator, Unplaced
from edgetl.data.readers.paths import plain
from edgetl.data.readers.roles import Roles
from edgetl.data.readers.tables import Columned, Table, wrong_rows
from edgetl.data.readers.walking import inside, is_there
from edgetl.data.records import Doubt, Metadata, Reading, Record, SharedMetadata, Split, split_named
from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["NoPicture", "read"]

_BOX = re.compile(r"x|y|w|h|width|height|[xy]_?(min|max|1|2|center)|bbox.*|box.*")
"""Names of columns, in lower case, that hold a part of a box around a finding."""
_LOOKED_AT = 20
"""Records that tell what lies where pictures should."""


class NoPicture(DataError):
    """No row's picture is where the table is."""


def read(root: Path, layout: Layout) -> Reading:
    """Records of every row that is not empty; rows that say the same of one picture are one record.

    A label is empty where the row gives none, and several joined by a bar where it, or several rows, give several.

    Args:
        root: the table, or a folder that holds one table, or one for each split.

    Raises:
        DataError: no table or several, columns that are missing or ambiguous, a row without a path, rows that contradict
            each other, a path that leaves the folder, two pictures that may be meant, or an unknown split.
    """
    tables = _tables(root, layout)
    top = root if root.is_dir() else root.parent
    base, folder = base_of(root, layout), pictures_of(root, layout)
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        there = ", ".join(path.name for path in inside(top)[0]) or "none"
        raise DataError(f"data.table.folder: there is no folder {layout.folder}, only {there}", place=str(top))
    locator = Locator(base, folder, layout.ending, named=layout.folder is not None)
    cautions: list[str] = []
    rows = _Rows(locator)
    for path, split in tables:
        table = _opened(path, top, layout, cautions)
        found = roles.find(table, layout.columns, locator.holds)
        cautions += found.cautions
        rows.read(table, _without_a_guess(table, found, layout, cautions), split)
    records = rows.located()
    if records and not any(is_there(base / record.image) for record in records):
        raise _nothing_there(root, records, locator)
    cautions += [*rows.cautions(), *locator.cautions(record.image for record in records), *_joined_labels(records)]
    return Reading(records, list(dict.fromkeys(cautions)), base, rows.doubtful(records), rows.columns())


def _tables(root: Path, layout: Layout) -> list[tuple[Path, Split | None]]:
    """Each table with the split that it is of."""
    if layout.splits:
        if not root.is_dir():
            raise DataError(
                "got a file, expected the folder of the tables in data.table.splits",
                place=str(root),
                hint="set data.root",
            )
        missing = [name for name in layout.splits.values() if not (root / name).is_file()]
        if missing:
            there = ", ".join(path.name for path in inside(root)[1]) or "no files"
            raise DataError(f"data.table.splits: there is no {missing[0]}, only {there}", place=str(root))
        return [(root / name, split) for split, name in layout.splits.items()]
    if root.is_file():
        return [(root, None)]
    tables = [path for path in inside(root)[1] if path.suffix.lower() in TABLES]
    if len(tables) == 1:
        return [(tables[0], None)]
    if not tables:
        raise DataError(
            "got no table, expected one .csv or .tsv", place=str(root), hint="data.root may name the table itself"
        )
    names = [path.name for path in tables]
    choices = [f"data: {{root: {as_yaml(str(root / name))}}}" for name in names]
    splits = {split: path.name for path in tables if (split := split_named(path.stem))}
    if len(splits) > 1:
        written = ", ".join(f"{split}: {name}" for split, name in splits.items())
        choices.insert(0, f"data: {{table: {{splits: {{{written}}}}}}}")
    raise DataError(
        f"got {len(tables)} ({', '.join(some(names, 5))}), expected one .csv or .tsv in the folder",
        place=str(root),
        hint="say which: " + "; or ".join(some(choices, 5)),
    )


def _opened(path: Path, top: Path, layout: Layout, cautions: list[str]) -> Columned:
    table = Table(path, layout.header, layout.separator)
    if layout.join is None:
        return table
    joined = Joined(table, top / layout.join, layout.on, layout.columns)
    cautions += joined.cautions
    return joined


def _without_a_guess(table: Columned, found: Roles, layout: Layout, cautions: list[str]) -> Roles:
    """The roles without a column that is called like one of splits and holds none."""
    guessed = None if "split" in layout.columns else found.split
    if not guessed or any(split_named(row[guessed]) for _, row in table.rows()):
        return found
    cautions.append(f"column {guessed} holds no splits (train, val, test) and is taken as metadata")
    return replace(found, split=None)


_Key: TypeAlias = str | tuple[str, Split]
"""The path that a row names; with the split where each has a table, which may call other pictures the same."""


@dataclass(frozen=True)
class _Source:
    """Where rows are from: a table, what its columns hold, how these are spelt, and the split that it is of."""

    path: Path
    roles: Roles
    spelt: Mapping[str, str]
    split: Split | None


class _Rows:
    """The rows of all tables by the path that they name, and what is odd about them as a whole."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._records: dict[_Key, Record] = {}
        self._lines = array("L")  # of the first row of each record, in their order
        self._source_of = array("B")  # and its table
        self._sources: list[_Source] = []
        self._doubts: dict[_Key, Doubt] = {}
        self._repeated = self._masks = self._half_labelled = self._moved = 0
        self._boxes: list[str] = []

    def read(self, table: Columned, found: Roles, split: Split | None) -> None:
        """Take a table's rows in. Raises DataError that names every one that is wrong."""
        spelt = dict(zip(table.names, table.spelt, strict=True))
        source = _Source(table.path, found, spelt, split)
        self._sources.append(source)
        further = tuple(name for name in table.names if name and name not in found.taken)
        self._boxes += [spelt[name] for name in further if _BOX.fullmatch(name)]
        metadata = SharedMetadata(further)
        wrong: list[tuple[int, str]] = []
        for line, row in table.rows():
            try:
                record = _record(row, source, metadata(tuple(row[name] for name in further)))
                key: _Key = record.image if split is None else (record.image, split)
                written = split_named(_cell(row, found.split)) or split
                self._moved += split is not None and written != split
                before = self._records.setdefault(key, record)
                if before is record:
                    self._lines.append(line)
                    self._source_of.append(len(self._sources) - 1)
                else:
                    self._records[key] = self._both(before, record)
                self._doubt(f"{table.path}:{line}", key, row, source, before, record)
            except ValueError as exc:
                wrong.append((line, str(exc)))
        if wrong:
            raise wrong_rows(table.path, wrong)

    def _both(self, before: Record, record: Record) -> Record:
        """One record of two rows for one picture. Raises ValueError where only one of them can be right."""
        for what in ("group", "split"):
            said, says = getattr(before, what) or "nothing", getattr(record, what) or "nothing"
            if said != says:
                raise ValueError(f"got {record.image} a second time, with the {what} {says}; before it was {said}")
        self._repeated += 1
        self._masks += before.mask != record.mask
        self._half_labelled += bool(before.label) != bool(record.label)
        return replace(before, label=labels.joined((*labels.parts(before.label), *labels.parts(record.label))))

    def _doubt(
        self, place: str, key: _Key, row: Mapping[str, str], source: _Source, before: Record, record: Record
    ) -> None:
        """Remember where a label is empty, or contradicts an earlier one: only the recipe may say what becomes of it."""
        columns = ", ".join(source.roles.label[:3])
        if not record.label:
            got = row[source.roles.label[0]] if len(source.roles.label) == 1 else ""
            said = f"{columns}: got {got or 'nothing'}, expected the picture's label"
        elif before.label != record.label:
            said = f"{columns}: got {record.image} a second time, as {record.label}; before it was {before.label or 'nothing'}"
        else:
            return
        self._doubts.setdefault(key, Doubt(place, said))

    def doubtful(self, records: Sequence[Record]) -> dict[str, Doubt]:
        """The doubts about labels by the images of the records, which are in the order of the rows."""
        written = zip(self._records, records, strict=True)
        return {record.image: self._doubts[key] for key, record in written if key in self._doubts}

    def located(self) -> list[Record]:
        """The records with the pictures that are meant. Raises DataError with every row of a table without a safe answer."""
        pictures: dict[str, Record] = {}  # those that are not called as their rows call them, or may be
        records: list[Record] = []
        wrong: dict[Path, list[tuple[int, str]]] = {}
        hints: list[str] = []
        for line, at, record in zip(self._lines, self._source_of, self._records.values(), strict=True):
            source = self._sources[at]
            try:
                image = _picture(record, source, self._locator)
                mask = _mask(record, source, self._locator)
                alone = image == record.image and source.split is None
                other = pictures.get(image) if alone else pictures.setdefault(image, record)
                if other is None or other is record:
                    other = None if alone else self._records.get(image)
                if other is not None and other is not record:
                    raise ValueError(f"{source.roles.path}: got {record.image}{_also(image, other, record)}")
            except ValueError as exc:
                hints += [exc.hint] if isinstance(exc, Unplaced) and exc.hint else []
                wrong.setdefault(source.path, []).append((line, str(exc)))
            else:
                unchanged = image == record.image and mask == record.mask
                records.append(record if unchanged else replace(record, image=image, mask=mask))
        for path, rows in wrong.items():
            raise wrong_rows(path, rows, hints[0] if hints else None)
        return records

    def columns(self) -> dict[str, str | list[str]]:
        """Role -> column, as the first table spells them."""
        roles, spelt = self._sources[0].roles, self._sources[0].spelt
        single = {"path": roles.path, "group": roles.group, "mask": roles.mask, "split": roles.split}
        columns: dict[str, str | list[str]] = {role: spelt[column] for role, column in single.items() if column}
        classes = [spelt[column] for column in roles.label]
        return columns | {"label": classes if len(classes) > 1 else classes[0]}

    def cautions(self) -> Iterator[str]:
        """What rows that tell of one picture together had to say."""
        if self._repeated:
            boxes = f", a box each ({', '.join(dict.fromkeys(self._boxes))})," if self._boxes else ""
            yield f"{self._repeated} rows{boxes} tell of a picture that an earlier row told of: each picture counts once"
        if self._half_labelled:
            yield f"{self._half_labelled} rows have no label where another of their picture has one, or the reverse: it counts"
        if self._moved:
            yield f"{self._moved} rows name another split than that of their table, whose split is taken"
        if self._masks:
            yield f"{self._masks} rows name another mask for a picture than its first row, whose mask is kept"


def _record(row: Mapping[str, str], source: _Source, metadata: Metadata) -> Record:
    """One row, with its paths as they are written. Raises ValueError with "column: what is wrong"."""
    roles = source.roles
    if not row[roles.path]:
        raise ValueError(f"{roles.path}: got nothing, expected the picture's path")
    try:
        image = plain(row[roles.path])
    except ValueError as exc:
        raise ValueError(f"{roles.path}: {exc}") from exc
    written = _cell(row, roles.split)
    split = split_named(written)
    if written and split is None:
        raise ValueError(f"{roles.split}: got {written!r}, expected train, val, test or nothing")
    one = len(roles.label) == 1
    return Record(
        image=image,
        label=labels.label_of(row[roles.label[0]]) if one else labels.marked(row, roles.label, source.spelt),
        group=_cell(row, roles.group) or None,
        split=source.split or split,
        mask=_cell(row, roles.mask) or None,
        metadata=metadata,
    )


def _also(image: str, other: Record, record: Record) -> str:
    """How a picture came to be told of twice."""
    if other.image == record.image:
        return f" a second time, with the split {record.split}; before it was {other.split}"
    return f", which is {image} as {other.image} is"


def _picture(record: Record, source: _Source, locator: Locator) -> str:
    try:
        return locator.picture(record.image, source.split)
    except ValueError as exc:
        exc.args = (f"{source.roles.path}: {exc}",)
        raise


def _mask(record: Record, source: _Source, locator: Locator) -> str | None:
    try:
        return locator.mask(record.mask) if record.mask else None
    except ValueError as exc:
        raise ValueError(f"{source.roles.mask}: {exc}") from exc


def _cell(row: Mapping[str, str], column: str | None) -> str:
    """The cell; empty without such a column, or where a word stands for nothing."""
    return labels.without_nothing(row[column]) if column else ""


def _joined_labels(records: Sequence[Record]) -> Iterator[str]:
    """That labels seem to be several."""
    counts = Counter(record.label for record in records)
    for sign, several in labels.joined_otherwise(counts).items():
        yield (
            f"{sum(counts[label] for label in several)} images have labels that look like several joined by {sign!r}, such as "
            f"{several[0]!r}: each is taken for a class of its own"
        )


def _nothing_there(root: Path, records: Sequence[Record], locator: Locator) -> DataError:
    """That the tables' pictures are not there, with what is there instead."""
    first = records[0].image
    kind = next((kind for record in records[:_LOOKED_AT] if (kind := locator.unread(record.image))), None)
    if kind:
        return NoPicture(
            f"the files of these names are {kind}, which are not read, such as that of {first}",
            place=str(root),
            hint="export them as PNG of the same names, and keep the table",
        )
    return NoPicture(
        f"none of {len(records)} pictures is where the data set says, such as {first}",
        place=str(root),
        hint="paths in a table are relative to its folder; where the pictures are elsewhere: "
        + data_field("table.folder", "FOLDER"),
    )
