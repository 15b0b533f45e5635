"""The only place where a command line for a device's shell is made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

__all__ = ["command"]


def command(argv: Sequence[str], folder: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """A command line for a POSIX shell: every word is quoted, and the shell becomes the program.

    folder: where it starts. env: variables whose names are ours.
    """
    words = [f"{name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    line = " ".join([*words, "exec", *map(shlex.quote, argv)])
    return line if folder is None else f"cd {shlex.quote(folder)} && {line}"
