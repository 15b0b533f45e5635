"""Threads wait asleep while others use the cores, as soon as that is so, and no longer."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from edgetl.console.progress import Silent
from edgetl.runtime.cores import usable_cores
from edgetl.training import contention, waiting
from edgetl.training.waiting import Noting, Sharing, Waiting, sleeping


class _Scripted:
    """What others use, look after look; then `seen` is set, and it stays as it was last."""

    def __init__(self, *cores: float) -> None:
        self._left, self.seen = list(cores), threading.Event()

    def cores(self) -> float:
        if len(self._left) == 1:
            self.seen.set()
            return self._left[0]
        return self._left.pop(0)


class _Heard(Silent):
    """Keeps events and labels."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.labels: list[str] = []

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"event": kind, **fields})

    def advance(self, label: str, done: int, total: int) -> None:
        self.labels.append(label)


@pytest.fixture
def switches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two cores, quick looks, nobody has set anything, and a list that grows with every switch."""
    thrown: list[str] = []

    @contextmanager
    def noted(threads: int) -> Iterator[None]:
        thrown.append(f"{threads} asleep")
        yield
        thrown.append("awake")

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for module in (contention, waiting):
        monkeypatch.setattr(module, "usable_cores", lambda: 2)
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "sleeping", noted)
    return thrown


def _watched(monkeypatch: pytest.MonkeyPatch, threads: int, *cores: float) -> _Heard:
    """What is heard of a training whose only step ends after the last look."""
    load, heard = _Scripted(*cores), _Heard()
    monkeypatch.setattr(waiting, "OtherLoad", lambda: load)
    with Waiting(threads) as watch:
        assert load.seen.wait(60)
        Noting(heard, watch).advance("epoch 1/2", 1, 2)
    return heard


def test_a_shared_machine_is_answered_and_said(monkeypatch: pytest.MonkeyPatch, switches: list[str]) -> None:
    heard = _watched(monkeypatch, 2, 0.0, 1.04, 1.04, 1.04)
    assert switches == ["2 asleep", "awake"]
    assert heard.events == [{"event": "shared", "shared": True, "others": 1.04, "cores": 2}]
    assert heard.labels == ["epoch 1/2, others use 1.0 of 2 cores"]


def test_a_machine_that_is_left_alone_again_is_used_again(monkeypatch: pytest.MonkeyPatch, switches: list[str]) -> None:
    heard = _watched(monkeypatch, 2, 1.0, *[0.0] * 8)
    assert switches == ["2 asleep", "awake"]
    assert heard.labels == ["epoch 1/2"]


def test_every_change_is_an_event_of_the_thread_that_trains() -> None:
    heard, watch = _Heard(), Waiting(2)
    noting = Noting(heard, watch)
    for others in (None, 1.0, 0.5, None, None):
        watch.others = others
        noting.advance("epoch 1/2", 1, 2)
    assert [(event["shared"], event["others"]) for event in heard.events] == [(True, 1.0), (False, None)]
    assert heard.labels[2].endswith("others use 0.5 of " + f"{usable_cores()} cores")


def test_on_an_idle_machine_nothing_happens(monkeypatch: pytest.MonkeyPatch, switches: list[str]) -> None:
    heard = _watched(monkeypatch, 2, *[0.05] * 4)
    assert (switches, heard.events, heard.labels) == ([], [], ["epoch 1/2"])


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_a_persons_own_setting_wins(monkeypatch: pytest.MonkeyPatch, switches: list[str], name: str) -> None:
    monkeypatch.setenv(name, "ACTIVE" if name == "OMP_WAIT_POLICY" else "300000")
    heard = _watched(monkeypatch, 2, 1.0, 1.0, 1.0)
    assert switches == []
    assert heard.labels == ["epoch 1/2, others use 1.0 of 2 cores"]


def test_a_single_thread_waits_for_nobody(monkeypatch: pytest.MonkeyPatch, switches: list[str]) -> None:
    heard = _watched(monkeypatch, 1, 2.0, 2.0, 2.0)
    assert switches == []
    assert heard.labels == ["epoch 1/2, others use 2.0 of 2 cores"]


def test_a_system_that_does_not_tell_is_taken_for_undisturbed(
    monkeypatch: pytest.MonkeyPatch, switches: list[str]
) -> None:
    def untold() -> None:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(waiting, "OtherLoad", untold)
    with Waiting(2) as watch:
        assert watch.others is None
    assert switches == []


def test_one_look_makes_a_machine_shared_and_six_quiet_ones_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "usable_cores", lambda: 2)
    sharing = Sharing(2)
    assert [sharing.judge(others) for others in (0.24, 0.25, 0.11)] == [False, True, True]
    assert [sharing.judge(0.09) for _ in range(5)] == [True] * 5
    assert sharing.judge(0.1), "a look in between starts the count anew"
    assert [sharing.judge(0.09) for _ in range(6)] == [True] * 5 + [False]
    assert not sharing.judge(0.24)


_GNU = "libgomp" in Path("/proc/self/maps").read_text() if Path("/proc/self/maps").exists() else False


@pytest.mark.skipif(not _GNU or usable_cores() < 2, reason="needs GNU's OpenMP and two cores")
@pytest.mark.usefixtures("one_thread")
def test_threads_really_sleep_while_the_block_runs() -> None:
    """Between two operators lies less than the milliseconds for which threads spin: only in the block all go to sleep."""
    torch.set_num_threads(2)
    numbers, gaps = torch.empty(2**17), 300

    def sleeps() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        for _ in range(gaps):
            numbers.fill_(1.0)
            sum(range(20_000))
        return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

    before = sleeps()
    with sleeping(2):
        sleeps()
        inside = sleeps()
    assert inside >= 1.9 * gaps
    assert min(before, sleeps()) < 0.95 * inside
