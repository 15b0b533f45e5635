"""Several targets at once: different machines side by side, one machine one target after the other.

Two measurements on one machine would measure each other. So targets of a machine take turns, also with those of other
processes of this user: a lock, which the system lets go when its holder ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from edgetl.config.target import Target
from edgetl.console.progress import Progress
from edgetl.errors import DeviceError
from edgetl.results.latency import Unmeasured
from edgetl.runtime.manifest import Manifest
from edgetl.stages.common.alone import alone_on

__all__ = ["lost", "on_each", "unless_lost"]

Advance = Callable[[str, int, int], None]
Result = TypeVar("Result")


class _Stopped(Exception):
    """Raised within a measurement when another one failed or Ctrl-C was pressed."""


def on_each(
    targets: Sequence[Target], measured: Callable[[Target, Advance], Result], progress: Progress
) -> list[Result]:
    """Measure on every target; the results in the order of the targets.

    Args:
        measured: what is done on a target; calls the function it is given every few seconds.
        progress: told of all of them, by their names where there are several machines.

    Raises:
        What `measured` raises first, or KeyboardInterrupt; the others are stopped, and have ended.
    """
    machines: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        machines.setdefault(target.find_machine(), []).append(index)
    stop, telling = threading.Event(), threading.Lock()
    found: dict[int, Result] = {}

    def advance_of(target: Target) -> Advance:
        def advance(label: str, done: int, total: int) -> None:
            look()
            with telling:
                progress.advance(f"{target.name}: {label}" if len(machines) > 1 else label, done, total)

        return advance

    def look() -> None:
        if stop.is_set():
            raise _Stopped

    def measure(machine: str, indices: Sequence[int]) -> None:
        for index in indices:
            with alone_on(machine, targets[index].name, progress, look):
                look()
                found[index] = measured(targets[index], advance_of(targets[index]))

    if len(machines) == 1:  # in this thread, which Ctrl-C reaches
        measure(*next(iter(machines.items())))
    else:
        _side_by_side([partial(measure, *each) for each in machines.items()], stop)
    return [found[index] for index in range(len(targets))]


def unless_lost(
    measured: Callable[[Target, Advance], Result], targets: Sequence[Target]
) -> Callable[[Target, Advance], Result | DeviceError]:
    """`measured`, but a device that is not there or goes away costs its own target's result where there are several."""
    if len(targets) == 1:
        return measured

    def attempt(target: Target, advance: Advance) -> Result | DeviceError:
        try:
            return measured(target, advance)
        except DeviceError as exc:
            return exc

    return attempt


def lost(target: Target, manifest: Manifest, why: DeviceError) -> list[Unmeasured]:
    """What has no result on a target that is not there or went away."""
    return [Unmeasured(artifact.name, target.name, 1, str(why), disagrees=False) for artifact in manifest.artifacts]


def _side_by_side(calls: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        under_way = [pool.submit(call) for call in calls]
        try:
            wait(under_way, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()  # leaving the block waits for them
    for failure in _failures(under_way):
        raise failure


def _failures(ended: Sequence[Future[None]]) -> Iterator[BaseException]:
    for future in ended:
        failure = future.exception()
        if failure is not None and not isinstance(failure, _Stopped):
            yield failure
