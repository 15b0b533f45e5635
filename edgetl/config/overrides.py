"""A recipe's document with a value put in at a path: `--set a.b=c`, a stand-in's sizes, an expanded variable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgetl.config import python_data, yaml_document
from edgetl.config.yaml_document import Document, Path_
from edgetl.errors import RecipeError, UsageError
from edgetl.errors.wording import quoted

__all__ = ["Override", "Overrides", "dotted", "get", "parsed", "placed"]


Overrides: TypeAlias = Sequence[str] | Mapping[str, Any]
"""["a.b=c"] as on a command line, where c is YAML, or {"a.b": c}."""


@dataclass(frozen=True)
class Override:
    """One field's new value. field: dotted, as in teacher.0.epochs; name: what errors call it."""

    field: str
    value: Document
    name: str

    def applied(self, document: Document) -> Document:
        """A copy of the document with the value in it."""
        path = _indexed(document, tuple(self.field.split(".")), self.name)
        places = {(*path, *inner): self.name for inner in self.value.places}
        return placed(document, path, self.value.value, places)


def parsed(overrides: Overrides) -> Iterator[Override]:
    """Read overrides, one after the other.

    Raises:
        UsageError: one that has no field or no value.
        RecipeError: a value that is no YAML, or that YAML cannot hold.
    """
    if isinstance(overrides, Mapping):
        for field, value in overrides.items():
            name = f"overrides[{field!a}]"
            yield Override(_named(field, name), python_data.document(value, name), name)
        return
    for text in overrides:
        field, equals, written = text.partition("=")
        name = f"--set {text}" if text.isprintable() and len(text) <= 80 else f"--set {quoted(text)}"
        field = _named(field if equals else "", name)
        try:
            yield Override(field, yaml_document.parse(written, name), name)
        except RecipeError as exc:
            raise RecipeError(exc.message, place=name, hint=exc.hint) from exc


def _named(field: str, name: str) -> str:
    if not all(field.strip().split(".")):
        raise UsageError("expected FIELD=VALUE", place=name, hint="for example --set distil.epochs=3")
    return field.strip()


def _indexed(document: Document, path: Path_, place: str) -> Path_:
    """An override's path with numbers where the document has lists, as in teacher.0.epochs."""
    value, indexed = document.value, list(path)
    for depth, step in enumerate(path):
        if isinstance(value, list) and value:
            if not re.fullmatch("[0-9]{1,6}", str(step)) or int(step) >= len(value):
                named = dotted(path[:depth])
                raise RecipeError(
                    f"{dotted(path)}: {named} is a list",
                    place=place,
                    hint=f"name one of its entries, {named}.0 to {named}.{len(value) - 1}, or give the whole list",
                )
            indexed[depth] = int(step)
        value = _inside(value, indexed[depth])
    return tuple(indexed)


def placed(document: Document, path: Path_, value: Any, places: Mapping[Path_, str]) -> Document:
    """A copy of the document with one value put at a path; missing or null mappings on the way are made.

    places: of the value and of what is inside it.
    """
    root: dict[Any, Any] = dict(document.value)
    here: Any = root
    made: dict[Path_, str] = {}
    for depth, step in enumerate(path[:-1], 1):
        inner = _inside(here, step)
        if path[:depth] not in document.places:
            made[path[:depth]] = places[path]
        if (inner is not None and not isinstance(inner, dict | list)) or inner == []:
            raise RecipeError(f"{dotted(path)}: {step} is no mapping", place=places[path])
        here[step] = here = list(inner) if isinstance(inner, list) else dict(inner or {})
    here[path[-1]] = value
    kept = {where: text for where, text in document.places.items() if where[: len(path)] != path}
    return Document(document.name, root, {**kept, **made, **places})


def dotted(path: Path_) -> str:
    """A path as a person writes it: a.b.0."""
    return ".".join(str(step) if str(step).isprintable() else quoted(step) for step in path)


def get(document: Document, path: Path_) -> Any:
    """The value at a path; None where there is none."""
    value = document.value
    for step in path:
        value = _inside(value, step)
    return value


def _inside(value: Any, step: str | int) -> Any:
    """An entry of a mapping or a list; None where there is none."""
    if isinstance(value, list):
        return value[step] if isinstance(step, int) and step < len(value) else None
    return value.get(step) if isinstance(value, dict) else None
