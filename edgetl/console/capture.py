"""Converters print dozens of lines each, from Python and from C++: they belong in a log, not on the person's screen.

`captured` works on the file descriptors, because C++ writes below `sys.stdout`. It redirects the whole process, so it
is for the one thread that converts. A progress bar that must stay alive meanwhile writes to its own `duplicate`
of stderr, taken before.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, TextIO

__all__ = ["Log", "Unharmed", "aloud", "captured", "duplicate"]

_innermost: ContextVar[Log | None] = ContextVar("innermost", default=None)
_outside: list[TextIO] = []
"""Where stderr led before the outermost capture. Captures are of the whole process, and so of all its threads."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Unharmed(io.FileIO):
    """A descriptor whose failing writes are forgotten: a full disk or a closed terminal must not end who only talks."""

    def write(self, data: Any) -> int:
        """Write, or pretend to have written."""
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


class Log:
    """What was printed so far; readable while `captured` lasts and after it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = self._read = os.fstat(file.fileno()).st_size
        self._kept: str | None = None

    def close(self) -> None:
        """Keep the text and let go of the file."""
        self._kept = self.text()
        self._file.close()

    def text(self) -> str:
        """Everything since `captured` began, without terminal escapes."""
        if self._kept is not None:
            return self._kept
        size = os.fstat(self._file.fileno()).st_size - self._start
        # pread leaves the shared file position, at which everybody is writing, where it is.
        return _ESCAPES.sub("", os.pread(self._file.fileno(), size, self._start).decode("utf-8", "replace"))

    def new(self) -> str:
        """What was added since the last call of this, while `captured` lasts."""
        end = os.fstat(self._file.fileno()).st_size
        added = os.pread(self._file.fileno(), end - self._read, self._read)
        self._read = end
        return _ESCAPES.sub("", added.decode("utf-8", "replace"))

    def add(self, text: str) -> None:
        """Append what an inner capture got."""
        with contextlib.suppress(OSError):
            os.write(self._file.fileno(), text.encode())

    def tail(self, lines: int = 12) -> str:
        """The last non-empty lines; of a line redrawn with carriage returns, its last state."""
        kept = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in self.text().split("\n"))
        return "\n".join([line for line in kept if line][-lines:])


@contextlib.contextmanager
def captured(log: Path | None = None) -> Iterator[Log]:
    """Send stdout and stderr of this process, C level included, to `log` (appended to; None: a temporary file).

    Both are put back when the block ends, however it ends. Nests: the innermost capture gets the lines, and hands them
    on to the one around it when it ends. Child processes inherit the redirection.
    """
    with contextlib.ExitStack() as stack:
        file = log.open("ab+") if log else tempfile.TemporaryFile()  # noqa: SIM115 (Log closes it)
        log_so_far, around = Log(file), _innermost.get()
        stack.callback(log_so_far.close)
        if around is not None:
            stack.callback(lambda: around.add(log_so_far.text()))
        stack.callback(_innermost.reset, _innermost.set(log_so_far))
        _flush()
        if not _outside:
            _outside.append(duplicate(sys.stderr))
            stack.callback(_let_go)
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(file.fileno(), descriptor)
        # sys.stdout need not stand on descriptor 1 (pytest, notebooks): Python's own prints are redirected by name too.
        printed = io.TextIOWrapper(Unharmed(os.dup(file.fileno()), "a"), "utf-8", write_through=True)
        stack.enter_context(printed)
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        stack.callback(_flush)
        yield log_so_far


def aloud(line: str) -> None:
    """Print a line on stderr, past all captures: somebody must read it, or the work does not go on."""
    print(line, file=_outside[0] if _outside else sys.stderr, flush=True)


def _let_go() -> None:
    stream = _outside.pop()
    if stream is not sys.stderr:
        stream.close()


def duplicate(stream: TextIO) -> TextIO:
    """A way of its own to where stdout or stderr leads now, whatever is redirected later; what it cannot write is lost.

    `stream` itself where it stands on neither descriptor: a notebook's, a test's.
    """
    try:
        if stream.fileno() not in (1, 2):
            return stream
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError):
        return stream
    raw = io.BufferedWriter(Unharmed(descriptor, "w"))
    return io.TextIOWrapper(raw, stream.encoding, errors="replace", line_buffering=True)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
