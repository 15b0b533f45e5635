"""YAML into plain data, safely, with the place of every value.

Stricter than stock PyYAML where a recipe could go wrong in silence: duplicate keys, anchors and tags are errors, size
and depth are bounded (a deep nesting otherwise exhausts the stack), and scalars follow YAML 1.2: `1e-3` is a number,
`no` is the text "no".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgetl.errors import RecipeError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_DIGITS = 18

Path_ = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Document:
    """Plain data and where each of its values stands.

    places: "file:line:column" (from 1) by path of keys and indices; a mapping's entry is placed at its key.
    """

    name: str
    value: Any
    places: dict[Path_, str]

    def place(self, path: Path_) -> str:
        """The place of a value, or of the nearest enclosing one that is written down."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def read(path: Path) -> Document:
    """Read a YAML file. Raises RecipeError when it is missing, too large, not UTF-8 or not YAML."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise RecipeError("no such file", place=str(path)) from exc
    except OSError as exc:
        raise RecipeError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"larger than {MAX_BYTES // 1024} KiB, which no recipe needs", place=str(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise RecipeError(f"byte 0x{raw[exc.start]:02x} is not UTF-8 text", place=f"{path}:{line}:1") from exc
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Parse YAML text; `name` is what errors call it."""
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RecipeError(f"not YAML: {exc.problem or exc.context}", place=place) from exc
    except yaml.YAMLError as exc:
        raise RecipeError(f"not YAML: {str(exc).splitlines()[0]}", place=name) from exc
    return Document(name, builder.value, builder.places)


def scalar(text: str) -> Any:
    """A plain YAML 1.2 scalar: null, true/false, an integer, a float, or the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_MISSING = object()


class _Builder:
    """Builds data from parser events with its own stack, so that no input can exhaust Python's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.places: dict[Path_, str] = {}
        self._documents = 0
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[Any] = []  # per open mapping: the key that waits for its value

    def take(self, event: yaml.Event) -> None:
        """Take the parser's next event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._error(event, "a second document; expected one")
        elif isinstance(event, yaml.AliasEvent):
            raise self._error(event, "anchors and aliases are not allowed")
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()
            self._keys.pop()

    def _node(self, event: Any) -> None:
        if event.anchor is not None:
            raise self._error(event, "anchors and aliases are not allowed")
        if event.tag not in (None, "!"):
            raise self._error(event, f"the tag {event.tag} is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            self._put(event, scalar(event.value) if event.implicit[0] and event.style is None else event.value)
            return
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(event, container)
        self._stack.append(container)
        self._keys.append(_MISSING)

    def _put(self, event: Any, value: Any) -> None:
        if not self._stack:
            self.value = value
            self.places[()] = self._place(event)
            return
        parent = self._stack[-1]
        if isinstance(parent, list):
            parent.append(value)
            self.places[self._path(len(parent) - 1)] = self._place(event)
        elif self._keys[-1] is _MISSING:
            self._key(event, parent)
        else:
            parent[self._keys[-1]] = value
            self._keys[-1] = _MISSING

    def _key(self, event: Any, parent: dict[str, Any]) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, "a key must be plain text")
        if event.value in parent:
            raise self._error(event, f"the key {event.value!r} stands twice")
        parent[event.value] = None
        self._keys[-1] = event.value
        self.places[self._path(event.value)] = self._place(event)

    def _path(self, last: str | int) -> Path_:
        # What is open inside a container is always its newest entry.
        steps = [len(outer) - 1 if isinstance(outer, list) else next(reversed(outer)) for outer in self._stack[:-1]]
        return (*steps, last)

    def _place(self, event: yaml.Event) -> str:
        mark = event.start_mark
        assert mark is not None, "the parser marks every event"
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"

    def _error(self, event: yaml.Event, message: str) -> RecipeError:
        return RecipeError(message, place=self._place(event))
