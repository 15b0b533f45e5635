"""Threads sleep while they wait, and keep to the cores that others leave; afterwards everything is as it was."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import pytest
import torch

from edgetl.runtime.cores import usable_cores
from edgetl.training.yielding import Placement, cores_left, sleeping


@pytest.mark.parametrize(
    ("others", "held", "expected"),
    [
        ({0: 0.3, 1: 0.7}, {0, 1}, {0}),
        ({0: 0.6, 1: 0.4}, {0, 1}, {1}),
        ({0: 1.0, 1: 0.9}, {0, 1}, {1}),  # at least one, however many others take
        ({0: 0.0, 1: 0.2}, {0, 1}, {0, 1}),
        ({0: 0.0, 1: 0.2}, {0}, {0}),  # who pauses may come back
        ({0: 0.5, 1: 0.25}, {0}, {0}),  # not worth moving
        ({0: 0.5, 1: 0.0}, {0}, {1}),
        ({0: 1.0, 1: 0.1, 2: 0.1, 3: 0.0}, {0, 1, 2, 3}, {1, 2, 3}),
        ({0: 1.0, 1: 0.24, 2: 0.0, 3: 0.0}, {0, 1, 2, 3}, {1, 2, 3}),
        ({0: 1.0, 1: 0.26, 2: 0.0, 3: 0.0}, {0, 1, 2, 3}, {2, 3}),
    ],
)
def test_the_cores_that_others_use_least_are_left(others: dict[int, float], held: set[int], expected: set[int]) -> None:
    assert cores_left(others, held) == expected


needs_two_cores = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or usable_cores() < 2, reason="needs Linux and two cores"
)


@needs_two_cores
def test_every_thread_keeps_to_the_cores_and_gets_its_own_back() -> None:
    stop, own = threading.Event(), os.sched_getaffinity(0)
    last, first = max(own), frozenset({min(own)})

    def choosy() -> None:
        os.sched_setaffinity(0, {last})
        ready.wait()
        stop.wait()

    def where(threads: list[threading.Thread]) -> list[set[int]]:
        return [os.sched_getaffinity(thread.native_id or 0) for thread in threads]

    ready = threading.Barrier(2)
    older, younger = threading.Thread(target=choosy), threading.Thread(target=stop.wait)
    placement = Placement()
    try:
        older.start()
        ready.wait()
        placement.keep_to(first)
        younger.start()
        placement.keep_to(first)
        assert placement.held == first
        assert where([threading.main_thread(), older, younger]) == [first] * 3
        placement.release()
        assert where([threading.main_thread(), older, younger]) == [own, {last}, own]
        assert placement.held == placement.all == own
    finally:
        stop.set()
        os.sched_setaffinity(0, own)
        older.join()
        younger.join()


_GNU = "libgomp" in Path("/proc/self/maps").read_text() if Path("/proc/self/maps").exists() else False


@needs_two_cores
@pytest.mark.skipif(not _GNU, reason="needs GNU's OpenMP")
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
    with sleeping(2, usable_cores()):
        sleeps()
        inside = sleeps()
    assert inside >= 1.9 * gaps
    assert min(before, sleeps()) < 0.95 * inside


@pytest.mark.parametrize(("threads", "cores", "teams"), [(2, 2, 1), (2, 4, 3), (4, 4, 1), (3, 8, 3), (4, 2, 0)])
def test_as_many_idle_teams_as_make_more_threads_than_cores(threads: int, cores: int, teams: int) -> None:
    with sleeping(threads, cores):
        idle = [thread for thread in threading.enumerate() if thread.name == "edgetl-idle-team"]
        assert len(idle) == teams
        assert teams == 0 or threads + teams * (threads - 1) > cores >= threads + (teams - 1) * (threads - 1)
