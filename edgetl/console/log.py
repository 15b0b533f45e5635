"""A build's log.jsonl: what was said, every event, and what libraries printed meanwhile, one JSON object a line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgetl.console.capture import captured
from edgetl.console.progress import Progress

if TYPE_CHECKING:
    from edgetl.console.capture import Log

__all__ = ["Logged"]

# Beside the log, with the process's number: what libraries printed since the stage began.
_PRINTED = ".printed-"


class Logged:
    """A progress whose reports are kept in a file too. To be entered once, with `with`.

    What libraries print goes there and not to the screen: stdout and stderr of the whole process are redirected until the
    end. A log that cannot be written is said once, and costs nothing else.

    progress: what reports are handed on to.
    path: a JSON-lines file that is appended to.
    """

    def __init__(self, progress: Progress, path: Path) -> None:
        self._progress, self._path = progress, path
        self.advance = progress.advance
        self._log: int | None = None
        self._torn = self._failed = False
        self._output: Log | None = None
        self._open = ExitStack()

    def __enter__(self) -> Logged:
        with ExitStack() as stack:
            try:
                self._open_log(stack)
            except OSError as exc:
                self._give_up(f"{exc.strerror}; it is left out")
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def say(self, message: str) -> None:
        """Hand on and keep one line on how it goes."""
        self._progress.say(message)
        self._write("say", message=message)

    def warn(self, message: str) -> None:
        """Hand on and keep one line that must be seen."""
        self._progress.warn(message)
        self._write("warn", message=message)

    def event(self, kind: str, **fields: Any) -> None:
        """Hand on and keep something for programs."""
        self._progress.event(kind, **fields)
        self._write(kind, **fields)

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[None]:
        """Keep what was printed in the stage under its name."""
        try:
            with self._progress.stage(name, number, total):
                yield
        finally:
            self._keep_output(name)

    def _write(self, kind: str, **fields: Any) -> None:
        if self._log is None:
            return
        text = json.dumps({"time": round(time.time(), 3), "event": kind, **fields}, default=str) + "\n"
        # In one piece and without a buffer: lines of two builds do not mix, and a failed one is not tried again.
        line = (("\n" if self._torn else "") + text).encode()
        try:
            written = os.write(self._log, line)
        except OSError as exc:
            self._give_up(f"{exc.strerror}; lines of it are lost")
            return
        self._torn = written < len(line)
        if self._torn:
            self._give_up("the disk is full; lines of it are lost")

    def _open_log(self, stack: ExitStack) -> None:
        self._log = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        stack.callback(os.close, self._log)
        self._keep_last_words(self._path.parent)
        printed = self._path.parent / f"{_PRINTED}{os.getpid()}"
        stack.callback(printed.unlink, missing_ok=True)
        self._output = stack.enter_context(captured(printed))
        stack.callback(self._keep_output, None)

    def _keep_last_words(self, folder: Path) -> None:
        """What was printed in a build that died without a chance to log it."""
        for left in sorted(folder.glob(f"{_PRINTED}*")):
            if text := left.read_text(encoding="utf-8", errors="replace").strip():
                self._write("output", stage=None, text=text, of="an earlier build that died")
            left.unlink(missing_ok=True)

    def _keep_output(self, stage: str | None) -> None:
        """What was printed since the last call, into the log."""
        if self._output is None:
            return
        text = self._output.new()
        if text.strip():
            self._write("output", stage=stage, text=text)

    def _give_up(self, why: str) -> None:
        """Say once that the log cannot be written."""
        if not self._failed:
            self._failed = True
            self._progress.warn(f"warning: {self._path}: {why}; the build goes on")
