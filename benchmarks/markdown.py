"""What the pages of results are made of: tables, numbers with their spread, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def interval(metric: Mapping[str, float], digits: int = 3) -> str:
    """value [low, high]."""
    return f"{metric['value']:.{digits}f} [{metric['low']:.{digits}f}, {metric['high']:.{digits}f}]"


def points(metric: Mapping[str, float], digits: int = 1) -> str:
    """+value [+low, +high] of a difference, in points of a hundred."""
    value, low, high = (f"{100 * metric[name]:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def ratio(quotients: Mapping[str, float], digits: int = 2) -> str:
    """median [smallest, largest]."""
    return f"{quotients['median']:.{digits}f} [{quotients['low']:.{digits}f}, {quotients['high']:.{digits}f}]"


def made_by(result: Mapping[str, Any]) -> str:
    """Command, commit and machine of a result."""
    machine = result["machine"]
    processor = machine.get("processor") or machine.get("cpu")
    changed = " with uncommitted changes" if result.get("uncommitted") else ""
    return f"`{result['command']}` at {result['commit'][:10]}{changed}, {processor}, {machine['cores']} cores.\n"
