"""Numbers as a person reads them; the page and the model card say them in the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgetl.evidence.intervals import Interval
from edgetl.results.training import Candidate
from edgetl.runtime.backends import BACKENDS

__all__ = [
    "behind",
    "bounds",
    "count",
    "duration",
    "listed",
    "milliseconds",
    "percent",
    "plain",
    "points",
    "short_hash",
    "size",
    "title",
    "with_bounds",
]

_TITLES = {"pytorch": "PyTorch eager", "teachers": "Average of the teachers"}


def percent(share: float | None, digits: int = 1) -> str:
    """0.6712 -> "67.1%"."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def bounds(metric: Interval | None) -> str:
    """The interval of a share: "[61.0, 72.5]"; empty where there is none."""
    return "" if metric is None else f"[{100 * metric.low:.1f}, {100 * metric.high:.1f}]"


def with_bounds(metric: Interval | None) -> str:
    """A share and its interval: "67.1% [61.0, 72.5]"."""
    return "–" if metric is None else f"{percent(metric.value)} {bounds(metric)}"


def points(difference: Interval) -> str:
    """A difference of shares and its interval: "-1.2 points [-3.0, +0.6]"."""
    low, value, high = (100 * part for part in (difference.low, difference.value, difference.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def behind(candidate: Candidate) -> str:
    """How far a candidate is behind the best one, and how sure that is: "1.0 points, standard error 0.4"."""
    if candidate.behind == 0:
        return "the best"
    return f"{100 * candidate.behind:.1f} points, standard error {100 * candidate.standard_error:.1f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits, at most two decimals: "0.48 ms", "3.21 ms", "48.2 ms", "1,210 ms"."""
    if value is None:
        return "–"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} ms"


def size(octets: float | None) -> str:
    """Bytes in decimal units: "3.4 MB"."""
    if octets is None:
        return "–"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if octets >= factor:
            return f"{octets / factor:.1f} {unit}"
    return f"{octets:.0f} B"


def count(number: float | None) -> str:
    """Large counts with a unit, small ones with separators: "217.6 M", "8,493"."""
    if number is None:
        return "–"
    for unit, factor in (("G", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """ "0.4 s", "42 s", "3 min 20 s", "2 h 05 min"."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def short_hash(digest: str | None) -> str:
    """The first 12 digits, enough to tell files apart by eye."""
    return (digest or "–")[:12]


def title(name: str) -> str:
    """Display name of a backend or a model: "openvino" -> "OpenVINO", "teacher" -> "Teacher"."""
    if name in BACKENDS:
        return BACKENDS[name].title
    return _TITLES.get(name, name[:1].upper() + name[1:].replace("_", " "))


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else "none"


def plain(value: Any) -> str:
    """A value of the environment as text: nested structures flat, floats short, null as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(part)}" for key, part in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(part) for part in value) or "–"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return str(value)
