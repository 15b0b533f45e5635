"""A data set named on a command line, KIND:ROOT, as the data section that a recipe of it would have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgetl.api.paths import split_data
from edgetl.config import python_data
from edgetl.config.data import Data
from edgetl.config.overrides import Overrides, parsed
from edgetl.config.recipe import Recipe
from edgetl.config.validation import validate
from edgetl.data import readers
from edgetl.errors import UsageError

__all__ = ["data_section"]


def data_section(data: str, columns: Mapping[str, Any] | None = None, overrides: Overrides = ()) -> tuple[Data, Path]:
    """The section, and the root that it names.

    Args:
        data: KIND:ROOT.
        columns: role -> column of a table, as data.columns holds them.
        overrides: other fields of the section, as data.table.folder.

    Raises:
        UsageError: no KIND:ROOT, an unknown kind, columns of a kind that has none, or a field of another section.
        RecipeError: a value that its field does not take.
    """
    kind, root = split_data(data)
    reader = readers.known(kind)
    if columns:
        readers.refuse_columns(reader)
    named = {} if reader.render else {"root": str(root)}
    section = {"kind": kind, **named, **({"columns": dict(columns)} if columns else {})}
    document = python_data.document({"name": "data", "data": section}, f"--data {data}")
    for change in parsed(overrides):
        if change.field.split(".")[0] != "data" or change.field in {"data", "data.kind", "data.root"}:
            raise UsageError(
                "expected a field of the data section",
                place=change.name,
                hint="for example --set data.table.folder=images",
            )
        document = change.applied(document)
    return validate(document, Recipe).data, root
