"""What the page says of each target: who was how quick there, and how accurate it is at that speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.evidence.intervals import Interval
from edgetl.report.view import Entry, octets, plain, shortened, way
from edgetl.results.latency import Latency, Machine
from edgetl.results.report import Report, ReportedModel

__all__ = ["Place", "Point", "Timed", "places"]


@dataclass(frozen=True)
class Timed:
    """A network or a file, and one of its rows on a target.

    accuracy: None where the row computed in a precision whose accuracy nobody measured. way: as `view.way` says it.
    """

    name: str
    is_model: bool
    row: Latency
    bytes: int
    accuracy: Interval | None
    way: Sequence[str]


@dataclass(frozen=True)
class Point:
    """Of the accuracy against latency plot: one image at a time; backend is pytorch, eager, for a network that is no file."""

    name: str
    backend: str
    precision: str
    p50_ms: float
    p90_ms: float
    accuracy: Interval


@dataclass(frozen=True)
class Place:
    """A target. machine: None where the report does not know it. threads: of all points, as few as were measured."""

    target: str
    machine: Machine | None
    rows: Sequence[Timed]
    threads: int
    points: Sequence[Point]

    @property
    def origins(self) -> list[str]:
        """measured, emulated, estimated: which of these the rows are."""
        return sorted({timed.row.origin for timed in self.rows})


def places(report: Report) -> list[Place]:
    """All targets that anything was measured on, in the order of the report; files come before networks."""
    entries: tuple[Entry, ...] = (*report.artifacts, *report.models)
    names = dict.fromkeys(row.target for entry in entries for row in entry.latency)
    return [_place(report, name, entries) for name in names]


def _place(report: Report, target: str, entries: Sequence[Entry]) -> Place:
    rows = [_timed(entry, row) for entry in entries for row in entry.latency if row.target == target]
    threads = min(timed.row.threads for timed in rows)
    points = [
        _point(entry, min(here, key=lambda row: row.p50_ms))
        for entry in entries
        if (here := [row for row in entry.latency if (row.target, row.threads) == (target, threads) and plain(row)])
    ]
    return Place(target, report.environment.targets.get(target), rows, threads, points)


def _timed(entry: Entry, row: Latency) -> Timed:
    accuracy = None if shortened(row) else entry.metrics["balanced_accuracy"]
    return Timed(entry.name, isinstance(entry, ReportedModel), row, octets(entry), accuracy, way(row))


def _point(entry: Entry, row: Latency) -> Point:
    return Point(
        name=entry.name,
        backend="pytorch" if isinstance(entry, ReportedModel) else entry.backend,
        precision="fp32" if isinstance(entry, ReportedModel) else entry.precision,
        p50_ms=row.p50_ms,
        p90_ms=row.p90_ms,
        accuracy=entry.metrics["balanced_accuracy"],
    )
