"""Progress for programs: what stages report, as typed events that one function receives.

def show(event: Event) -> None:
    if isinstance(event, StageEnded):
        print(event.name, f"{event.seconds:.0f} s")

with reporting_to(show) as progress:
    ...
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TextIO, TypeAlias

from edgetl.console.capture import duplicate
from edgetl.console.progress import Progress, Silent

__all__ = [
    "Advanced",
    "Event",
    "Listener",
    "Recorded",
    "Said",
    "StageEnded",
    "StageStarted",
    "Warned",
    "reporting_to",
]


@dataclass(frozen=True)
class StageStarted:
    """Stage `number` of `total`, counted from 1, runs from here on."""

    name: str
    number: int
    total: int


@dataclass(frozen=True)
class StageEnded:
    """A stage runs no more, after so many seconds. completed: False where an error or Ctrl-C ended it."""

    name: str
    number: int
    total: int
    seconds: float
    completed: bool


@dataclass(frozen=True)
class Advanced:
    """`done` of `total` steps of what `label` names are finished, in a stage or before one. Comes with every batch."""

    label: str
    done: int
    total: int


@dataclass(frozen=True)
class Said:
    """One line on how it goes."""

    message: str


@dataclass(frozen=True)
class Warned:
    """One line that somebody must see, such as that the data are synthetic."""

    message: str


@dataclass(frozen=True)
class Recorded:
    """Numbers for programs, as log.jsonl keeps them: kind "epoch" has an epoch's losses and scores, "forecast" the seconds
    that trainings will take."""

    kind: str
    fields: Mapping[str, Any]


Event: TypeAlias = StageStarted | StageEnded | Advanced | Said | Warned | Recorded

Listener: TypeAlias = Progress | Callable[[Event], None] | None
"""What may be told how far something is: a Progress, a function that takes an Event, or nobody."""


@contextmanager
def reporting_to(listener: Listener) -> Iterator[Progress]:
    """A Progress for anything that may listen.

    What a function prints goes where it went when the block began, also while a build sends into its log what libraries
    print. An error that it raises ends what it listens to.
    """
    if listener is None:
        yield Silent()
    elif isinstance(listener, Progress):
        yield listener
    else:
        with _streams_as_now() as streams:
            yield _Reporter(listener, streams)


class _Reporter:
    """Turns reports into events; `streams` are what stdout and stderr are while it listens."""

    def __init__(self, listener: Callable[[Event], None], streams: tuple[TextIO, TextIO]) -> None:
        self._listener, self._streams = listener, streams

    def say(self, message: str) -> None:
        self._tell(Said(message))

    def warn(self, message: str) -> None:
        self._tell(Warned(message))

    def event(self, kind: str, **fields: Any) -> None:
        self._tell(Recorded(kind, fields))

    def advance(self, label: str, done: int, total: int) -> None:
        self._tell(Advanced(label, done, total))

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        began, completed = time.monotonic(), False
        self._tell(StageStarted(name, number, total))
        try:
            yield
            completed = True
        finally:
            self._tell(StageEnded(name, number, total, time.monotonic() - began, completed))

    def _tell(self, event: Event) -> None:
        out, err = self._streams
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self._listener(event)


@contextmanager
def _streams_as_now() -> Iterator[tuple[TextIO, TextIO]]:
    """stdout and stderr that lead where they lead now, whatever becomes of descriptors 1 and 2 meanwhile."""
    with ExitStack() as stack:
        kept = duplicate(sys.stdout), duplicate(sys.stderr)
        for ours, theirs in zip(kept, (sys.stdout, sys.stderr), strict=True):
            if ours is not theirs:
                stack.callback(ours.close)
        yield kept
