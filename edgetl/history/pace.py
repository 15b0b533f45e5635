"""How quick the machine was: the yardstick beside a measurement, held against what it took on that machine before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from edgetl.history.record import Record, yardstick_of
from edgetl.results.latency import Machine

__all__ = ["SLOW", "one_yardstick", "slow"]

SLOW = 1.05
"""A machine that takes so many times as long for its yardstick as it has done is slow, and times of it are noisy."""


def one_yardstick(records: Sequence[Record]) -> bool:
    """Whether all have a yardstick and it is the same work, so that their times can be divided by it."""
    return all(each.yardstick_ms for each in records) and len({each.row["yardstick"] for each in records}) == 1


def slow(row: Mapping[str, Any], machine: Machine, earlier: Sequence[Record]) -> str:
    """That the machine was slower while a latency row was measured than in its quickest earlier measurement; "" where not.

    Nor where that is not known: without earlier measurements of this machine, with the same yardstick.
    """
    now = yardstick_of(row)
    measured: dict[str, list[float]] = defaultdict(list)
    for each in earlier:
        if each.yardstick_ms and each.row["yardstick"] == row.get("yardstick") and _alike(each.machine, machine):
            measured[each.measurement].append(each.yardstick_ms)
    if not measured or now is None:
        return ""
    before = min(median(times) for times in measured.values())
    if now <= SLOW * before:
        return ""
    return f"the machine was slower than it has been: its yardstick took {now:.3g} ms, {before:.3g} at best"


def _alike(one: Machine, other: Machine) -> bool:
    """A kernel that takes some megabytes more makes no other machine."""
    return replace(one, memory_gb=other.memory_gb) == other
