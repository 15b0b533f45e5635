"""The arithmetic of measuring, on workers whose times are known: no process, no clock."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from edgetl.runtime import measuring, workers
from edgetl.runtime.measurement import (
    DRIFT_LIMIT,
    FOREIGN_LIMIT,
    SPREAD_LIMIT,
    STOLEN_LIMIT,
    Measurement,
    Taken,
    summary,
)
from edgetl.runtime.measuring import Effort, measure
from edgetl.runtime.surroundings import Surroundings
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
    return measuring._warm_up(running, effort, Taken()), running.asked


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
    clock = iter([100.0, 100.0, 100.25, 100.5, 100.5])  # start, before each piece, and the end
    monkeypatch.setattr("edgetl.runtime.measuring.time.perf_counter", lambda: next(clock))
    effort = Effort(rounds=10, runs=100, seconds=0.0, limit_s=8.0, warm_up_s=0.5)
    assert warmed(milliseconds, effort)[1] == [2, piece, piece]


@pytest.mark.parametrize(("count", "settling"), [(1, 0), (2, 1), (9, 1), (10, 2), (19, 2), (20, 3), (100, 11)])
def test_the_first_runs_of_a_turn_are_not_counted(count: int, settling: int) -> None:
    running = FakeRunning(Command("fake", tuple(map(str, range(1000)))))
    times = measuring.turn(running, count)
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
        p50_low_ms=4.0,
        p50_high_ms=4.0,  # of two runs a round no percentile but the median has one
        cold_ms=results[1].cold_ms,
        spawns=1,
        warm_up_s=results[1].warm_up_s,
        steady=False,
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


READY = {"ready": True, "load_ms": 1, "first_ms": 2, "cold_ms": 3, "runtime": "fake"}


def test_percentiles_are_over_all_runs_and_medians_over_each_round() -> None:
    rounds = [[float(value) for value in range(start, start + 20)] for start in (0, 20, 40, 60, 80)]
    rounds[-1].append(100.0)
    result = summary(Command("a", ()), "full", READY, Taken(rounds), peak_rss_mb=None)
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == (50.0, 90.0, 99.0)
    assert result.round_ms == (9.5, 29.5, 49.5, 69.5, 90.0)
    assert (result.runs, result.peak_rss_mb, result.mode) == (101, None, "full")
    assert result.p50_low_ms is not None
    assert result.p50_high_ms is not None
    assert result.p50_low_ms < 50 < result.p50_high_ms
    assert result.p90_low_ms is not None
    assert result.p90_low_ms < 90
    assert result.p99_low_ms is result.p99_high_ms is None
    assert result.noisy
    assert result.described == {"runtime": "fake"}


def said(times: list[float], medians: tuple[float, ...] = (), around: dict[str, object] | None = None) -> str:
    """What the noise of these runs, in rounds with these medians, is called."""
    taken = Taken([times], around=around or {})
    if medians:  # each round's three runs have its median, and the middle half of all is narrow
        taken.rounds = [[median] * 3 for median in medians]
    return taken.noise()[0]


@pytest.mark.parametrize(
    ("quartile", "words"), [(1.0, ""), (1.01, "the middle half of the runs spans 20% of the median")]
)
def test_spread_is_of_the_middle_half(quartile: float, words: str) -> None:
    assert said([0.0, 10.0 - quartile, 10.0, 10.0 + quartile, 90.0]) == words


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(("drift", "words"), [(0.9, ""), (1.2, "the halves of the rounds differ by 12% of the median")])
def test_drift_is_from_the_first_half_of_the_rounds_to_the_last(drift: float, words: str, sign: float) -> None:
    assert said([], (*[10.0] * 6, *[10.0 + sign * drift] * 5)) == words


def test_one_round_does_not_drift_and_both_kinds_are_said() -> None:
    assert said([8.0, 8.1, 8.0, 7.9]) == ""
    assert said([], (8.0, 8.0, 10.0, 10.0)) == (
        "the middle half of the runs spans 22% of the median; the halves of the rounds differ by 22% of the median"
    )


def machine(throttled: int | None) -> Surroundings:
    return Surroundings("fake", 1, None, None, None, throttled, None)


@pytest.mark.parametrize(
    ("around", "words"),
    [
        ({"stolen": STOLEN_LIMIT, "foreign": FOREIGN_LIMIT}, ""),
        ({"stolen": 0.021}, "the hypervisor took 2% of the cores"),
        ({"foreign": 0.11}, "other processes took 11% of the cores"),
        ({"stolen": None, "foreign": None, "before": None, "after": None}, ""),
        ({"before": machine(3), "after": machine(3)}, ""),
        ({"before": machine(3), "after": machine(4)}, "heat slowed the processor"),
        ({"before": machine(None), "after": machine(None)}, ""),
    ],
)
def test_what_others_took_is_a_noise_of_its_own(around: dict[str, object], words: str) -> None:
    assert said([1.0, 1.0], around=around) == words


def test_a_noisy_attempt_is_repeated_with_all_workers_and_the_quietest_is_kept() -> None:
    """b is noisy in the first two of four attempts, a in the third; nothing is asked for once all are quiet."""
    effort = Effort(rounds=2, runs=4, seconds=0.0, limit_s=8.0, warm_up_s=0.0, attempts=4)
    # Of each attempt: two of warm-up, and two rounds of one settling and two counted runs.
    wild, quiet = ("5", "5", "5", "5", "9", "5", "5", "20"), ("7", "7", "7", "7", "7", "7", "7", "7")
    plan = [Command("a", (*quiet, *quiet, *wild, "8")), Command("b", (*wild, *wild, *quiet, "6"))]
    a, b = measured(plan, effort=effort)
    assert (a.attempts, b.attempts) == (4, 4)
    assert (a.p50_ms, b.p50_ms) == (8.0, 6.0), "of one and the same attempt"
    assert not a.noisy
    assert not b.noisy
    a, b = measured([Command("a", ("1",)), Command("b", ("2",))], effort=effort)
    assert (a.attempts, a.p50_ms, b.p50_ms) == (1, 1.0, 2.0)


def test_of_noisy_attempts_the_one_with_the_fewest_noisy_rows_is_kept_and_says_so() -> None:
    effort = Effort(rounds=2, runs=4, seconds=0.0, limit_s=8.0, warm_up_s=0.0, attempts=3)
    wild, quiet = ("5", "5", "5", "5", "9", "5", "5", "20"), ("7", "7", "7", "7", "7", "7", "7", "7")
    a, b = measured([Command("a", (*wild, *quiet, *wild)), Command("b", (*wild, *wild, *wild))], effort=effort)
    assert (a.attempts, a.noisy, a.p50_ms) == (3, False, 7.0)
    assert b.noisy


@pytest.mark.parametrize(
    ("windows", "asked", "steady", "least"),
    [
        ([10.0, 10.0], 2, True, 0.5),
        ([10.0, 10.0, 10.0, 10.0], 4, True, 2.5),
        ([20.0, 10.0, 9.9], 3, True, 0.5),
        ([20.0, 10.0, 9.79, 9.7], 4, True, 0.5),  # the first two differ by 2.1 %
        ([20.0, 10.0, 20.0, 10.0, 20.0, 10.0], 6, False, 0.5),
    ],
)
def test_warm_up_ends_when_two_windows_agree_or_at_its_limit(
    windows: list[float], asked: int, steady: bool, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(100.0, 0.5)
    monkeypatch.setattr("edgetl.runtime.measuring.time.perf_counter", lambda: next(clock))
    times = [50.0, 50.0]
    for window in windows:
        times += [window] * max(1, round(100.0 / min(times[-1], times[-1])))
    running, taken = FakeRunning(Command("fake", tuple(map(str, times)))), Taken()
    effort = Effort(10, 100, 0.0, 8.0, warm_up_s=least, warm_up_limit_s=3.5)
    measuring._warm_up(running, effort, taken)
    assert (len(running.asked) - 1, taken.steady) == (asked, steady)
    assert taken.warm_up_s > 0.5


def test_the_limits_are_those_of_the_documents() -> None:
    assert (SPREAD_LIMIT, DRIFT_LIMIT, STOLEN_LIMIT, FOREIGN_LIMIT) == (0.2, 0.1, 0.02, 0.05)
    quick, full = measuring.EFFORTS["quick"], measuring.EFFORTS["full"]
    assert (quick.rounds, quick.runs, quick.seconds, quick.limit_s) == (10, 100, 0.2, 8.0)
    assert (full.rounds, full.runs, full.seconds, full.limit_s) == (32, 1024, 60.0, math.inf)
    assert (quick.attempts, full.attempts, quick.spawns, full.spawns) == (2, 3, 1, 5)
