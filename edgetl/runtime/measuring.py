"""Latency of several models on one device, measured so that they can be compared.

Every model sits in a process of its own (`workers`), all are loaded before the clock starts, and they are timed in
rounds: each round runs every worker once, in a new random order. A slow minute of the machine then falls on all of them
alike, and the medians of one round can be divided by each other. Only one worker runs at a time.

The first runs of a worker's turn find cold caches and a sleeping core, because the others ran in between; they are not
counted. What is counted is a model that is in use.

Where a limit of `measurement` is exceeded for one of them, all are measured again: rows of different attempts cannot be
divided by each other. The attempt with the fewest noisy rows is reported, and of these the one whose runs vary least.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .golden import Known, difference
from .measurement import Measurement, Mode, Taken, summary
from .states import between, states
from .subjects import Failure, Subject, subjects, well
from .workers import Running, Worker

Advance = Callable[[str, int, int], None]
STEADY = 0.02
"""Warm when the medians of two windows that follow each other differ by less than this share."""
_PARTS = ("preprocess_ms", "postprocess_ms", "whole_ms")


@dataclass(frozen=True)
class Effort:
    """How long to measure each worker.

    rounds: turns of each worker. runs, seconds: at least so many timed runs and so much timed time together.
    limit_s: a slow model gets fewer runs instead of more time than this.
    warm_up_s, warm_up_limit_s: untimed, before the first round: at least, and at most where it does not become steady.
    attempts: how often at most to measure, as long as it is noisy.
    spawns: processes started to say how long a cold start takes.
    pictures: whole calls in each round, from a picture to an answer.
    """

    rounds: int
    runs: int
    seconds: float
    limit_s: float
    warm_up_s: float
    warm_up_limit_s: float = 0.0
    attempts: int = 1
    spawns: int = 1
    pictures: int = 0


EFFORTS: dict[Mode, Effort] = {
    "quick": Effort(10, 100, 0.2, 8.0, 0.3, warm_up_limit_s=1.0, attempts=2, spawns=1, pictures=2),
    "full": Effort(32, 1024, 60.0, float("inf"), 1.0, warm_up_limit_s=15.0, attempts=3, spawns=5, pictures=8),
}


def measure(
    plan: Sequence[Worker],
    mode: Mode = "quick",
    seed: int = 0,
    advance: Advance = lambda label, done, total: None,
    effort: Effort | None = None,
    known: Mapping[str, Known] | None = None,
) -> list[Measurement | Failure]:
    """Measure all workers of `plan` against each other.

    Args:
        plan: what to start; names must differ.
        mode: quick takes at least 100 runs, a slow model fewer within 8 s; full at least 1024 runs and 60 s. Both are of one
            worker in one attempt, of which there are up to two (quick) or three while it is noisy.
        seed: of the order within the rounds.
        advance: told the label, the rounds done and all rounds.
        effort: instead of the mode's.
        known: by the worker's name, what its artefact must compute; one that computes something else is not timed.

    Returns:
        One result a worker, in the order of `plan`: a failure where it died, hung, misspoke or computes something else.
    """
    effort, order = effort or EFFORTS[mode], random.Random(seed)
    with subjects(plan) as those:
        for subject in well(those):
            if expected := (known or {}).get(subject.worker.name):
                with subject.failing():
                    subject.difference = difference(subject.running, expected)
        taken, attempts = _quietest(those, effort, order, advance)
        whole = _whole_calls(those, effort, order, known or {})
        cold = _cold_starts(those, effort, order, advance)
        peaks: dict[str, float | None] = {}
        for subject in well(those):
            with subject.failing():
                peaks[subject.worker.name] = subject.running.quit()
    results: list[Measurement | Failure] = []
    for subject in those:
        name = subject.worker.name
        results.append(
            subject.failure
            or summary(
                subject.worker,
                mode,
                subject.ready,
                taken[name],
                attempts=attempts,
                peak_rss_mb=peaks[name],
                golden_difference=subject.difference,
                cold_ms=float(np.median(cold[name])) if cold[name] else None,
                spawns=len(cold[name]),
                **whole.get(name, {}),
            )
        )
    return results


def _quietest(
    those: Sequence[Subject], effort: Effort, order: random.Random, advance: Advance
) -> tuple[dict[str, Taken], int]:
    """What the quietest attempt took down, by the worker's name, and how many there were."""
    tried: list[dict[str, Taken]] = []
    while True:
        label = "measuring" if not tried else f"measuring again ({len(tried) + 1} of {effort.attempts}), it was noisy"
        tried.append(_attempt(those, effort, order, partial(advance, label)))
        noisy = any(tried[-1][subject.worker.name].noise()[0] for subject in well(those))
        if not noisy or len(tried) >= effort.attempts:
            break

    def loudness(attempt: Mapping[str, Taken]) -> tuple[int, float]:
        noises = [attempt[subject.worker.name].noise() for subject in well(those)]
        return sum(bool(words) for words, _ in noises), sum(variation for _, variation in noises)

    return min(tried, key=loudness), len(tried)


