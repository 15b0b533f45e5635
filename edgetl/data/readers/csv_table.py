"""A table with a row for each picture: its path, its label, and what else is known of it.

Columns are found by their usual names or named by the recipe; those that have no part become metadata.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edgetl.data.layout import Layout
from edgetl.data.readers import READERS
from edgetl.data.readers.columns import header, rows, wrong_rows
from edgetl.data.readers.walking import inside, is_there
from edgetl.data.records import SPLIT_NAMES, Metadata, Reading, Record, SharedMetadata, Split
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import alike, did_you_mean

__all__ = ["ROLES", "read"]

ROLES: Mapping[str, tuple[str, ...]] = {
    "path": (
        *("path", "image", "images", "file", "filename", "file_name", "filepath", "file_path", "image_path"),
        *("image_file", "image_filename", "image_name", "img", "img_path", "picture"),
    ),
    "label": ("label", "labels", "class", "class_name", "dx", "diagnosis", "target", "category"),
    "group": (
        *("group", "group_id", "patient", "patient_id", "patientid", "lesion", "lesion_id", "study", "study_id"),
        *("subject", "subject_id", "case", "case_id"),
    ),
    "mask": ("mask", "mask_path", "mask_file", "segmentation", "segmentation_path"),
    "split": ("split", "set", "subset", "partition", "fold"),
}
"""Names that columns usually have, in lower case with underscores."""

_NEEDED = ("path", "label")
_NOTHING = frozenset({"na", "n/a", "nan", "null", "none"})
"""How R, pandas and databases write a cell that holds nothing, in lower case."""
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")


def read(root: Path, layout: Layout) -> Reading:
    """Records of every row that is not empty.

    Args:
        root: the table, or a folder that holds one table.
        layout: its columns are role (see `ROLES`) -> column, where the usual names do not tell.

    Raises:
        DataError: no table or several, columns that are missing or ambiguous, a row without path or label, a path that
            leaves the table's folder or comes twice, or an unknown split.
    """
    columns = {role: str(column) for role, column in layout.columns.items()}
    table = _table(root)
    roles = _roles(table, columns)
    cautions: list[str] = []
    guessed = None if "split" in columns else roles.get("split")
    if guessed and not any(row[guessed].lower() in SPLIT_NAMES for _, row in rows(table, ())):
        cautions.append(f"column {guessed} holds no splits (train, val, test) and is taken as metadata")
        del roles["split"]
    records: dict[str, Record] = {}
    wrong: list[tuple[int, str]] = []
    further = tuple(name for name in map(str.lower, header(table)[1]) if name and name not in roles.values())
    metadata = SharedMetadata(further)
    for line, row in rows(table, ()):
        try:
            record = _record(row, roles, metadata(tuple(row[name] for name in further)), table.parent)
            if record.image in records:
                raise ValueError(f"{roles['path']}: got {record.image} a second time")
            records[record.image] = record
        except ValueError as exc:
            wrong.append((line, str(exc)))
    if wrong:
        raise wrong_rows(table, wrong)
    return Reading(list(records.values()), cautions)


def _table(root: Path) -> Path:
    if root.is_file():
        return root
    tables = [path for path in inside(root)[1] if path.suffix.lower() in READERS["csv"].endings]
    if len(tables) == 1:
        return tables[0]
    got = f"{len(tables)} ({', '.join(path.name for path in tables[:5])})" if tables else "no table"
    raise DataError(
        f"got {got}, expected one .csv or .tsv" + (" in the folder" if tables else ""),
        place=str(root),
        hint="data.root may name the table itself",
    )


def _roles(table: Path, columns: Mapping[str, str]) -> dict[str, str]:
    """Role -> lower-case column name."""
    place, names = header(table)
    there = f"the columns are {', '.join(name for name in names if name) or 'none'}"
    roles: dict[str, str] = {}
    for role, column in columns.items():
        if role not in ROLES:
            raise UsageError(
                f"columns: got {role!r}, expected one of {', '.join(ROLES)}", hint=_naming("label", "COLUMN")
            )
        if column.strip().lower() not in (name.lower() for name in names):
            message = f"data.columns.{role}: got {column!r}; {there}"
            raise DataError(message, place=place, hint=did_you_mean(column, names))
        if column.strip().lower() in roles.values():
            raise DataError(f"data.columns: got {column!r} for two of {', '.join(columns)}; {there}", place=place)
        roles[role] = column.strip().lower()
    for role, usual in ROLES.items():
        if role in roles:
            continue
        fitting = [name for name in names if _plain(name) in usual and name.lower() not in roles.values()]
        if len(fitting) > 1:
            raise DataError(
                f"{', '.join(fitting)} may each be the {role}; {there}", place=place, hint=_naming(role, fitting[0])
            )
        if fitting:
            roles[role] = fitting[0].lower()
        elif role in _NEEDED:
            near = [name for name in names if alike(_plain(name), usual, least=0.7)]
            raise DataError(
                f"no column is the {role}; {there}", place=place, hint=_naming(role, near[0] if near else "COLUMN")
            )
    return roles


def _naming(role: str, column: str) -> str:
    return f"name it in the recipe: data: {{columns: {{{role}: {column}}}}}; beside --data: --columns {role}={column}"


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def _record(row: Mapping[str, str], roles: Mapping[str, str], metadata: Metadata, folder: Path) -> Record:
    """One row. Raises ValueError with "column: what is wrong"."""
    written = {role: row[column] for role, column in roles.items()}
    cells = {role: "" if role != "path" and cell.lower() in _NOTHING else cell for role, cell in written.items()}
    for role in _NEEDED:
        if not cells[role]:
            raise ValueError(f"{roles[role]}: got {written[role] or 'nothing'}, expected the picture's {role}")
    mask = cells.get("mask")
    return Record(
        image=_spelt(_relative(cells["path"], roles["path"]), folder),
        label=cells["label"],
        group=cells.get("group") or None,
        split=_split(cells.get("split", ""), roles),
        mask=_spelt(_relative(mask, roles["mask"]), folder) if mask else None,
        metadata=metadata,
    )


def _spelt(path: str, folder: Path) -> str:
    """The path as the disk spells it: archives made on a Mac write é as e and an accent, tables rarely do."""
    if path.isascii() or is_there(folder / path):
        return path
    others = (unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((other for other in others if is_there(folder / other)), path)


def _relative(text: str, column: str) -> str:
    """A path below the table's folder, in its plain spelling; Windows' backslashes are taken for slashes."""
    path = text.replace("\\", "/")
    if _ABSOLUTE.match(path):
        raise ValueError(f"{column}: got the absolute path {text}, expected one relative to the table's folder")
    parts = PurePosixPath(path)
    if ".." in parts.parts:
        raise ValueError(f"{column}: got {text}, which leaves the table's folder")
    if not parts.name or "\0" in path:
        raise ValueError(f"{column}: got {text!r}, expected a path")
    return parts.as_posix()


def _split(text: str, roles: Mapping[str, str]) -> Split | None:
    if not text:
        return None
    if text.lower() not in SPLIT_NAMES:
        raise ValueError(f"{roles['split']}: got {text!r}, expected train, val, test or nothing")
    return SPLIT_NAMES[text.lower()]
