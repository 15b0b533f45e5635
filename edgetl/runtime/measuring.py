"""Latency of several models on one device, measured so that they can be compared.

Every model sits in a process of its own (`workers`), all are loaded before the clock starts, and they are timed in
rounds: each round runs every worker once, in a new random order. A slow minute of the machine then falls on all of them
alike, and the medians of one round can be divided by each other. Only one worker runs at a time.

The first runs of a worker's turn find cold caches and a sleeping core, because the others ran in between; they are not
counted. What is counted is a model that is in use.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from .golden import Known, difference
from .subjects import Failure, Subject, subjects, well
from .workers import Running, Worker

Mode = Literal["quick", "full"]

SPREAD_LIMIT = 0.2
"""Noisy when the middle half of the runs spans more than this share of the median."""
DRIFT_LIMIT = 0.1
"""Noisy when the medians of the first and the last half of the rounds differ by more than this share of the median."""


@dataclass(frozen=True)
class Effort:
    """How long to measure each worker.

    rounds: turns of each worker. runs, seconds: at least so many timed runs and so much timed time together.
    limit_s: a slow model gets fewer runs instead of more time than this. warm_up_s: untimed, before the first round.
    """

    rounds: int
    runs: int
    seconds: float
    limit_s: float
    warm_up_s: float


EFFORTS: dict[Mode, Effort] = {
    "quick": Effort(rounds=10, runs=100, seconds=0.2, limit_s=8.0, warm_up_s=0.3),
    "full": Effort(rounds=32, runs=1024, seconds=60.0, limit_s=float("inf"), warm_up_s=3.0),
}


@dataclass(frozen=True)
class Measurement:
    """What was measured of one worker; times in ms of one call with `batch` images, memory in MB (10**6 bytes).

    noisy, noise: whether `SPREAD_LIMIT` or `DRIFT_LIMIT` was exceeded, and which; "" when quiet.
    round_ms: median of each round; round i of all workers of one `measure` ran within the same moments.
    described: runtime, version, compute_precision, accelerator, placement, as the worker says.
    """

    name: str
    mode: Mode
    batch: int
    threads: int
    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    first_ms: float
    load_ms: float
    peak_rss_mb: float | None
    noisy: bool
    noise: str
    round_ms: tuple[float, ...]
    described: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """One flat object, `described` unpacked into it."""
        content = asdict(self)
        return {**content.pop("described"), **content, "round_ms": list(self.round_ms)}


def measure(
    plan: Sequence[Worker],
    mode: Mode = "quick",
    seed: int = 0,
    advance: Callable[[str, int, int], None] = lambda label, done, total: None,
    effort: Effort | None = None,
    known: Mapping[str, Known] | None = None,
) -> list[Measurement | Failure]:
    """Measure all workers of `plan` against each other.

    Args:
        plan: what to start; names must differ.
        mode: quick takes about 100 runs and at most about 10 s a worker, full at least 1024 runs and 60 s.
        seed: of the order within the rounds.
        advance: told the label, the rounds done and all rounds.
        effort: instead of the mode's.
        known: by the worker's name, what its artefact must compute; one that computes something else is not timed.

    Returns:
        One result a worker, in the order of `plan`: a failure where it died, hung, misspoke or computes something else.
    """
    effort = effort or EFFORTS[mode]
    with subjects(plan) as those:
        for subject in well(those):
            if expected := (known or {}).get(subject.worker.name):
                with subject.failing():
                    subject.difference = difference(subject.running, expected)
        rounds = _rounds(those, effort, random.Random(seed), advance)
        peaks: dict[str, float | None] = {}
        for subject in well(those):
            with subject.failing():
                peaks[subject.worker.name] = subject.running.quit()
    return [
        subject.failure or _summary(subject.worker, mode, subject.ready, peaks[name], rounds[name])
        for subject in those
        for name in [subject.worker.name]
    ]


def _rounds(
    those: Sequence[Subject], effort: Effort, order: random.Random, advance: Callable[[str, int, int], None]
) -> dict[str, list[list[float]]]:
    """Milliseconds of each run of each round, by the worker's name."""
    counts: dict[str, int] = {}
    for subject in well(those):
        with subject.failing():
            counts[subject.worker.name] = _warm_up(subject.running, effort)
    rounds: dict[str, list[list[float]]] = {subject.worker.name: [] for subject in those}
    turns = 0
    while left := well(those):
        if turns >= effort.rounds and all(_enough(rounds[subject.worker.name], effort) for subject in left):
            break
        for subject in order.sample(left, len(left)):
            with subject.failing():
                rounds[subject.worker.name].append(_turn(subject.running, counts[subject.worker.name]))
        turns += 1
        advance("measuring", min(turns, effort.rounds), effort.rounds)
    return rounds


def _warm_up(running: Running, effort: Effort) -> int:
    """Run untimed until warm; the number of runs in each of its turns."""
    start = time.perf_counter()
    times = running.run(2)
    while time.perf_counter() - start < effort.warm_up_s:
        times = running.run(max(1, min(100, round(100.0 / max(min(times), 0.01)))))
    median = max(float(np.median(times)), 1e-3)
    wanted = max(effort.runs, round(effort.seconds * 1000.0 / median))
    affordable = effort.limit_s * 1000.0 / median
    return max(1, -(-int(min(wanted, affordable)) // effort.rounds))


def _turn(running: Running, count: int) -> list[float]:
    settling = 1 + count // 10 if count > 1 else 0  # a model that slow does not notice cold caches
    return running.run(settling + count)[settling:]


def _enough(rounds: list[list[float]], effort: Effort) -> bool:
    """Whether a worker has its runs and its time, or all it may have."""
    spent = sum(map(sum, rounds)) / 1000.0
    return (sum(map(len, rounds)) >= effort.runs and spent >= effort.seconds) or effort.limit_s < float("inf")


def _summary(
    worker: Worker, mode: Mode, ready: dict[str, Any], peak: float | None, rounds: list[list[float]]
) -> Measurement:
    times = np.concatenate([np.asarray(turn) for turn in rounds])
    medians = tuple(float(np.median(turn)) for turn in rounds)
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    noise = _noise(times, medians)
    return Measurement(
        name=worker.name,
        mode=mode,
        batch=worker.batch,
        threads=worker.threads,
        runs=len(times),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        first_ms=float(ready.pop("first_ms")),
        load_ms=float(ready.pop("load_ms")),
        peak_rss_mb=peak,
        noisy=bool(noise),
        noise=noise,
        round_ms=medians,
        described={key: str(value) for key, value in ready.items() if key != "ready"},
    )


def _noise(times: np.ndarray[Any, np.dtype[np.float64]], medians: tuple[float, ...]) -> str:
    low, middle, high = np.percentile(times, [25, 50, 75])
    half = len(medians) // 2
    drift = abs(np.median(medians[half:]) - np.median(medians[:half])) if half else 0.0
    said = []
    if (high - low) / middle > SPREAD_LIMIT:
        said.append(f"the middle half of the runs spans {(high - low) / middle:.0%} of the median")
    if drift / middle > DRIFT_LIMIT:
        said.append(f"the halves of the rounds differ by {drift / middle:.0%} of the median")
    return "; ".join(said)