def _attempt(
    those: Sequence[Subject], effort: Effort, order: random.Random, advance: Callable[[int, int], None]
) -> dict[str, Taken]:
    """Warm up, and time all rounds."""
    taken = {subject.worker.name: Taken() for subject in those}
    counts: dict[str, int] = {}
    for subject in well(those):
        with subject.failing():
            counts[subject.worker.name] = _warm_up(subject.running, effort, taken[subject.worker.name])
    before = states(well(those))
    turns = 0
    while left := well(those):
        if turns >= effort.rounds and all(_enough(taken[subject.worker.name].rounds, effort) for subject in left):
            break
        for subject in order.sample(left, len(left)):
            with subject.failing():
                taken[subject.worker.name].rounds.append(turn(subject.running, counts[subject.worker.name]))
                _beside(subject.running, taken[subject.worker.name])
        turns += 1
        advance(min(turns, effort.rounds), effort.rounds)
    for name, around in between(before, states(well(those))).items():
        taken[name].around = around
    return taken


def _warm_up(running: Running, effort: Effort, taken: Taken) -> int:
    """Run untimed until steady; the number of runs in each of its turns."""
    start = time.perf_counter()
    times = running.run(2)
    before: float | None = None
    while (spent := time.perf_counter() - start) < max(effort.warm_up_s, effort.warm_up_limit_s):
        if taken.steady and spent >= effort.warm_up_s:
            break
        times = running.run(max(1, min(100, round(100.0 / max(min(times), 0.01)))))
        median = float(np.median(times))
        taken.steady = before is not None and abs(median - before) < STEADY * before
        before = median
    taken.warm_up_s = round(time.perf_counter() - start, 3)
    median = max(float(np.median(times)), 1e-3)
    wanted = max(effort.runs, round(effort.seconds * 1000.0 / median))
    affordable = effort.limit_s * 1000.0 / median
    return max(1, -(-int(min(wanted, affordable)) // effort.rounds))


def turn(running: Running, count: int) -> list[float]:
    """Milliseconds of `count` runs, without those that settle it after the others ran."""
    settling = 1 + count // 10 if count > 1 else 0  # a model that slow does not notice cold caches
    return running.run(settling + count)[settling:]


def _beside(running: Running, taken: Taken) -> None:
    """The yardstick, in the process and the moment of a round; what is no Python process knows none."""
    said = running.ask("yardstick")
    if times := said.get("times"):
        taken.yardstick = str(said.get("kind"))
        taken.yardsticks.append(float(np.median(times)))


def _enough(rounds: list[list[float]], effort: Effort) -> bool:
    """Whether a worker has its runs and its time, or all it may have."""
    spent = sum(map(sum, rounds)) / 1000.0
    return (sum(map(len, rounds)) >= effort.runs and spent >= effort.seconds) or effort.limit_s < float("inf")


def _whole_calls(
    those: Sequence[Subject], effort: Effort, order: random.Random, known: Mapping[str, Known]
) -> dict[str, dict[str, Any]]:
    """By the worker's name, medians of whole calls and their parts, in rounds too; without those that cannot say."""
    heard: dict[str, list[Mapping[str, Any]]] = {}
    for _ in range(effort.rounds if effort.pictures else 0):
        left = [subject for subject in well(those) if subject.worker.name in known]
        for subject in order.sample(left, len(left)):
            about = known[subject.worker.name]
            with subject.failing():
                said = subject.running.ask("whole", about.bundle, about.artifact, effort.pictures)
                if all(said.get(part) for part in _PARTS):
                    heard.setdefault(subject.worker.name, []).append(said)
    return {
        name: {
            "picture": answers[0].get("picture"),
            **{part: float(np.median([time for said in answers for time in said[part]])) for part in _PARTS},
        }
        for name, answers in heard.items()
    }


def _cold_starts(
    those: Sequence[Subject], effort: Effort, order: random.Random, advance: Advance
) -> dict[str, list[float]]:
    """By the worker's name, milliseconds from the start of a process to its first answer."""
    starts: dict[str, list[float | None]] = {subject.worker.name: [subject.started_ms] for subject in those}
    for number in range(1, effort.spawns):
        advance("starting processes", number, effort.spawns)
        left = well(those)
        for subject in order.sample(left, len(left)):
            with subject.failing():
                starts[subject.worker.name].append(subject.start_another())
    return {name: [each for each in found if each is not None] for name, found in starts.items()}
