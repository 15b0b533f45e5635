"""Several targets at once: different machines side by side, one machine one target after the other.

Two measurements on one machine would measure each other. So targets of a machine take turns, also with those of other
processes of this user: a lock, which the system lets go when its holder ends.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edgetl.config.target import Target
from edgetl.console.progress import Progress
from edgetl.store.locks import holder, locked

__all__ = ["alone_on", "on_each"]

Advance = Callable[[str, int, int], None]
Result = TypeVar("Result")
_WAIT_S = 0.2
"""Between two looks at a lock that somebody holds."""


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
        machines.setdefault(target.machine, []).append(index)
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

    def measure(indices: Sequence[int]) -> None:
        for index in indices:
            with alone_on(targets[index], progress, look):
                look()
                found[index] = measured(targets[index], advance_of(targets[index]))

    if len(machines) == 1:  # in this thread, which Ctrl-C reaches
        measure(range(len(targets)))
    else:
        _side_by_side([lambda indices=indices: measure(indices) for indices in machines.values()], stop)  # type: ignore[misc]
    return [found[index] for index in range(len(targets))]


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


@contextmanager
def alone_on(target: Target, progress: Progress, look: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the block runs, no other measurement of this user runs on the target's machine, as far as this machine knows.

    look: called while it waits; what it raises ends the waiting.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    name = hashlib.sha256(target.machine.encode()).hexdigest()[:16]
    lock = Path(tempfile.gettempdir()) / f"edgetl-{user}" / f"measuring-{name}.lock"
    told = False
    while (other := holder(lock)) is not None:
        if not told:
            progress.say(f"waiting for pid {other.pid}, which {other.doing}")
        told = True
        look()
        time.sleep(_WAIT_S)
    with locked(lock, f"measures on {target.name}", progress.say):
        yield
