"""One that fails costs its own row, wherever it fails; and what is measured beside the times. No process, no clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edgetl.runtime.errors import IntegrityError, MissingRuntime, WorkerError
from edgetl.runtime.golden import Known
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.measuring import Effort, measure
from edgetl.runtime.subjects import Failure
from edgetl.runtime.sustained import Sustained, _runs, sustain

SHORT = Effort(rounds=3, runs=6, seconds=0.0, limit_s=8.0, warm_up_s=0.0)


@dataclass
class Scripted:
    """A worker without a process: how long its runs take, and when it fails.

    dies: the words of the line at which it dies, the number of times it answers them before. said: answers to `ask`.
    """

    name: str
    times: Sequence[float] = (1.0,)
    dies: tuple[str, int] | None = None
    error: Exception | None = None
    rows: list[list[float]] | None = None
    said: dict[str, Any] = field(default_factory=dict)
    cold_ms: Sequence[float] = ()
    threads: int = 1
    batch: int = 1
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        *first, last = self.times
        self._next = itertools.chain(first, itertools.repeat(last))
        self._cold = iter(self.cold_ms)

    @contextmanager
    def start(self) -> Iterator[Scripted]:
        self._answer("start")
        yield self
        self.log.append("gone")

    def _answer(self, word: str) -> None:
        if self.dies and self.dies[0] == word and self.log.count(word) >= self.dies[1]:
            raise self.error or WorkerError(f"died at\n {word}", place=self.name)
        self.log.append(word)

    def ready(self) -> dict[str, Any]:
        self._answer("ready")
        cold = next(self._cold, None)
        return {"ready": True, "load_ms": 1.0, "first_ms": 2.0, "runtime": "fake", "cold_ms": cold}

    def run(self, count: int) -> list[float]:
        self._answer("run")
        return list(itertools.islice(self._next, count))

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        self._answer("outputs")
        return self.rows[start : start + count] if self.rows else None

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        self._answer(word)
        self.log.append(f"{word} {list(values)}")
        return dict(self.said.get(word, {}))

    def quit(self) -> float | None:
        self._answer("quit")
        return 7.0


@pytest.mark.parametrize(
    ("word", "before", "error", "code"),
    [
        ("start", 0, WorkerError("cannot start", place="x"), 4),
        ("ready", 0, MissingRuntime("no runtime"), 4),
        ("ready", 0, IntegrityError("damaged"), 5),
        ("outputs", 0, None, 4),
        ("run", 0, None, 4),  # while it is warmed up
        ("run", 2, None, 4),  # in the second round
        ("state", 0, None, 4),
        ("state", 1, None, 4),
        ("whole", 1, None, 4),
        ("quit", 0, None, 4),
    ],
)
def test_one_that_fails_costs_its_own_row(word: str, before: int, error: Exception | None, code: int) -> None:
    expected = Known("/b", "x", "/b/t.npy", np.array([[1.0]], np.float32), 0.1)
    bad = Scripted("bad", dies=(word, before), error=error, rows=[[1.0]], threads=3)
    good = Scripted("good", rows=[[1.0]])
    effort = Effort(**{**vars(SHORT), "pictures": 2, "spawns": 2})
    failed, well = measure([bad, good], effort=effort, known={"bad": expected, "good": expected})
    assert isinstance(well, Measurement)
    assert well.runs == 6
    assert isinstance(failed, Failure)
    assert (failed.name, failed.threads, failed.exit_code) == ("bad", 3, code)
    assert failed.reason == (
        error.message if isinstance(error, MissingRuntime | IntegrityError | WorkerError) else f"died at {word}"
    )
    assert failed.to_json() == {"failed": True, "name": "bad", "threads": 3, "reason": failed.reason, "exit_code": code}
    if word not in ("start", "quit"):
        assert bad.log[-1] == "gone"
        assert good.log.index("quit") > 0


def test_one_that_hangs_is_gone_before_the_others_go_on() -> None:
    log: list[str] = []
    bad, good = Scripted("bad", dies=("run", 1), log=log), Scripted("good", log=log)
    measure([bad, good], effort=SHORT)
    assert "run" in log[log.index("gone") :], "the other one ran after it was ended"


def test_all_may_fail() -> None:
    failures = measure([Scripted("a", dies=("run", 1)), Scripted("b", dies=("ready", 0))], effort=SHORT)
    assert [failure.name for failure in failures if isinstance(failure, Failure)] == ["a", "b"]


def test_what_is_no_failure_of_a_worker_is_not_taken_for_one() -> None:
    with pytest.raises(ZeroDivisionError):
        measure([Scripted("a", dies=("run", 1), error=ZeroDivisionError())], effort=SHORT)


def test_a_model_that_computes_something_else_is_not_timed() -> None:
    expected = Known("/b", "x", "/b/t.npy", np.array([[1.0, 0.0]], np.float32), 0.1)
    wrong, right, mute = Scripted("wrong", rows=[[0.8, 0.2]]), Scripted("right", rows=[[0.95, 0.05]]), Scripted("mute")
    known = {"wrong": expected, "right": expected, "mute": expected}
    failed, well, unsure = measure([wrong, right, mute], effort=SHORT, known=known)
    assert isinstance(failed, Failure)
    assert failed.exit_code == 5
    assert "computes something else here: its golden outputs differ by 0.2, allowed 0.1" in failed.reason
    assert "run" not in wrong.log
    assert isinstance(well, Measurement)
    assert well.golden_difference == pytest.approx(0.05)
    assert isinstance(unsure, Measurement)
    assert unsure.golden_difference is None


def test_cold_starts_are_of_several_processes_and_their_median_counts() -> None:
    effort = Effort(**{**vars(SHORT), "spawns": 5})
    worker = Scripted("a", cold_ms=(5.0, 1.0, 9.0, 3.0, 4.0))
    (found,) = measure([worker], effort=effort)
    assert isinstance(found, Measurement)
    assert (found.cold_ms, found.spawns) == (4.0, 5)
    assert worker.log.count("ready") == worker.log.count("gone") == 5
    assert worker.log.count("quit") == 5, "each ends when it is told to"


@pytest.mark.parametrize("said", [None, -3.0, 1e9, "soon"])
def test_an_age_that_cannot_be_is_not_believed(said: Any) -> None:
    (found,) = measure([Scripted("a", cold_ms=(said,))], effort=SHORT)
    assert isinstance(found, Measurement)
    assert found.cold_ms is not None
    assert 0 < found.cold_ms < 1000, "as the clock here says"


def test_one_out_of_reach_has_no_cold_start() -> None:
    class Remote(Scripted):
        def ready(self) -> dict[str, Any]:
            return {**super().ready(), "remote": True}

    (found,) = measure([Remote("a")], effort=SHORT)
    assert isinstance(found, Measurement)
    assert (found.cold_ms, found.spawns) == (None, 0)
    assert "remote" not in found.described


def test_whole_calls_are_medians_over_all_rounds() -> None:
    expected = Known("/there", "x", "/b/t.npy", np.array([[1.0]], np.float32), 0.1)
    said = {
        "whole": {"picture": "png, 4 x 4", "preprocess_ms": [1.0, 2.0], "postprocess_ms": [0.1], "whole_ms": [7.0, 9.0]}
    }
    heard, silent = Scripted("heard", said=said), Scripted("silent")
    effort = Effort(**{**vars(SHORT), "pictures": 2})
    found, nothing = measure([heard, silent], effort=effort, known={"heard": expected, "silent": expected})
    assert isinstance(found, Measurement)
    assert (found.picture, found.preprocess_ms, found.postprocess_ms, found.whole_ms) == ("png, 4 x 4", 1.5, 0.1, 8.0)
    assert heard.log.count("whole ['/there', 'x', 2]") == SHORT.rounds
    assert isinstance(nothing, Measurement)
    assert (nothing.picture, nothing.preprocess_ms, nothing.postprocess_ms, nothing.whole_ms) == (None,) * 4


def test_without_a_bundle_nobody_is_asked_for_whole_calls() -> None:
    worker = Scripted("a")
    measure([worker], effort=Effort(**{**vars(SHORT), "pictures": 2}))
    assert "whole" not in worker.log


MACHINE = {"surroundings": {"processor": "fake", "cores": 2, "temperature_c": 50.0, "load": 1.0}}


def lasting(plan: list[Scripted], minutes: int, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Sustained:
    """With a clock that moves by a fifth of a minute whenever it is looked at."""
    clock = itertools.count(0.0, 12.0)
    monkeypatch.setattr("edgetl.runtime.sustained.time.monotonic", lambda: next(clock))
    return sustain(plan, minutes, **more)


def test_minutes_are_of_the_runs_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten to see how long a run takes, then four turns of one run in each minute.
    first, second = [500.0] * 4, [900.0] * 4
    heats = Scripted("heats", (*[1000.0] * 10, *first, *second), said={"state": MACHINE})
    steady = Scripted("steady", (700.0,))
    told: list[tuple[str, int, int]] = []
    found = lasting([heats, steady], 2, monkeypatch, advance=lambda *words: told.append(words), names=["a", "b"])
    a, b = found.results
    assert (a.name, b.name) == ("a", "b")
    assert [minute.p50_ms for minute in b.minutes] == [700.0, 700.0]
    assert [minute.runs for minute in a.minutes] == [4, 4]
    assert (a.minutes[0].p50_ms, a.minutes[1].p50_ms) == (500.0, 900.0)
    assert (a.ratio, b.ratio) == (1.8, 1.0)
    assert found.ranking == (("a", "b"), ("b", "a"))
    assert found.overtaken == (("a", "b"),)
    assert [machine.temperature_c for machine in found.machine if machine] == [50.0] * 3
    assert told == [("sustained load", 1, 2), ("sustained load", 2, 2)]
    assert a.described == {"runtime": "fake"}


def test_a_tie_is_no_change_of_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Scripted("a", (*[1000.0] * 10, *[700.0] * 4, *[710.0] * 4))
    found = lasting([first, Scripted("b", (705.0,))], 2, monkeypatch)
    assert found.ranking == (("a", "b"), ("b", "a"))
    assert found.overtaken == ()


def test_one_that_fails_under_load_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Known("/b", "x", "/b/t.npy", np.array([[1.0]], np.float32), 0.1)
    wrong, dies, well = Scripted("wrong", rows=[[0.0]]), Scripted("dies", dies=("run", 3)), Scripted("well")
    found = lasting([wrong, dies, well], 3, monkeypatch, known={"wrong": expected}, names=["x", "y", "z"])
    assert [(failure.name, failure.exit_code) for failure in found.failures] == [("x", 5), ("y", 4)]
    assert [(result.name, len(result.minutes)) for result in found.results] == [("z", 3)]
    nobody = lasting([Scripted("dies", dies=("run", 3))], 2, monkeypatch)
    assert (nobody.results, nobody.ranking) == ((), ((), ()))


def test_a_turn_is_as_long_by_the_clock_here_where_starting_takes_longer_than_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(0.0, 2.0)  # ten runs of 5 ms take 2 s
    monkeypatch.setattr("edgetl.runtime.sustained.time.perf_counter", lambda: next(clock))
    with Scripted("a", (5.0,)).start() as running:
        assert _runs(running, 1000.0) == 5
    monkeypatch.setattr("edgetl.runtime.sustained.time.perf_counter", lambda: 0.0)
    with Scripted("a", (5.0,)).start() as running:
        assert _runs(running, 1000.0) == 200


def test_its_json_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    content = lasting([Scripted("a", said={"state": MACHINE})], 1, monkeypatch).to_json()
    assert content["results"][0]["minutes"][0]["p50_ms"] == 1.0
    assert content["machine"][0]["processor"] == "fake"
    assert content["minutes"] == 1
