"""YAML into plain data, safely, with the place of every value.

Stricter than stock PyYAML where a recipe could go wrong in silence: duplicate keys, anchors and tags are errors, size
and depth are bounded (a deep nesting otherwise exhausts the stack, and PyYAML takes 0.5 s for 64 KiB), and scalars follow
YAML 1.2 as JSON has them: `1e-3` is a number, `no` and `0x10` are text, and so are `.inf` and `.nan`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from edgetl.errors import RecipeError
from edgetl.errors.wording import quoted

MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_DIGITS = 18

Path_ = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r"[\w./][\w./-]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HINTS = {
    "'\\t'": "indent with spaces, not with tabs",
    "mapping values are not allowed": "text that holds a colon and a space goes in quotes",
    "could not find expected ':'": "a field is written `name: value`, with a space after the colon",
    "'%'": "text that starts with % goes in quotes",
    "'@'": "text that starts with @ goes in quotes",
    "'`'": "text that starts with ` goes in quotes",
    "unexpected end of stream": "a quote or a bracket is not closed",
    "expected ',' or '}'": "a brace is not closed, or a comma is missing",
    "expected ',' or ']'": "a bracket is not closed, or a comma is missing",
    "expected <block end>": "the entries of a section start in the same column",
}
_BOOLEANS = frozenset({"yes", "no", "on", "off", "y", "n"})
"""Of YAML 1.1: text here, something else to other readers."""
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
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RecipeError("is UTF-16 or UTF-32 text, expected UTF-8", place=f"{path}:1:1", hint="save it as UTF-8")
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"larger than {MAX_BYTES // 1024} KiB, which no recipe needs", place=f"{path}:1:1")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        place = _place_of(raw[: exc.start].decode("utf-8", "replace"), str(path))
        raise RecipeError(
            f"the byte 0x{raw[exc.start]:02x} is not UTF-8 text", place=place, hint="save it as UTF-8"
        ) from exc
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Parse YAML text; `name` is what errors call it. Raises RecipeError."""
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{name}:1:1"
        raise RecipeError(f"not YAML: {exc.problem or exc.context}", place=place, hint=_hint(str(exc.problem))) from exc
    except ReaderError as exc:
        place = _place_of(text[: exc.position], name)
        raise RecipeError(f"the character U+{int(exc.character):04X} is not allowed", place=place) from exc
    except (ValueError, OverflowError) as exc:  # PyYAML 6.0.3: an escape above U+10FFFF, a version of 5000 digits
        raise RecipeError("not YAML: a number in an escape or a directive is too large", place=f"{name}:1:1") from exc
    return Document(name, builder.value, {(): f"{name}:1:1", **builder.places})


def _place_of(before: str, name: str) -> str:
    """The place that comes right after this text."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{name}:{line}:{column}"


def _hint(problem: str) -> str | None:
    """What usually is behind one of PyYAML's problems."""
    for words, hint in _HINTS.items():
        if words in problem:
            return hint
    return None


def scalar(text: str) -> Any:
    """A plain YAML 1.2 scalar: null, true/false, an integer, a float, or the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def inline(value: Any) -> str:
    """A value as YAML on one line that `parse` reads back; text is quoted where it could be read as something else.

    Only JSON's types, keys of mappings are text.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inline(key)}: {inline(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and scalar(value) == value and value.lower() not in _BOOLEANS:
        return value
    return quoted(value, most=None)


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
            raise self._error(event, f"the tag {quoted(event.tag)} is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            if _SURROGATE.search(event.value):
                raise self._error(event, "half of a surrogate pair is no text")
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
            raise self._error(event, f"the key {quoted(event.value)} stands twice")
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
