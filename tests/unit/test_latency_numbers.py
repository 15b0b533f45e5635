"""The arithmetic of measuring, on workers whose times are known: no process, no clock."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from edgetl.runtime import measuring, workers
from edgetl.runtime.measuring import DRIFT_LIMIT, SPREAD_LIMIT, Effort, Measurement, measure
from edgetl.runtime.workers import Command

QUICK = Effort(rounds=10, runs=100, seconds=0.2, limit_s=8.0, warm_up_s=0.0)


class FakeRunning:
    """A worker whose command is the times of its runs in ms, the last one for ever; counts what it is asked for."""

    log: list[tuple[str, int]]

    def __init__(self, worker: Command) -> None:
        self.worker, self.asked = worker, list[int]()
        *first, last = map(float, worker.argv)
        self._times = itertools.chain(first, itertools.repeat(last))

    def __enter__(self) -> FakeRunning:
        return self

    def __exit__(self, *error: object) -> None:
        FakeRunning.log.append((f"{self.worker.name} closed", 0))

    def ready(self) -> dict[str, Any]:
        FakeRunning.log.append((f"{self.worker.name} ready", 0))
        return {"ready": True, "load_ms": 3, "first_ms": 5, "runtime": "fake", "version": 2}

    def run(self, count: int) -> list[float]:
        self.asked.append(count)
        FakeRunning.log.append((self.worker.name, count))
        return list(itertools.islice(self._times, count))

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        return None

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        return {}

    def quit(self) -> float | None:
        return 12.5


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRunning.log = []
    monkeypatch.setattr(workers, "Process", FakeRunning)


def measured(plan: list[Command], *how: Any, **more: Any) -> list[Measurement]:
    """Where none fails."""
    results = measure(plan, *how, **more)
    assert all(isinstance(result, Measurement) for result in results), results
    return [result for result in results if isinstance(result, Measurement)]


def warmed(milliseconds: float, effort: Effort) -> tuple[int, list[int]]:
    """Runs in each turn, and what was run to find that out."""
    running = FakeRunning(Command("fake", (str(milliseconds),)))
    return measuring._warm_up(running, effort), running.asked


@pytest.mark.parametrize(
    ("milliseconds", "turn"),
    [
        (10.0, 10),  # 100 runs
        (2.0, 10),
        (1.0, 20),  # 0.2 s
        (0.5, 40),
        (80.0, 10),
        (100.0, 8),  # 8 s
        (1000.0, 1),
        (100_000.0, 1),
        (0.0, 20_000),  # below what the clock sees
    ],
)
def test_a_turn_has_its_share_of_the_runs_and_the_time_it_may_have(milliseconds: float, turn: int) -> None:
    assert warmed(milliseconds, QUICK) == (turn, [2])


@pytest.mark.parametrize(("runs", "turn"), [(100, 10), (101, 11), (109, 11), (110, 11), (111, 12)])
def test_all_turns_together_have_at_least_the_runs(runs: int, turn: int) -> None:
    assert warmed(10.0, Effort(rounds=10, runs=runs, seconds=0.0, limit_s=8.0, warm_up_s=0.0))[0] == turn


@pytest.mark.parametrize(
    ("milliseconds", "piece"), [(10.0, 10), (30.0, 3), (0.5, 100), (1.0, 100), (0.0, 100), (80.0, 1), (500.0, 1)]
)
def test_a_model_is_warmed_up_in_pieces_of_a_tenth_of_a_second(
    milliseconds: float, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 100.0, 100.25, 100.5])  # start, and before each piece
    monkeypatch.setattr("edgetl.runtime.measuring.time.perf_counter", lambda: next(clock))
    effort = Effort(rounds=10, runs=100, seconds=0.0, limit_s=8.0, warm_up_s=0.5)
    assert warmed(milliseconds, effort)[1] == [2, piece, piece]


@pytest.mark.parametrize(("count", "settling"), [(1, 0), (2, 1), (9, 1), (10, 2), (19, 2), (20, 3), (100, 11)])
def test_the_first_runs_of_a_turn_are_not_counted(count: int, settling: int) -> None:
    running = FakeRunning(Command("fake", tuple(map(str, range(1000)))))
    times = measuring._turn(running, count)
    assert running.asked == [settling + count]
    assert times == list(map(float, range(settling, settling + count)))


@pytest.mark.parametrize(
    ("rounds", "enough"),
    [
        ([[10.0] * 15, [10.0] * 15], True),
        ([[10.0] * 15, [10.0] * 14], False),  # a run is missing
        ([[5.0] * 30], False),  # half of the time is missing
        ([[5.0] * 60], True),
        ([[5.0] * 59], False),
    ],
)
def test_both_the_runs_and_the_time_are_wanted(rounds: list[list[float]], enough: bool) -> None:
    unlimited = Effort(rounds=1, runs=30, seconds=0.3, limit_s=math.inf, warm_up_s=0.0)
    assert measuring._enough(rounds, unlimited) is enough
    assert measuring._enough(rounds, Effort(rounds=1, runs=30, seconds=0.3, limit_s=8.0, warm_up_s=0.0))


def test_workers_start_one_after_the_other_and_run_in_rounds() -> None:
    advanced: list[tuple[str, int, int]] = []
    effort = Effort(rounds=3, runs=6, seconds=0.0, limit_s=8.0, warm_up_s=0.0)
    plan = [Command("a", ("1",)), Command("b", ("4",), threads=2, batch=3), Command("c", ("1",))]
    results = measured(plan, "quick", seed=0, advance=lambda *words: advanced.append(words), effort=effort)
    starts = [(f"{name} ready", 0) for name in "abc"] + [(name, 2) for name in "abc"]
    assert FakeRunning.log[:6] == starts
    turns = [name for name, count in FakeRunning.log[6:] if count]
    assert [sorted(turns[place : place + 3]) for place in (0, 3, 6)] == [["a", "b", "c"]] * 3
    assert len(turns) == 9
    assert {name for name, count in FakeRunning.log if not count and "closed" in name} == {f"{n} closed" for n in "abc"}
    assert advanced == [("measuring", 1, 3), ("measuring", 2, 3), ("measuring", 3, 3)]
    assert [result.name for result in results] == ["a", "b", "c"]
    assert results[1] == Measurement(
        name="b",
        mode="quick",
        batch=3,
        threads=2,
        runs=6,
        p50_ms=4.0,
        p90_ms=4.0,
        p99_ms=4.0,
        first_ms=5.0,
        load_ms=3.0,
        peak_rss_mb=12.5,
        noisy=False,
        noise="",
        round_ms=(4.0, 4.0, 4.0),
        described={"runtime": "fake", "version": "2"},
    )
    content = results[1].to_json()
    assert (content["runtime"], content["round_ms"]) == ("fake", [4.0, 4.0, 4.0])
    assert "described" not in content


def test_rounds_go_on_until_each_worker_has_its_time() -> None:
    advanced: list[int] = []
    effort = Effort(rounds=2, runs=2, seconds=0.01, limit_s=math.inf, warm_up_s=0.0)
    plan = [Command("steady", ("1",)), Command("faster once warm", ("5", "5", "1"))]
    steady, faster = measured(plan, effort=effort, advance=lambda label, done, total: advanced.append(done))
    assert (len(faster.round_ms), faster.runs) == (10, 10)
    assert (len(steady.round_ms), steady.runs) == (10, 50)
    assert advanced == [1, *[2] * 9]


def test_each_mode_has_its_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "EFFORTS", {"quick": QUICK, "full": Effort(4, 8, 0.0, math.inf, 0.0)})
    assert [measured([Command("a", ("10",))], mode)[0].runs for mode in ("quick", "full")] == [100, 8]
    assert measured([Command("a", ("10",))])[0].mode == "quick"


def test_seeds_are_orders() -> None:
    orders = set()
    for seed in (0, 0, 1, 2, 3):
        FakeRunning.log = []
        measure([Command(name, ("10",)) for name in "abcd"], seed=seed, effort=QUICK)
        orders.add(tuple(name for name, count in FakeRunning.log if count))
    assert len(orders) == 4
    FakeRunning.log = []
    plan = [Command(name, ("10",)) for name in "abcd"]
    measure(plan, seed=0, effort=QUICK)
    measure(plan, effort=QUICK)
    half = len(FakeRunning.log) // 2
    assert FakeRunning.log[:half] == FakeRunning.log[half:], "the seed is 0 unless another one is given"


def test_percentiles_are_over_all_runs_and_medians_over_each_round() -> None:
    rounds = [[float(value) for value in range(start, start + 20)] for start in (0, 20, 40, 60, 80)]
    rounds[-1].append(100.0)
    ready = {"ready": True, "load_ms": 1, "first_ms": 2}
    result = measuring._summary(Command("a", ()), "full", ready, None, rounds)
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == (50.0, 90.0, 99.0)
    assert result.round_ms == (9.5, 29.5, 49.5, 69.5, 90.0)
    assert (result.runs, result.peak_rss_mb, result.mode) == (101, None, "full")
    assert result.noisy


@pytest.mark.parametrize(
    ("quartile", "words"), [(1.0, ""), (1.01, "the middle half of the runs spans 20% of the median")]
)
def test_spread_is_of_the_middle_half(quartile: float, words: str) -> None:
    times = np.array([0.0, 10.0 - quartile, 10.0, 10.0 + quartile, 90.0])
    assert measuring._noise(times, (8.0, 8.0)) == words


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("drift", "words"), [(1.0, ""), (1.01, "the halves of the rounds differ by 10% of the median")]
)
@pytest.mark.parametrize("odd", [False, True])
def test_drift_is_from_the_first_half_of_the_rounds_to_the_last(
    drift: float, words: str, sign: float, odd: bool
) -> None:
    last = 10.0 + sign * drift
    assert measuring._noise(np.full(40, 10.0), (10.0, 10.0, *([last] * (2 + odd)))) == words


def test_one_round_does_not_drift_and_both_kinds_are_said() -> None:
    assert measuring._noise(np.full(4, 8.0), (9.0,)) == ""
    words = measuring._noise(np.array([1.0, 8.0, 9.0]), (8.0, 10.0))
    assert (
        words
        == "the middle half of the runs spans 50% of the median; the halves of the rounds differ by 25% of the median"
    )


def test_the_limits_are_those_of_the_documents() -> None:
    assert (SPREAD_LIMIT, DRIFT_LIMIT) == (0.2, 0.1)
    assert measuring.EFFORTS["quick"] == Effort(rounds=10, runs=100, seconds=0.2, limit_s=8.0, warm_up_s=0.3)
    assert measuring.EFFORTS["full"] == Effort(rounds=32, runs=1024, seconds=60.0, limit_s=math.inf, warm_up_s=3.0)
