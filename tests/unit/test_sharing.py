"""A training yields while others use its cores, as soon as that is so, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgetl.console.progress import Silent
from edgetl.training import sharing, yielding
from edgetl.training.sharing import Noting, Sharing

_CORES = frozenset({0, 1})


class _Scripted:
    """What others use, most of it on core 1, look after look; then `seen` is set, and it stays as it was last."""

    def __init__(self, *others: float) -> None:
        self._left, self.seen = list(others), threading.Event()

    def look(self, held: Collection[int]) -> dict[int, float]:
        if len(self._left) == 1:
            self.seen.set()
        others = self._left[0] if len(self._left) == 1 else self._left.pop(0)
        return {0: others / 4, 1: others * 3 / 4}


class _Heard(Silent):
    """Keeps events and labels."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.labels: list[str] = []

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append({"event": kind, **fields})

    def advance(self, label: str, done: int, total: int) -> None:
        self.labels.append(label)


class _Placement:
    """Two cores; keeps what becomes of them."""

    def __init__(self) -> None:
        self.all = self.held = _CORES

    def keep_to(self, cores: frozenset[int]) -> None:
        if cores != self.held:
            _done.append(f"on {sorted(cores)}")
        self.held = cores

    def release(self) -> None:
        _done.append("on all")
        self.held = self.all


_done: list[str] = []


@pytest.fixture(autouse=True)
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two cores, quick looks, nobody has set anything, and a list that grows with everything that is done."""

    @contextmanager
    def noted(threads: int, cores: int) -> Iterator[None]:
        _done.append(f"{threads} of {cores} asleep")
        try:
            yield
        finally:
            _done.append("awake")

    _done.clear()
    for name in yielding.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sharing, "Placement", _Placement)
    monkeypatch.setattr(sharing, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(sharing, "sleeping", noted)
    return _done


def _watched(monkeypatch: pytest.MonkeyPatch, threads: int, *others: float) -> _Heard:
    """What is heard of a training whose only step ends after the last look."""
    load, heard = _Scripted(*others), _Heard()
    monkeypatch.setattr(sharing, "OtherLoad", lambda cores: load)
    with Sharing(threads) as watch:
        assert load.seen.wait(60)
        Noting(heard, watch).advance("epoch 1/2", 1, 2)
    return heard


def test_a_shared_machine_is_answered_and_said(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    heard = _watched(monkeypatch, 2, 0.0, 1.04, 1.04, 1.04)
    assert done == ["2 of 2 asleep", "on [0]", "on all", "awake"]
    assert heard.events == [{"event": "shared", "shared": True, "others": 1.04, "cores": 2}]
    assert heard.labels == ["epoch 1/2, others use 1.0 of 2 cores"]


def test_a_machine_that_is_left_alone_again_is_used_again(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    heard = _watched(monkeypatch, 2, 1.0, *[0.0] * 8, 1.0, 0.0)
    assert done == ["2 of 2 asleep", "on [0]", "on all", "awake"] * 2
    assert heard.labels[0].startswith("epoch 1/2")


def test_on_an_idle_machine_nothing_happens(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    heard = _watched(monkeypatch, 2, *[0.3] * 4)
    assert (done, heard.events, heard.labels) == ([], [], ["epoch 1/2"])


@pytest.mark.parametrize("name", yielding.SETTINGS)
def test_a_persons_own_setting_wins(monkeypatch: pytest.MonkeyPatch, done: list[str], name: str) -> None:
    monkeypatch.setenv(name, "0")
    heard = _watched(monkeypatch, 2, 1.0, 1.0, 1.0)
    assert done == []
    assert heard.labels == ["epoch 1/2, others use 1.0 of 2 cores"]


def test_a_single_thread_need_not_yield(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    heard = _watched(monkeypatch, 1, 2.0, 2.0, 2.0)
    assert done == []
    assert heard.labels == ["epoch 1/2, others use 2.0 of 2 cores"]


def test_a_system_that_does_not_tell_is_taken_for_undisturbed(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    def untold(cores: Collection[int]) -> None:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(sharing, "OtherLoad", untold)
    with Sharing(2) as watch:
        assert watch.others is None
    assert done == []


def test_where_threads_may_not_be_placed_nothing_stale_is_said(
    monkeypatch: pytest.MonkeyPatch, done: list[str]
) -> None:
    def refused(self: _Placement, cores: frozenset[int]) -> None:
        raise PermissionError("sched_setaffinity")

    monkeypatch.setattr(_Placement, "keep_to", refused)
    monkeypatch.setattr(sharing, "OtherLoad", lambda cores: _Scripted(1.0))
    with Sharing(2) as watch:
        watch._watch.join(60)
        assert watch.others is None
    assert done == ["2 of 2 asleep", "on all", "awake"]


def test_every_change_is_an_event_of_the_thread_that_trains() -> None:
    heard, watch = _Heard(), Sharing(2)
    noting = Noting(heard, watch)
    for others in (None, 1.0, 0.52, None, None):
        watch.others = others
        noting.advance("epoch 1/2", 1, 2)
    assert [(event["shared"], event["others"]) for event in heard.events] == [(True, 1.0), (False, None)]
    assert heard.labels[1:4] == [
        "epoch 1/2, others use 1.0 of 2 cores",
        "epoch 1/2, others use 0.5 of 2 cores",
        "epoch 1/2",
    ]
