"""A checkpoint within an epoch is due by the clock, and costs a hundredth of the time at most."""

from __future__ import annotations

import math

import pytest

from edgetl.training import checkpoint_schedule
from edgetl.training.checkpoint_schedule import SAVE_SECONDS, CheckpointSchedule, SoFar


class _Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made = _Clock()
    monkeypatch.setattr(checkpoint_schedule, "time", made)
    return made


def test_one_is_due_every_forty_five_seconds(clock: _Clock) -> None:
    assert SAVE_SECONDS == 45.0
    schedule = CheckpointSchedule()
    for _ in range(2):
        begun = clock.now
        clock.now = math.nextafter(begun + 45.0, 0.0)
        assert not schedule.due()
        clock.now = begun + 45.0
        assert schedule.due()
        schedule.saved(began=clock.now)
        assert not schedule.due()


@pytest.mark.parametrize(("took", "wait"), [(0.2, 45.0), (0.45, 45.0), (0.5, 50.0), (3.0, 300.0)])
def test_slow_saving_is_done_less_often(clock: _Clock, took: float, wait: float) -> None:
    schedule = CheckpointSchedule()
    began = clock.now
    clock.now += took
    schedule.saved(began)
    saved = clock.now
    clock.now = saved + wait - 0.01
    assert not schedule.due()
    clock.now = saved + wait + 0.01
    assert schedule.due()


def test_an_epoch_is_worth_a_save_when_it_takes_as_long_as_twenty(clock: _Clock) -> None:
    schedule = CheckpointSchedule()
    assert schedule.worth_it(), "nobody knows yet how long a save takes"
    began = clock.now
    clock.now += 0.5
    schedule.saved(began)
    saved = clock.now
    clock.now = saved + 9.9
    assert not schedule.worth_it()
    clock.now = saved + 10.1
    assert schedule.worth_it()


def test_an_epoch_begins_with_nothing() -> None:
    assert SoFar(3) == SoFar(epoch=3, batches=0, label_loss=0.0, distil_loss=0.0, seconds=0.0, data_wait_seconds=0.0)
