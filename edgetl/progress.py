"""How a build tells a person how far it is: a bar on a terminal, plain lines elsewhere, all on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import rich.progress


class Progress(Protocol):
    """What stages report to."""

    def say(self, message: str) -> None:
        """One line for the person, kept on screen."""

    def event(self, kind: str, **fields: Any) -> None:
        """One line for log.jsonl only: an epoch's numbers, a candidate's score."""

    def advance(self, label: str, done: int, total: int) -> None:
        """`done` of `total` steps of `label` are finished; cheap enough to call per batch."""


class Silent:
    """Says nothing; for tests and library use."""

    def say(self, message: str) -> None:
        """Drop the line."""

    def event(self, kind: str, **fields: Any) -> None:
        """Drop the event."""

    def advance(self, label: str, done: int, total: int) -> None:
        """Drop the step."""


class Console:
    """A person's console: lines on stderr, a bar when stderr is a terminal, every line and event also in a log.

    log: a JSON-lines file that is appended to; None keeps no log.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log.open("a", encoding="utf-8", buffering=1) if log else None
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._label = ""

    def __enter__(self) -> Console:
        if sys.stderr.isatty():
            import rich.console
            import rich.progress as bar

            columns = (
                bar.TextColumn("  {task.description}"),
                bar.BarColumn(),
                bar.MofNCompleteColumn(),
                bar.TimeRemainingColumn(),
            )
            # Its own duplicate of stderr: the bar lives on while converters' chatter is captured.
            self._terminal = os.fdopen(os.dup(2), "w")
            console = rich.console.Console(file=self._terminal, force_terminal=True)
            self._bar = bar.Progress(
                *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
            self._terminal.close()
        if self._log:
            self._log.close()

    def say(self, message: str) -> None:
        """Print one line above the bar."""
        if self._bar:
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            print(message, file=sys.stderr, flush=True)
        self.event("say", message=message)

    def event(self, kind: str, **fields: Any) -> None:
        """Append one line to the log."""
        if self._log:
            self._log.write(json.dumps({"time": round(time.time(), 3), "event": kind, **fields}, default=str) + "\n")

    def advance(self, label: str, done: int, total: int) -> None:
        """Move the bar; a new label starts a new one."""
        if not self._bar:
            return
        if self._task is None or label != self._label:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._label, self._task = label, self._bar.add_task(label, total=total)
        self._bar.update(self._task, completed=done, total=total, visible=done < total)
