"""Plain data of a Python program as a document, held to what a YAML file can hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from edgetl.config.yaml_document import MAX_DEPTH, MAX_DIGITS, Document, Path_
from edgetl.errors import RecipeError

__all__ = ["document"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def document(value: Any, name: str) -> Document:
    """The document of a value; tuples become lists, and paths text.

    Args:
        name: what errors call it: the places are subscripts of it, as in recipe["data"]["root"].

    Raises:
        RecipeError: for what no YAML file can hold.
    """
    places: dict[Path_, str] = {}
    return Document(name, _plain(value, (), name, places), places)


def _plain(value: Any, path: Path_, place: str, places: dict[Path_, str]) -> Any:
    """The value with JSON's types alone; notes where each of its parts is."""
    places[path] = place
    if len(path) > MAX_DEPTH:
        raise RecipeError(f"nested deeper than {MAX_DEPTH} levels", place=place)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, Mapping):
        entries = {_key(key, place): entry for key, entry in value.items()}
        return {
            key: _plain(entry, (*path, key), f"{place}[{json.dumps(key)}]", places) for key, entry in entries.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(entry, (*path, index), f"{place}[{index}]", places) for index, entry in enumerate(value)]
    if isinstance(value, str) and _SURROGATE.search(value):
        raise RecipeError("half of a surrogate pair is no text", place=place)
    if type(value) is int and abs(value) >= 10**MAX_DIGITS:
        raise RecipeError(f"got a whole number of more than {MAX_DIGITS} digits", place=place)
    if value is None or type(value) in (str, bool, int, float):
        return value
    raise RecipeError(
        f"got a value of type {type(value).__name__}, expected text, a number, True, False, None, a list or a dictionary",
        place=place,
    )


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str) or _SURROGATE.search(key):
        raise RecipeError(f"got the key {key!a}, expected text", place=place)
    return key
