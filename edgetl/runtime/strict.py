"""Frozen dataclasses to JSON and back, strictly: what pydantic would do, for devices that have only Python.

Understands str, int, float, bool, Any, Literal, X | None, tuple[X, ...], Mapping[str, X] and dataclasses of these.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_LARGEST = int(sys.float_info.max)


def to_json(value: Any) -> Any:
    """Dataclasses and mappings become dicts, tuples lists; the rest is JSON already."""
    if is_dataclass(value):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: Any, content: object, place: str = "") -> Any:
    """`content`, parsed JSON, as an instance of `kind`.

    Raises:
        ValueError: "field.path: what was got, what was expected".
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return content
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, content, place)
    if origin in (Union, UnionType):
        inner = next(argument for argument in arguments if argument is not NoneType)
        return None if content is None else from_json(inner, content, place)
    if origin is Literal:
        if type(content) not in {type(argument) for argument in arguments} or content not in arguments:
            raise _wrong(place, content, f"one of {list(arguments)}")
        return content
    if origin is tuple:
        if not isinstance(content, list):
            raise _wrong(place, content, "a list")
        return tuple(from_json(arguments[0], item, f"{place}[{index}]") for index, item in enumerate(content))
    if origin is Mapping:
        if not isinstance(content, dict):
            raise _wrong(place, content, "an object")
        return {key: from_json(arguments[1], item, f"{place}[{key!r}]") for key, item in content.items()}
    return _plain(kind, content, place)


def _dataclass(kind: type, content: object, place: str) -> Any:
    if not isinstance(content, dict):
        raise _wrong(place, content, "an object")
    known = {item.name: item for item in fields(kind)}
    if unknown := sorted(set(content) - set(known)):
        raise ValueError(f"{_dotted(place, unknown[0])}: is not a known field, expected {sorted(known)}")
    required = {name for name, item in known.items() if item.default is MISSING and item.default_factory is MISSING}
    if missing := sorted(required - set(content)):
        raise ValueError(f"{_dotted(place, missing[0])}: is missing")
    hints = _hints(kind)
    return kind(**{name: from_json(hints[name], item, _dotted(place, name)) for name, item in content.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of its fields: an artefact's are asked for with each artefact, and cost more than all the rest."""
    return get_type_hints(kind)


def _plain(kind: Any, content: object, place: str) -> Any:
    if kind is float and isinstance(content, int | float) and not isinstance(content, bool):
        if abs(content) <= _LARGEST:  # neither infinite, nor NaN, nor a whole number beyond any float
            return float(content)
    elif type(content) is kind:  # bool is an int for isinstance, not here
        return content
    raise _wrong(place, content, kind.__name__)


def _dotted(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _wrong(place: str, content: object, expected: str) -> ValueError:
    got = repr(content)
    return ValueError(f"{place or 'top level'}: got {got if len(got) <= 80 else got[:80] + '...'}, expected {expected}")
