"""The first Ctrl-C waits for the end of a step, the second one does not, and afterwards all is as before."""

from __future__ import annotations

import signal
import threading

import pytest

from edgetl.training.interrupts import held_back


def _press(times: int, noted: list[bool]) -> None:
    with held_back() as pressed:
        noted.append(pressed())
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            noted.append(pressed())


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_first_is_noted_until_the_end_and_the_second_comes_through(times: int) -> None:
    noted: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        _press(times, noted)
    assert noted == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_one_nothing_happens() -> None:
    with held_back() as pressed:
        assert not pressed()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_handler_stays() -> None:
    heard: list[int] = []

    def theirs(number: int, frame: object) -> None:
        heard.append(number)

    signal.signal(signal.SIGINT, theirs)  # the fixture of all tests puts its own back
    with held_back() as pressed:
        signal.raise_signal(signal.SIGINT)
        assert not pressed()
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is theirs


def test_other_threads_leave_the_handler_alone() -> None:
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with held_back() as pressed:
                assert not pressed()
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        except BaseException as exc:  # noqa: BLE001 (a thread's error would be lost)
            failures.append(exc)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failures == []
