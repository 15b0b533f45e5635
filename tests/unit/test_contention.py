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
from edgetl.training.contention import Contention, OtherLoad, core_numbers


class _Machine:
    """Three cores, and clocks that are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.own = 0.0
        self.cores = [dict.fromkeys(("user", "system", "idle", "steal"), 0.0) for _ in range(3)]
        monkeypatch.setattr(psutil, "cpu_times", self._times)
        clocks = SimpleNamespace(monotonic=lambda: self.wall, process_time=lambda: self.own)
        monkeypatch.setattr(contention, "time", clocks)

    def _times(self, percpu: bool) -> list[Any]:
        assert percpu
        return [SimpleNamespace(**core) for core in self.cores]


def test_what_others_used_is_what_the_cores_did_less_our_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    load = OtherLoad({0, 1})
    machine.wall, machine.own = 2.0, 1.5
    machine.cores[0] |= {"user": 1.0, "system": 0.5, "idle": 0.5}
    machine.cores[1] |= {"user": 0.8, "steal": 0.2, "idle": 1.0}
    machine.cores[2] |= {"user": 2.0}
    assert load.look({0, 1}) == pytest.approx({0: (1.5 - 0.75) / 2, 1: (1.0 - 0.75) / 2})
    machine.wall, machine.own = 3.0, 2.5
    machine.cores[0]["user"] += 0.4
    machine.cores[1]["user"] += 1.0
    assert load.look({1}) == pytest.approx({0: 0.4, 1: 0.0}), "since the last look, and we were on core 1"


def test_cores_beyond_those_that_the_system_counts_are_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(monkeypatch)
    load = OtherLoad({2, 3})
    machine.wall, machine.cores[2]["user"] = 1.0, 1.0
    assert load.look({3}) == {2: 1.0, 3: 0.0}


def test_a_busy_program_is_seen() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            cores = core_numbers()
            load = OtherLoad(cores)
            with pytest.raises(subprocess.TimeoutExpired):
                busy.wait(1.0)
            assert sum(load.look(cores).values()) > 0.25
        finally:
            busy.kill()


@pytest.mark.parametrize(("threads", "cores", "spare"), [(2, 2, 0.0), (1, 2, 1.0), (4, 2, 0.0), (3, 8, 5.0)])
def test_a_machine_is_shared_from_half_a_core_on_that_is_missing(threads: int, cores: int, spare: float) -> None:
    contention = Contention(threads, cores)
    assert [contention.found(spare + others) for others in (0.49, 0.5, 0.26)] == [False, True, True]


def test_six_quiet_looks_in_a_row_end_it() -> None:
    contention = Contention(2, 2)
    assert contention.found(1.0)
    assert [contention.found(0.24) for _ in range(5)] == [True] * 5
    assert contention.found(0.25), "a look in between starts the count anew"
    assert [contention.found(0.24) for _ in range(6)] == [True] * 5 + [False]
    assert not contention.found(0.49)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not restrict threads to cores")
def test_only_the_cores_that_we_may_use_count() -> None:
    code = """
import os
from edgetl.training.contention import core_numbers
one = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {one})
assert core_numbers() == {one}, core_numbers()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
