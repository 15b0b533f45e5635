"""What the machine refuses, whoever asks, as errors of ours; other failures are translated where they are met."""

from __future__ import annotations

import errno

from edgetl.errors import EdgetlError, EnvironmentFault, Interrupted, out_of_memory
from edgetl.errors.wording import one_line

__all__ = ["refused"]

_REFUSALS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ENOMEM),
}


def refused(exc: BaseException, unnamed: str | None = None) -> EdgetlError | None:
    """The error that a user is told when Ctrl-C, memory, the disk or an installation ended something; None of a bug.

    unnamed: what an OSError is about that names no file.
    """
    if isinstance(exc, EdgetlError):
        return exc
    if isinstance(exc, KeyboardInterrupt):
        return Interrupted("interrupted")
    if out_of_memory(exc):
        return EnvironmentFault("out of memory", hint="lower batch_size or image_size; finished stages are kept")
    if isinstance(exc, OSError) and exc.errno in _REFUSALS:
        return EnvironmentFault(str(exc.strerror), place=str(exc.filename) if exc.filename else unnamed)
    if isinstance(exc, ImportError) and exc.name and exc.name.partition(".")[0] != "edgetl":
        return EnvironmentFault(
            f"{exc.name} cannot be imported ({one_line(exc)})",
            hint="edgetl doctor shows what is broken, and how it is repaired",
        )
    return None
