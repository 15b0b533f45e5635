"""How quick the machine was: what a yardstick took beside the rounds of a measurement (`edgetl.runtime.yardstick`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from edgetl.history.record import Record
from edgetl.results.latency import Machine

__all__ = ["SLOW", "Pace", "Paces", "pace", "slow"]

SLOW = 1.05
"""A machine that takes so many times as long for its yardstick as it has done is slow, and times of it are noisy."""


@dataclass(frozen=True)
class Pace:
    """Milliseconds of the yardstick beside each round: the median of all processes that took turns.

    The work differs by some percent from process to process, and the machine is the same for all of them. kind: what work.
    """

    kind: str
    rounds: tuple[float, ...]

    @property
    def ms(self) -> float:
        """The median round."""
        return median(self.rounds)


def pace(rows: Sequence[Mapping[str, Any]]) -> Pace | None:
    """Of latency rows whose rounds ran beside each other; None where no processor that computed a model had a yardstick."""
    known = [
        row for row in rows if row.get("yardstick_ms") and row["accelerator"] == "cpu" and min(row["yardstick_ms"]) > 0
    ]
    if not known:
        return None
    kind = known[-1]["yardstick"]
    beside = [row["yardstick_ms"] for row in known if row["yardstick"] == kind]
    return Pace(kind, tuple(median(times) for times in zip(*beside, strict=False)))  # one that died has fewer rounds


class Paces:
    """Those of many measurements."""

    def __init__(self, records: Sequence[Record]) -> None:
        rows: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
        for each in records:
            rows[_beside(each)].append(each.row)
        self._known = {key: pace(those) for key, those in rows.items()}

    def of(self, record: Record) -> Pace | None:
        """Of one of these records; None where another processor than the yardstick's computed the model."""
        return self._known[_beside(record)] if record.row["accelerator"] == "cpu" else None


def slow(rows: Sequence[Mapping[str, Any]], machine: Machine, earlier: Sequence[Record]) -> str:
    """That the machine was slower than in the quickest tenth of its earlier measurements; "" where not.

    Those of the same target and thread count. Not the quickest of all: the more there are, the luckier is the luckiest.

    Nor where that is not known: without earlier measurements there, with the same yardstick.

    Args:
        rows: latency rows of one target and thread count, at least one.
    """
    now, wanted = pace(rows), (rows[0]["target"], rows[0]["threads"], replace(machine, memory_gb=0))
    there = [each for each in earlier if _where(each) == wanted]
    known = Paces(there)
    found = {each.measurement: its.ms for each in there if (its := known.of(each)) and now and its.kind == now.kind}
    if not now or not found:
        return ""
    quick = float(np.quantile(list(found.values()), 0.1))
    if now.ms <= SLOW * quick:
        return ""
    return f"the machine was slower than it has been: its yardstick took {now.ms:.3g} ms, {quick:.3g} when it was quick"


def _beside(record: Record) -> tuple[Any, ...]:
    return (record.measurement, *_where(record))


def _where(record: Record) -> tuple[Any, ...]:
    """A kernel that takes some megabytes more makes no other machine."""
    return record.row["target"], record.row["threads"], replace(record.machine, memory_gb=0)
