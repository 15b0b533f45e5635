"""How the files and tables of a data set lie, as far as a recipe says so and names alone do not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetl.data.records import Split

__all__ = ["AS_USUAL", "GroupPattern", "Layout", "base_of", "pictures_of"]


@dataclass(frozen=True)
class GroupPattern:
    """What of an image's name or path says which patient it shows, as a regular expression.

    source: "name" is the file's without its folders, "path" the whole path below the root.
    """

    source: str
    pattern: str


@dataclass(frozen=True)
class Layout:
    """What a recipe says beyond kind and root; everything else is found out by the reader.

    columns: role (path, label, group, mask, split) -> column of a table; for the label also several, one a class.
    folder: where the pictures of a table are looked for, from the table's folder on. ending: which of several files of
        one id is meant.
    splits: split -> a table each, below the root. join: another table with more columns of the same images; on: the column
        that both have.
    header: names of the columns of tables without a first line of names. separator: between cells.
    level: of a folder, how many folders below it the classes are.
    group: how images are grouped by their names.
    prescribed: whether splits that the source prescribes are kept.
    """

    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    folder: str | None = None
    ending: str | None = None
    splits: Mapping[Split, str] = field(default_factory=dict)
    join: str | None = None
    on: str | None = None
    header: Sequence[str] = ()
    separator: str | None = None
    level: int = 1
    group: GroupPattern | None = None
    prescribed: bool = True


AS_USUAL = Layout()


def pictures_of(root: Path, layout: Layout) -> Path:
    """Where the pictures of a data set at `root`, a folder or a table, are looked for."""
    top = root.parent if root.is_file() else root
    if layout.folder is None:
        return top
    inner = Path(layout.folder)
    return (top / inner).resolve() if inner.is_absolute() or ".." in inner.parts else top / inner


def base_of(root: Path, layout: Layout) -> Path:
    """The folder that paths of records are relative to: the table's, or that of the pictures where it is elsewhere."""
    top, pictures = root.parent if root.is_file() else root, pictures_of(root, layout)
    return top if pictures.is_relative_to(top) else pictures
