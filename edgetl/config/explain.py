"""Every field of a resolved recipe: its value, where that comes from, what it means; as data, and as a recipe again."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetl.config.yaml_document import inline
from edgetl.errors import UsageError
from edgetl.errors.wording import did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edgetl.config.loading import Resolved
    from edgetl.config.yaml_document import Document, Path_

__all__ = ["Row", "chosen", "rows", "text"]

_WIDTH = 100


@dataclass(frozen=True)
class Row:
    """A field, or a section of fields.

    value: as JSON; None also for a section. source: recipe | set | stand_in | default, and for the first two where.
    """

    path: Path_
    value: Any
    default: Any
    source: str
    place: str | None
    takes: str
    meaning: str
    is_section: bool

    @property
    def name(self) -> str:
        """The field as --set names it."""
        return ".".join(map(str, self.path))

    def to_json(self) -> dict[str, Any]:
        """What a program needs; `default` is left out where the field must be set."""
        row = {"field": self.name, "value": self.value, "from": self.source, "place": self.place}
        given = {} if self.default is ... else {"default": self.default}
        return {**row, **given, "takes": self.takes, "meaning": self.meaning}


def rows(resolved: Resolved) -> Iterator[Row]:
    """Every field of a resolved recipe in order, sections before what they hold."""
    yield from _of_section(resolved.recipe, (), resolved.document)


def _of_section(section: BaseModel, path: Path_, document: Document) -> Iterator[Row]:
    from pydantic import BaseModel

    from edgetl.config import fields
    from edgetl.config.reference import takes

    for field in fields.fields(type(section)):
        here, value = (*path, field.name), getattr(section, field.attribute)
        inner: list[tuple[Path_, BaseModel]] = [(here, value)] if isinstance(value, BaseModel) else []
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            inner = [((*here, index), entry) for index, entry in enumerate(value)]
        default = ... if field.default is ... else _plain(field.default)
        words = "a section" if fields.section(field.info.annotation) else takes(field.info)
        shown = None if inner else _plain(value)
        yield Row(here, shown, default, *_source(document, here), words, field.meaning, bool(inner))
        for deeper, within in inner:
            if deeper != here:
                yield Row(deeper, None, ..., *_source(document, deeper), "a section", "", True)
            yield from _of_section(within, deeper, document)


def _plain(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


def _source(document: Document, path: Path_) -> tuple[str, str | None]:
    """Which of recipe, --set, stand-in or default a value is from, and where exactly."""
    place = document.places.get(path)
    if place is None:
        return "default", None
    if place.startswith("--set "):
        return "set", place
    return ("stand_in" if place.startswith("the stand-in ") else "recipe"), place


def chosen(every: list[Row], field: str) -> list[Row]:
    """A field, or a section with what it holds. Raises UsageError."""
    matching = [row for row in every if row.name == field or row.name.startswith(f"{field}.")]
    if not matching:
        close = did_you_mean(field, [row.name for row in every])
        raise UsageError(
            f"{field}: no such field{f'; {close}' if close else ''}",
            hint="edgetl explain RECIPE shows them all; a section that is null has none",
        )
    return matching


def text(row: Row, outer: int, recipe: str, alone: bool) -> str:
    """A field as YAML, under a comment with its meaning; `outer` levels are left out in front."""
    indent = "  " * (len(row.path) - 1 - outer)
    meaning = f"{row.meaning} Takes {row.takes}." if alone else row.meaning
    comment = textwrap.wrap(meaning, _WIDTH - 2, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    if isinstance(row.path[-1], int):
        return f"{indent}-  # {row.name}"
    origin = {"default": "default", "stand_in": row.place, "set": row.place}.get(
        row.source, f"line {str(row.place).removeprefix(f'{recipe}:').split(':')[0]}"
    )
    if row.is_section:
        return "\n".join(["", *comment, f"{indent}{row.path[-1]}:  # {origin}"])
    changed = row.source != "default" and row.default is not ... and row.default != row.value
    note = f"{origin}; default {inline(row.default)}" if changed else origin
    return "\n".join([*comment, f"{indent}{row.path[-1]}: {inline(row.value)}  # {note}"])
