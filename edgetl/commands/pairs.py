"""Options that hold a mapping: NAME=VALUE,..."""

from __future__ import annotations

import csv
import re
from typing import Annotated

import typer

from edgetl.errors import UsageError

__all__ = ["ColumnsOption", "columns_of", "pairs"]

ColumnsOption = Annotated[
    str | None, typer.Option("--columns", metavar="ROLE=COLUMN,...", help="What the columns of a csv hold.")
]
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
"""A comma outside double quotes: an even number of them follows."""


def pairs(option: str, text: str | None, hint: str) -> dict[str, str]:
    """The option's text as a dictionary; a name that holds a comma or an equals sign stands in double quotes.

    Raises:
        UsageError: a part that is no pair, or a name with two values.
    """
    mapping: dict[str, str] = {}
    for part in filter(str.strip, _COMMA.split(text or "")):
        try:
            ((name, value),) = csv.reader([part.strip()], delimiter="=", skipinitialspace=True)
        except (ValueError, csv.Error):  # not two cells in one row
            name, value = "", ""
        name, value = name.strip(), value.strip()
        if not name:
            raise UsageError(f"{option} {part!r}: expected NAME=VALUE,...", hint=hint)
        if mapping.setdefault(name, value) != value:
            raise UsageError(f"{option} {part!r}: {name}={mapping[name]} was said before", hint=hint)
    return mapping


def columns_of(text: str | None) -> dict[str, str]:
    """Role -> column, from --columns. Raises UsageError."""
    return pairs("--columns", text, "for example --columns label=finding,path=file")
