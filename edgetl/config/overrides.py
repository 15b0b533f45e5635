"""A recipe's document with a value put in at a path: `--set a.b=c`, a stand-in's sizes, an expanded variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgetl.config import yaml_document
from edgetl.config.yaml_document import Document, Path_
from edgetl.errors import RecipeError, UsageError
from edgetl.errors.wording import quoted

__all__ = ["dotted", "get", "override", "placed"]


def override(document: Document, text: str) -> Document:
    """Apply one `a.b=c`; the value is YAML, so `null`, `[onnx]` and `{macs: 0.5}` work."""
    field, equals, written = text.partition("=")
    path: Path_ = tuple(field.strip().split("."))
    name = f"--set {text}" if text.isprintable() and len(text) <= 80 else f"--set {quoted(text)}"
    if not equals or not all(path):
        raise UsageError("expected FIELD=VALUE", place=name, hint="for example --set distil.epochs=3")
    try:
        parsed = yaml_document.parse(written, name)
    except RecipeError as exc:
        raise RecipeError(exc.message, place=name, hint=exc.hint) from exc
    path = _indexed(document, path, name)
    return placed(document, path, parsed.value, {(*path, *inner): name for inner in parsed.places})


def _indexed(document: Document, path: Path_, place: str) -> Path_:
    """An override's path with numbers where the document has lists, as in teacher.0.epochs."""
    value, found = document.value, list(path)
    for depth, step in enumerate(path):
        if isinstance(value, list) and value:
            if not re.fullmatch("[0-9]{1,6}", str(step)) or int(step) >= len(value):
                named = dotted(path[:depth])
                raise RecipeError(
                    f"{dotted(path)}: {named} is a list",
                    place=place,
                    hint=f"name one of its entries, {named}.0 to {named}.{len(value) - 1}, or give the whole list",
                )
            found[depth] = int(step)
        value = _inside(value, found[depth])
    return tuple(found)


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
