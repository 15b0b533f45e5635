"""What a page may say, checked word by word: it comes from outside."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Hello", "Loaded", "document", "hello", "loaded", "peak", "rows", "times"]

PROTOCOL = 1
FORMATS = ("onnx", "tflite")
_LONGEST_MS = 3.6e6


@dataclass(frozen=True)
class Hello:
    """A page that opened: agent, the browser and its version; formats: which files it runs."""

    agent: str
    cores: int
    memory_gb: int
    system: str
    machine: str
    formats: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """An artefact that a page holds ready. timer_ms: the smallest step of its clock."""

    load_ms: float
    first_ms: float
    timer_ms: float
    runtime: str
    version: str
    compute_precision: str
    accelerator: str
    placement: str


def document(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: it is none, a key appears twice in it, or a number is none that JSON knows.
    """

    def constant(name: str) -> float:
        raise ValueError(f"{name} is no number of JSON")

    try:
        found = json.loads(body.decode(), object_pairs_hook=_no_twins, parse_constant=constant)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {type(found).__name__}")
    return found


def hello(content: Mapping[str, Any]) -> Hello:
    """The first thing that a page says. Raises ValueError."""
    _only(content, "protocol", "agent", "cores", "memory_gb", "system", "machine", "formats")
    if content["protocol"] != PROTOCOL or isinstance(content["protocol"], bool):
        raise ValueError(f"protocol: expected {PROTOCOL}")
    formats = content["formats"]
    if not isinstance(formats, list) or not formats or not all(each in FORMATS for each in formats):
        raise ValueError(f"formats: expected a list of {', '.join(FORMATS)}, one at least")
    return Hello(
        agent=_text(content, "agent"),
        cores=_whole(content, "cores", 1, 4096),
        memory_gb=_whole(content, "memory_gb", 0, 65536),
        system=_text(content, "system"),
        machine=_text(content, "machine"),
        formats=tuple(dict.fromkeys(formats)),
    )


def loaded(content: Mapping[str, Any]) -> Loaded:
    """The answer to `load`. Raises ValueError."""
    words = ("runtime", "version", "compute_precision", "accelerator", "placement")
    _only(content, "load_ms", "first_ms", "timer_ms", *words)
    load_ms, first_ms, timer_ms = (
        _number(content[name], name, 0.0, _LONGEST_MS) for name in ("load_ms", "first_ms", "timer_ms")
    )
    return Loaded(load_ms, first_ms, timer_ms, *(_text(content, name) for name in words))


def times(count: int) -> Callable[[Mapping[str, Any]], list[float]]:
    """What checks the answer to `run`: so many times, each over 0."""

    def check(content: Mapping[str, Any]) -> list[float]:
        _only(content, "times_ms")
        found = _list(content["times_ms"], "times_ms", count)
        values = [_number(time, "times_ms", 0.0, _LONGEST_MS) for time in found]
        if min(values) <= 0:
            raise ValueError("times_ms: a run took no time: the page's clock is too coarse for this model")
        return values

    return check


def rows(count: int) -> Callable[[Mapping[str, Any]], list[list[float]]]:
    """What checks the answer to `outputs`: so many rows of probabilities, equally long."""

    def check(content: Mapping[str, Any]) -> list[list[float]]:
        _only(content, "rows")
        found = _list(content["rows"], "rows", count)
        values = [[_number(each, "rows", 0.0, 1.0) for each in _list(row, "rows", None)] for row in found]
        if len({len(row) for row in values}) != 1:
            raise ValueError("rows: expected equally long ones")
        return values

    return check


def peak(content: Mapping[str, Any]) -> float | None:
    """The answer to `quit`. Raises ValueError."""
    _only(content, "peak_mb")
    return None if content["peak_mb"] is None else _number(content["peak_mb"], "peak_mb", 0.0, 1e6)


def _only(content: Mapping[str, Any], *names: str) -> None:
    if missing := sorted(set(names) - set(content)):
        raise ValueError(f"{', '.join(missing)}: missing")
    if unknown := sorted(set(content) - set(names)):
        raise ValueError(f"{', '.join(unknown)[:80]!a}: unknown")


def _list(value: Any, name: str, count: int | None) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= 100_000 or count not in (None, len(value)):
        raise ValueError(f"{name}: expected {count or 'some'} values")
    return value


def _number(value: Any, name: str, low: float, high: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high or math.isnan(value):
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}")
    return float(value)


def _whole(content: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = content[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}: expected a whole number from {low} to {high}")
    return value


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content[name]
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or not value.isprintable():
        raise ValueError(f"{name}: expected 1 to 200 printable characters")
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return content
