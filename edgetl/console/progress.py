"""How a build tells a person how far it is; everything on stderr, so that stdout is the result alone.

On a terminal there is one display for the running stage, with the time left, and one line for each finished one. Elsewhere
there are plain lines, with a sign of life now and then. Whatever else is printed meanwhile, by libraries and by what they
start, belongs into the log (`edgetl.console.log`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from edgetl.console.display import Display

__all__ = ["Console", "Part", "Progress", "Silent"]


@runtime_checkable
class Progress(Protocol):
    """What stages report to."""

    def say(self, message: str) -> None:
        """One line on how it goes; a terminal shows the newest one of a stage, a log keeps all."""

    def warn(self, message: str) -> None:
        """One line that must be seen: it stays on the screen, and is said even where nothing else is."""

    def event(self, kind: str, **fields: Any) -> None:
        """Something for programs, not for the screen: an epoch's numbers, a candidate's score. A build's log keeps it."""

    def advance(self, label: str, done: int, total: int) -> None:
        """`done` of `total` steps are finished, and `label` is what runs; cheap enough to call per batch."""

    def stage(self, name: str, number: int, total: int) -> AbstractContextManager[None]:
        """While the block runs, stage `number` of `total`, counted from 1, does."""


class Silent:
    """Says nothing; for tests and library use."""

    def say(self, message: str) -> None:
        """Drop the line."""

    def warn(self, message: str) -> None:
        """Drop the line."""

    def event(self, kind: str, **fields: Any) -> None:
        """Drop the event."""

    def advance(self, label: str, done: int, total: int) -> None:
        """Drop the step."""

    def stage(self, name: str, number: int, total: int) -> AbstractContextManager[None]:
        """Do nothing around the stage."""
        return contextlib.nullcontext()


class Part:
    """One of several equally long parts of a stage; its steps count towards all of them, so the time left is the stage's.

    index: of this part, counted from 0, of `parts`.
    """

    def __init__(self, progress: Progress, index: int, parts: int) -> None:
        self._progress, self._index, self._parts = progress, index, parts
        self.say, self.warn, self.event, self.stage = progress.say, progress.warn, progress.event, progress.stage

    def advance(self, label: str, done: int, total: int) -> None:
        """Count the steps of the parts before this one too."""
        self._progress.advance(label, self._index * total + done, self._parts * total)


class Console:
    """A person's console. To be entered once, with `with`.

    quiet: show warnings only; `edgetl --quiet` sets EDGETL_QUIET, which does the same.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet or bool(os.environ.get("EDGETL_QUIET"))
        self._display: Display

    def __enter__(self) -> Console:
        from edgetl.console.display import display  # brings rich on a terminal

        self._display = display(self._quiet)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()

    def say(self, message: str) -> None:
        """Show one line on how it goes."""
        self._display.say(message)

    def warn(self, message: str) -> None:
        """Show one line that stays."""
        self._display.keep(message)

    def event(self, kind: str, **fields: Any) -> None:
        """Drop it: it is nothing for a screen."""

    def advance(self, label: str, done: int, total: int) -> None:
        """Move the bar."""
        self._display.running.advance(label, done, total)

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Show a stage while it runs, and one line of it afterwards."""
        began = time.monotonic()
        title = f"[{number}/{total}] {name}"
        self._display.begin(title)
        how = "stopped after "
        try:
            yield
            how = ""
        finally:
            self._display.end(f"{title}  {how}{time.monotonic() - began:.0f} s")
