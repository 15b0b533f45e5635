"""The standard streams of a process whose parent closed some of them, or whose reader went away."""

from __future__ import annotations

import contextlib
import io
import os
import sys

__all__ = ["exact_names", "open_closed", "tell"]


def open_closed() -> None:
    """Lead streams that are closed (`>&-`, daemons) to the null device: else the next file that is opened becomes stdout."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_nothing(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def tell(text: str) -> None:
    """A line on stderr. Where nobody takes it, it is lost: that must not change how a command ends."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            _to_nothing(sys.stderr.fileno())  # Python tries again at its end, and exits with 120 when that fails


def exact_names() -> None:
    """Let stdout take file names that are no text (POSIX), as the bytes that they are."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def _to_nothing(descriptor: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
