"""How many cores others use: time that the system counts, less our own, on the cores that we may use."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from edgetl.training import contention
from edgetl.training.contention import OtherLoad, excess


class _Machine:
    """Three cores, of which this process may use the first two; its clocks are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.own = 0.0
        self.cores = [dict.fromkeys(("user", "system", "idle", "steal"), 0.0) for _ in range(3)]
        monkeypatch.setattr(psutil, "cpu_times", self._times)
        monkeypatch.setattr(contention, "usable_cores", lambda: 2)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
        clocks = SimpleNamespace(monotonic=lambda: self.wall, process_time=lambda: self.own)
        monkeypatch.setattr(contention, "time", clocks)

    def _times(self, percpu: bool) -> list[Any]:
        assert percpu
        return [SimpleNamespace(**core) for core in self.cores]


def test_what_others_used_is_what_the_cores_did_less_our_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    load = OtherLoad()
    machine.wall, machine.own = 2.0, 1.5
    machine.cores[0] |= {"user": 1.0, "system": 0.5, "idle": 0.5}
    machine.cores[1] |= {"user": 0.8, "steal": 0.2, "idle": 1.0}
    machine.cores[2] |= {"user": 2.0}
    assert load.cores() == pytest.approx(0.5)  # (1.5 + 1.0 - 1.5) s in 2 s
    machine.wall, machine.own = 3.0, 2.5
    machine.cores[1]["user"] += 1.0
    assert load.cores() == pytest.approx(0.0)  # since the last look: one core, and that was us


def test_clocks_that_disagree_give_no_impossible_number(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    load = OtherLoad()
    machine.wall, machine.own = 1.0, 1.02
    machine.cores[0]["user"] = 1.0
    assert load.cores() == 0.0
    machine.wall = 1.5
    machine.cores[0]["user"], machine.cores[1]["user"] = 1.6, 0.6
    assert load.cores() == 2.0


def test_a_busy_program_is_seen() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            load = OtherLoad()
            with pytest.raises(subprocess.TimeoutExpired):
                busy.wait(1.0)
            assert load.cores() > 0.25
        finally:
            busy.kill()


@pytest.mark.parametrize(
    ("others", "threads", "expected"),
    [
        (0.0, 2, 0.0),
        (1.0, 2, 1.0),
        (1.0, 1, 0.0),
        (0.0, 1, -1.0),
        (0.0, 4, 0.0),  # more threads than cores disturb each other, but nobody else shares the machine
    ],
)
def test_cores_are_missing_only_beyond_those_that_are_left(
    monkeypatch: pytest.MonkeyPatch, others: float, threads: int, expected: float
) -> None:
    monkeypatch.setattr(contention, "usable_cores", lambda: 2)
    assert excess(others, threads) == expected
