"""The root of edgetl's errors, on the device side because the device raises them too.

EdgetlError                    1
├── IntegrityError             5  a file is not what the manifest says
├── UnreadableImage            2  a picture that cannot be decoded safely
├── UsageError                 2  a command or a call asks for what cannot be
├── MissingRuntime             3  the inference runtime of an artefact is not installed
├── MissingAccelerator         4  a runtime has no such accelerator
└── WorkerError                4  a model that is being measured died, hung or misspoke

`edgetl.errors` draws the rest of the tree.
"""

from __future__ import annotations


class EdgetlError(Exception):
    """What a user can cause or meet: one line that says where, what was got, what was expected, and a hint.

    place: where it is wrong ("recipe.yaml:7:3", a path, a stage), shown before the message.
    hint: what to do about it, shown on its own line.
    """

    exit_code = 1

    def __init__(self, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.place}: {self.message}" if self.place else self.message
        return f"{line}\n  hint: {self.hint}" if self.hint else line


class IntegrityError(EdgetlError):
    """A file is missing, changed or malformed against what its manifest says."""

    exit_code = 5


class UnreadableImage(EdgetlError):
    """A picture that cannot be decoded, or not safely (decompression bomb)."""

    exit_code = 2


class UsageError(EdgetlError):
    """A command line, or the arguments of a call, ask for what cannot be."""

    exit_code = 2


class WorkerError(EdgetlError):
    """A measured model's process died, hung or said something else than expected."""

    exit_code = 4


class MissingRuntime(EdgetlError):
    """The inference runtime that an artefact needs is not installed."""

    exit_code = 3


class MissingAccelerator(EdgetlError):
    """The accelerator that was asked for is not there; nothing else was taken instead."""

    exit_code = 4
