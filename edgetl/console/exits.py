"""How a command ends that did not end well: whatever came up as one error of ours, and a stdout that takes no more."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys

import typer

from edgetl.errors import Bug, EdgetlError, EnvironmentFault, Interrupted, UsageError, out_of_memory

__all__ = ["drop_output", "reader_is_gone", "translated"]

# What a machine may refuse, whoever asks; other errors of files are translated where they are met.
_REFUSALS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ENOMEM),
}


def translated(exc: BaseException) -> EdgetlError:
    """The error that a user is told, for anything that a command raised."""
    if isinstance(exc, EdgetlError):
        return exc
    if isinstance(exc, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(exc, typer.TyperException):
        return _usage(exc)
    if out_of_memory(exc):
        return EnvironmentFault("out of memory", hint="lower batch_size or image_size; finished stages are kept")
    if isinstance(exc, OSError) and exc.errno in _REFUSALS:
        return EnvironmentFault(str(exc.strerror), place=str(exc.filename or "stdout"))
    if isinstance(exc, ImportError) and exc.name and exc.name.partition(".")[0] != "edgetl":
        return EnvironmentFault(
            f"{exc.name} cannot be imported ({_line(exc)})",
            hint="edgetl doctor shows what is broken, and how it is repaired",
        )
    return Bug(
        f"this is a bug in edgetl: {type(exc).__name__}: {_line(exc) or 'without a word'}",
        hint="run again with --debug, and report what it prints",
    )


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:300]


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
