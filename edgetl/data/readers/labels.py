"""The label that a row gives its image: one cell, a list in a cell, or a column for each class.

Where a row gives several, its label is all of them, sorted and joined by a bar: `Effusion|Mass`. A network learns one label
per image, so what becomes of such images has to be said before they are used (`edgetl.data.source`).
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence

from edgetl.errors import DataError

__all__ = [
    "BAR",
    "MAYBE",
    "NO",
    "YES",
    "NoLabel",
    "SeveralLabels",
    "is_flag",
    "joined",
    "joined_otherwise",
    "label_of",
    "marked",
    "parts",
    "without_nothing",
]


class NoLabel(DataError):
    """Images have no label, and nothing says what becomes of them."""


class SeveralLabels(DataError):
    """Images have several labels, and nothing says what becomes of them."""


BAR = "|"
_NOTHING = frozenset({"na", "n/a", "nan", "null", "none"})
"""How R, pandas and databases write a cell that holds nothing, in lower case."""
_SIGNS = ";,/+&"
"""What may join several labels in a cell, and may be part of one."""
_UNCERTAIN = " (uncertain)"
"""After the name of a class whose column says that it may be (CheXpert's -1)."""

YES = frozenset({"1", "1.0", "true", "yes", "x"})
NO = frozenset({"0", "0.0", "false", "no", ""})
MAYBE = frozenset({"-1", "-1.0"})
"""What a cell says of the class that its column is of, in lower case."""


def joined(labels: Iterable[str]) -> str:
    """One label out of several; each counts once."""
    return BAR.join(sorted({label for label in labels if label}))


def parts(label: str) -> list[str]:
    """The labels that one holds."""
    return label.split(BAR)


def label_of(cell: str) -> str:
    """The label in one cell: a list in it, `['N', 'D']` or `N|D`, is several."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            entries = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return cell
        if isinstance(entries, list) and all(type(entry) in (str, int) for entry in entries):
            return joined(str(entry).strip() for entry in entries)
        return cell
    if BAR in cell:
        return joined(part.strip() for part in cell.split(BAR))
    return without_nothing(cell)


def marked(row: Mapping[str, str], columns: Sequence[str], names: Mapping[str, str]) -> str:
    """The classes whose columns say yes in a row, and those that say maybe.

    Args:
        names: column -> the class, as the header spells it.

    Raises:
        ValueError: a cell that says neither yes nor no.
    """
    found = []
    for column in columns:
        cell = without_nothing(row[column]).lower()
        if cell in YES:
            found.append(names[column])
        elif cell in MAYBE:
            found.append(names[column] + _UNCERTAIN)
        elif cell not in NO:
            raise ValueError(
                f"{column}: got {row[column]!r}, expected 1, 0, -1 or nothing, as the column is one of a class"
            )
    return joined(found)


def joined_otherwise(labels: Collection[str]) -> dict[str, list[str]]:
    """Sign -> labels that it joins out of others, as `Effusion;Mass` is where both are labels too."""
    found: dict[str, list[str]] = {}
    for sign in _SIGNS:
        several = [label for label in labels if sign in label]
        if found_here := [label for label in several if {part.strip() for part in label.split(sign)} <= {*labels}]:
            found[sign] = sorted(found_here)
    return found


def is_flag(cell: str) -> bool:
    """Whether a cell says yes, no, maybe or nothing."""
    return without_nothing(cell).lower() in YES | NO | MAYBE


def without_nothing(cell: str) -> str:
    """The cell, empty where it holds a word for nothing."""
    return "" if cell.lower() in _NOTHING else cell
