"""How a build tells a person how far it is; everything on stderr, so that stdout is the result alone.

On a terminal there is one display for the running stage, with the time left, and one line for each finished one. Elsewhere
there are plain lines, with a sign of life now and then. Whatever else is printed meanwhile, by libraries and by what they
start, belongs into the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgetl.console.capture import Log
    from edgetl.console.display import Display

# Beside the log, with the process's number: what libraries printed since the stage began.
_PRINTED = ".printed-"


class Progress(Protocol):
    """What stages report to."""

    def say(self, message: str) -> None:
        """One line on how it goes; a terminal shows the newest one of a stage, a log keeps all."""

    def warn(self, message: str) -> None:
        """One line that must be seen: it stays on the screen, and is said even where nothing else is."""

    def event(self, kind: str, **fields: Any) -> None:
        """One line for log.jsonl only: an epoch's numbers, a candidate's score."""

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
    """A person's console, and the log of what was said. To be entered once, with `with`.

    log: a JSON-lines file that is appended to. With it, what libraries print goes there and not to the screen: stdout and
        stderr of the whole process are redirected until the end. A log that cannot be written is said once, and costs
        nothing else. None keeps no log and redirects nothing.
    quiet: show warnings only; `edgetl --quiet` sets EDGETL_QUIET, which does the same.
    """

    def __init__(self, log: Path | None = None, *, quiet: bool = False) -> None:
        self._path, self._quiet = log, quiet or bool(os.environ.get("EDGETL_QUIET"))
        self._log: int | None = None
        self._torn = self._told = False
        self._output: Log | None = None
        self._display: Display
        self._open = ExitStack()

    def __enter__(self) -> Console:
        from edgetl.console.display import display  # brings rich on a terminal

        with ExitStack() as stack:
            self._display = display(self._quiet)
            stack.callback(self._display.close)
            if self._path is not None:
                self._open_log(self._path, stack)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def say(self, message: str) -> None:
        """Show one line on how it goes."""
        self._display.say(message)
        self.event("say", message=message)

    def warn(self, message: str) -> None:
        """Show one line that stays."""
        self._display.keep(message)
        self.event("warn", message=message)

    def event(self, kind: str, **fields: Any) -> None:
        """Append one line to the log."""
        if self._log is None:
            return
        text = json.dumps({"time": round(time.time(), 3), "event": kind, **fields}, default=str) + "\n"
        # In one piece and without a buffer: lines of two builds do not mix, and a failed one is not tried again.
        line = (("\n" if self._torn else "") + text).encode()
        try:
            written = os.write(self._log, line)
        except OSError as exc:
            self._tell(f"{exc.strerror}; lines of it are lost")
            return
        self._torn = written < len(line)
        if self._torn:
            self._tell("the disk is full; lines of it are lost")

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
            self._keep_output(name)

    def _open_log(self, path: Path, stack: ExitStack) -> None:
        from edgetl.console.capture import captured

        try:
            self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            stack.callback(os.close, self._log)
            self._keep_last_words(path.parent)
            printed = path.parent / f"{_PRINTED}{os.getpid()}"
            stack.callback(printed.unlink, missing_ok=True)
            self._output = stack.enter_context(captured(printed))
        except OSError as exc:
            self._tell(f"{exc.strerror}; it is left out")
            return
        stack.callback(self._keep_output, None)

    def _keep_last_words(self, folder: Path) -> None:
        """What was printed in a build that died without a chance to log it."""
        for left in sorted(folder.glob(f"{_PRINTED}*")):
            if text := left.read_text(encoding="utf-8", errors="replace").strip():
                self.event("output", stage=None, text=text, of="an earlier build that died")
            left.unlink(missing_ok=True)

    def _keep_output(self, stage: str | None) -> None:
        """What was printed since the last call, into the log."""
        if self._output is None:
            return
        text = self._output.new()
        if text.strip():
            self.event("output", stage=stage, text=text)

    def _tell(self, why: str) -> None:
        """Say once that the log cannot be written."""
        if not self._told:
            self._told = True
            self._display.keep(f"warning: {self._path}: {why}; the build goes on")
