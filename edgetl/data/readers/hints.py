"""Lines to write into a recipe or after a command, as they may be copied out of a hint."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from edgetl.data.readers.endings import TABLES, TEXT, ending
from edgetl.errors.wording import quoted

__all__ = ["ROOT_HINT", "as_yaml", "data_field", "root_named", "table_for"]

ROOT_HINT = "correct data.root, or ROOT of --data KIND:ROOT"

_PLAIN = re.compile(r"(\.{0,2}[A-Za-z/][\w./-]*|\.\.?)( [\w./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"})


def as_yaml(text: str) -> str:
    """A text as a value within `{...}`, quoted where YAML would read something else."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else quoted(text, None)


def data_field(name: str, written: str) -> str:
    """How a field of the data section is written, in a recipe and beside --data.

    Args:
        name: below data, as table.folder.
        written: its value in YAML.
    """
    section = written
    for part in reversed(name.split(".")):
        section = f"{{{part}: {section}}}"
    return f"data: {section}; beside --data: --set {shlex.quote(f'data.{name}={written}')}"


def root_named(kind: str, root: Path) -> str:
    """How another root is written, in a recipe and beside --data."""
    return f"write data: {{root: {as_yaml(str(root))}}}; beside --data: --data {shlex.quote(f'{kind}:{root}')}"


def table_for(root: Path, tables: Sequence[str]) -> str:
    """What to write where the labels are in a table, with the likeliest one of those that lie there (paths below root)."""
    if not tables:
        return (
            "put them into a folder for each class, or write a table of their paths and labels and name it: "
            "data: {kind: csv, root: TABLE.csv}"
        )
    likeliest = min(tables, key=_likely)
    saved = "" if ending(likeliest) in (*TABLES, *TEXT) else f"save {likeliest} as CSV, then "
    path = root / likeliest if not saved else (root / likeliest).with_suffix(".csv")
    return f"{saved}write data: {{kind: csv, root: {as_yaml(str(path))}}}; beside --data: --data {shlex.quote(f'csv:{path}')}"


def _likely(table: str) -> tuple[bool, bool, bool, bool, str]:
    """A key that sorts likelier tables first: those that can be read as they are, and those of training images."""
    end, name = ending(table), table.lower()
    return end not in TABLES, end not in TEXT, "test" in name or "sample" in name, "train" not in name, table
