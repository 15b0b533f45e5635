"""How a command ends that did not end well: whatever came up as one error of ours, and a stdout that takes no more."""

from __future__ import annotations

import contextlib
import os
import select
import sys

import typer

from edgetl.errors import Bug, EdgetlError, UsageError
from edgetl.errors.translation import refused
from edgetl.errors.wording import one_line

__all__ = ["drop_output", "reader_is_gone", "translated"]


def translated(exc: BaseException) -> EdgetlError:
    """The error that a user is told, for anything that a command raised."""
    if isinstance(exc, typer.TyperException):
        return _usage(exc)
    error = refused(exc, unnamed="stdout")
    if error is not None:
        return error
    return Bug(
        f"this is a bug in edgetl: {type(exc).__name__}: {one_line(exc) or 'without a word'}",
        hint="run again with --debug, and report what it prints",
    )


def _usage(exc: typer.TyperException) -> UsageError:
    """What typer says of the line, in our style. Its classes are private: they are known by what they have."""
    context = getattr(exc, "ctx", None)
    if type(exc).__name__ == "NoArgsIsHelpError":
        return UsageError("no command", hint=exc.message)
    message = exc.format_message().rstrip(".")
    if hasattr(exc, "option_name") and hasattr(exc, "possibilities"):
        near = sorted(exc.possibilities or [], reverse=True)
        message = f"no such option {exc.option_name}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if context is None:
        return UsageError(message[:1].lower() + message[1:], hint="edgetl --help shows the commands")
    usage = " ".join(context.get_usage().removeprefix("Usage:").split())
    return UsageError(message[:1].lower() + message[1:], hint=f"{usage}; {context.command_path} --help says more")


def drop_output() -> None:
    """Flush stdout; what it does not take is dropped, as Python would try it again at its end and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reader_is_gone() -> bool:
    """Whether nobody reads stdout any more (`edgetl ... | head`); otherwise it was another pipe that broke."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):
        return False
    return bool(poll.poll(0))
