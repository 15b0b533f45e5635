"""Latency under load that lasts: what a fan, a battery and a hot case make of it, minute by minute.

All workers take turns of about a second, without a pause, so that the machine is as busy in the last minute as in the first,
and all models meet the same heat. Over half an hour a phone can double its time, and models can change places.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .golden import Known, difference
from .measuring import Advance, turn
from .states import states, surroundings
from .subjects import Failure, Subject, subjects, well
from .surroundings import Surroundings
from .workers import Running, Worker

MINUTE_S = 60.0
TURN_MS = 1000.0
MARGIN = 0.02
"""One is quicker than another one when its median is smaller by more than this share."""


@dataclass(frozen=True)
class Minute:
    """Of one worker in one minute."""

    runs: int
    p50_ms: float
    p90_ms: float


@dataclass(frozen=True)
class Lasting:
    """One worker's minutes. ratio: the median of the last one over that of the first one."""

    name: str
    threads: int
    minutes: tuple[Minute, ...]
    ratio: float
    described: dict[str, str]


@dataclass(frozen=True)
class Sustained:
    """What lasted.

    machine: before the first minute and after each. ranking: names by their median in each minute, the quickest first.
    overtaken: (a, b) where a was quicker in the first minute and b in a later one, both by more than `MARGIN`.
    """

    minutes: int
    results: tuple[Lasting, ...]
    failures: tuple[Failure, ...]
    machine: tuple[Surroundings | None, ...]
    ranking: tuple[tuple[str, ...], ...]
    overtaken: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def sustain(
    plan: Sequence[Worker],
    minutes: int,
    seed: int = 0,
    advance: Advance = lambda label, done, total: None,
    known: Mapping[str, Known] | None = None,
    minute_s: float = MINUTE_S,
    names: Sequence[str] | None = None,
) -> Sustained:
    """Keep all workers of `plan` busy, in turns, for so many minutes.

    Args:
        plan, seed, known: as `measure` takes them.
        advance: told the label, the minutes done and all.
        minute_s: seconds of a minute.
        names: what the results call them; as the workers without it.
    """
    order, shown = random.Random(seed), dict(zip((worker.name for worker in plan), names or (), strict=False))
    with subjects(plan) as those:
        counts: dict[str, int] = {}
        for subject in well(those):
            with subject.failing():
                if expected := (known or {}).get(subject.worker.name):
                    difference(subject.running, expected)
                counts[subject.worker.name] = _runs(subject.running, min(TURN_MS, 250 * minute_s))
        times: dict[str, list[list[float]]] = {name: [] for name in counts}
        machine, start = [_machine(those)], time.monotonic()
        for minute in range(1, minutes + 1):
            for name, heard in _minute(those, counts, order, start + minute * minute_s).items():
                times[name].append(heard)
            machine.append(_machine(those))
            advance("sustained load", minute, minutes)
        ended = [(shown.get(subject.worker.name, subject.worker.name), subject) for subject in those]
        results = tuple(
            _lasting(name, subject, times[subject.worker.name]) for name, subject in ended if not subject.failure
        )
        failures = tuple(replace(subject.failure, name=name) for name, subject in ended if subject.failure)
    ranking = tuple(_ranking(results, minute) for minute in range(minutes))
    return Sustained(minutes, results, failures, tuple(machine), ranking, _overtaken(results))


def _runs(running: Running, turn_ms: float) -> int:
    """How many take so long by the clock here: each few may be a start of their own, which their times do not tell."""
    begun = time.perf_counter()
    settled = float(np.median(running.run(10)))
    return max(1, round(turn_ms / max(settled, 1e3 * (time.perf_counter() - begun) / 10, 1e-3)))


def _minute(
    those: Sequence[Subject], counts: Mapping[str, int], order: random.Random, end: float
) -> dict[str, list[float]]:
    """Milliseconds of each run until then, by the worker's name; each has at least one turn."""
    times: dict[str, list[float]] = {name: [] for name in counts}
    while left := well(those):
        if time.monotonic() >= end and all(times[subject.worker.name] for subject in left):
            break
        for subject in order.sample(left, len(left)):
            with subject.failing():
                times[subject.worker.name] += turn(subject.running, counts[subject.worker.name])
    return times


def _machine(those: Sequence[Subject]) -> Surroundings | None:
    return next((surroundings(state) for state in states(well(those)[:1]).values()), None)


def _lasting(name: str, subject: Subject, times: Sequence[Sequence[float]]) -> Lasting:
    minutes = tuple(Minute(len(heard), *(float(value) for value in np.percentile(heard, [50, 90]))) for heard in times)
    described = {key: str(value) for key, value in subject.ready.items() if key in ("runtime", "version")}
    ratio = minutes[-1].p50_ms / minutes[0].p50_ms
    return Lasting(name, subject.worker.threads, minutes, ratio, described)


def _ranking(results: Sequence[Lasting], minute: int) -> tuple[str, ...]:
    return tuple(result.name for result in sorted(results, key=lambda result: result.minutes[minute].p50_ms))


def _overtaken(results: Sequence[Lasting]) -> tuple[tuple[str, str], ...]:
    def quicker(one: Minute, other: Minute) -> bool:
        return one.p50_ms < (1 - MARGIN) * other.p50_ms

    return tuple(
        (a.name, b.name)
        for a in results
        for b in results
        if quicker(a.minutes[0], b.minutes[0])
        and any(quicker(late, early) for early, late in zip(a.minutes[1:], b.minutes[1:], strict=True))
    )
