"""A document against a type: what is wrong, each finding with its place, what was got, and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgetl.config import fields
from edgetl.config.yaml_document import Document, Path_
from edgetl.errors import RecipeError
from edgetl.errors.wording import did_you_mean, nearest, quoted, some

__all__ = ["validate"]

Model = TypeVar("Model", bound=BaseModel)

MOST_FINDINGS = 10

# pydantic's kinds of errors in the words of someone who writes YAML.
_EXPECTED = {
    "model_type": "a mapping of fields",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
    "string_pattern_mismatch": "text that matches {pattern}",
}


def validate(document: Document, model: type[Model]) -> Model:
    """Check a document against a type; a RecipeError lists each wrong field with its place and the nearest name."""
    try:
        # Through JSON because only there does strict mode take a list for a tuple.
        return model.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as exc:
        findings = [_said(document, model, path, errors) for path, errors in _by_path(model, exc)]
        (place, message), *rest = findings
        lines = some([message, *(f"{where}: {text}" for where, text in rest)], MOST_FINDINGS)
        raise RecipeError("\n".join(lines), place=place) from exc


def _by_path(model: type[BaseModel], failure: ValidationError) -> Iterator[tuple[Path_, list[Any]]]:
    """What is wrong at each path: of a field that takes several types, what came closest."""
    grouped: dict[Path_, list[tuple[bool, Any]]] = {}
    for error in failure.errors(include_url=False):
        path, whole = fields.place(model, error["loc"])
        grouped.setdefault(path, []).append((whole, error))
    inside = {path[:length] for path in grouped for length in range(len(path))}
    for path, found in grouped.items():
        # Where a part is wrong, an alternative that does not fit at all says nothing, nor does a list that pydantic
        # counts without its wrong entries.
        kept = [error for whole, error in found if path not in inside or not (whole or error["type"] == "too_short")]
        if kept:
            yield path, kept


def _said(document: Document, model: type[BaseModel], path: Path_, errors: Sequence[Any]) -> tuple[str, str]:
    """The findings at one path as (place, "field: got, expected, nearest name")."""
    name = ".".join(_plain(step) for step in path)
    first = errors[0]
    if first["type"] == "extra_forbidden":
        instead = getattr(model, "REFUSED", {}).get(path[-1]) if len(path) == 1 else None
        text = instead or f"unknown field{nearest(str(path[-1]), fields.names(model, path[:-1]))}"
    elif first["type"] == "missing":
        text = "is missing"
    elif first["type"] == "value_error":
        text = str(first["ctx"]["error"])
        return document.place(_named(document, path, text)), f"{name}: {text}" if name else text
    else:
        text = _got_expected(errors, fields.find(model, path) if path else None)
    return document.place(path), f"{name or 'the document'}: {text}"


def _named(document: Document, path: Path_, text: str) -> Path_:
    """The path of the field that a finding of a whole section begins with, as in `export names a format twice`."""
    steps = [int(step) if step.isdecimal() else step for step in text.split(maxsplit=1)[0].split(".")]
    named = (*path, *steps)
    return named if named in document.places else path


def _got_expected(errors: Sequence[Any], field: fields.Field | None) -> str:
    value = errors[0]["input"]
    expected = [*map(_expected, errors), *(["null"] if field and field.takes_null else [])]
    text = f"got {'nothing' if value is None else quoted(value)}, expected {' or '.join(expected)}"
    choices = [choice for error in errors for choice in _choices(error)]
    if isinstance(value, str) and choices and value not in choices:
        hint = did_you_mean(value, choices)
        return f"{text}; {hint}" if hint else text
    if value is None and field and field.default is not ...:
        return text + "; leave it out for its default"
    if errors[0]["type"] == "string_type" and isinstance(value, bool | int | float):
        return text + f'; in quotes it is: "{json.dumps(value)}"'
    return text


def _expected(error: Any) -> str:
    if error["type"] == "literal_error":
        choices = _choices(error)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    words = str(_EXPECTED.get(error["type"], error["msg"].removeprefix("Input should be ")))
    return words.format(**error.get("ctx", {}))


def _choices(error: Any) -> list[str]:
    if error["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", error["ctx"]["expected"]) or re.split(r", | or ", error["ctx"]["expected"])


def _plain(step: str | int) -> str:
    """A step of a path as it is read best: keys come from the file, and hold anything."""
    return str(step) if isinstance(step, int) or re.fullmatch(r"[\w./ -]{1,60}", step) else quoted(step)
