"""What goes wrong with a disk, as one error: full, over a quota, read-only, failing.

Not everybody reports it as an OSError: converters raise RuntimeError, numpy an OSError without a number, sqlite its own
types. So the whole chain of causes is looked at, its words too, and at last the disk itself.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from edgetl.errors import EdgetlError, EnvironmentFault
from edgetl.errors.wording import first_line

__all__ = ["fault", "require_room", "writing"]

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would be larger than this disk or the process's limit allows",
}
_REFUSED = {errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_FAILING = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENODEV}
_WORDS = {**{os.strerror(number).lower(): number for number in _FULL}, "disk is full": errno.ENOSPC}
_STREAM = "iostream error"
"""All that C++ says about a failed write; OpenVINO removes the file then, so that afterwards there is room again."""
_LEAST_ROOM = 1 << 20
"""Bytes. With less than this left, whatever failed is taken to have failed for want of room."""


class writing:  # noqa: N801 - reads as `with writing(folder):`
    """Translate what the disk says while something is written below `place`.

    Raises:
        EnvironmentFault: the disk is full, a quota is used up, the folder is read-only, the disk fails. All that has
            nothing to do with the disk passes unchanged.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            translated = fault(error, self._place)
            if translated is not None:
                raise translated from error


def fault(error: Exception, place: Path) -> EnvironmentFault | None:
    """The disk's part in an error that was met while writing below `place`; None where it has none."""
    if isinstance(error, MemoryError) or (isinstance(error, EdgetlError) and type(error) is not EdgetlError):
        return None  # these know better what happened; a plain EdgetlError is what a converter's failure becomes
    for cause in _chain(error):
        number = cause.errno if isinstance(cause, OSError) else None
        if number not in _FULL:
            number = next((number for words, number in _WORDS.items() if words in str(cause).lower()), number)
        if number in _FULL:
            return _full(_FULL[number], place)
        if _STREAM in str(cause):
            return _full(f"a file could not be written ({(_free(place) or 0) / 1e6:.0f} MB are free)", place)
    if isinstance(error, OSError):
        where, reason = Path(error.filename or place), error.strerror or str(error)
        if error.errno in _REFUSED and where.is_relative_to(place):
            return EnvironmentFault(
                f"cannot be written: {reason}",
                place=str(where),
                hint="give another folder: EDGETL_STORE is for the store, --out for a run",
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return EnvironmentFault(f"cannot be read or written: {reason}", place=str(where))
        if error.errno in _FAILING:
            return EnvironmentFault(f"the disk or the system fails: {reason}", place=str(where))
    for folder in (place, Path(tempfile.gettempdir())):
        free = _free(folder)
        if free is not None and free < _LEAST_ROOM:
            return _full(f"{_FULL[errno.ENOSPC]} ({type(error).__name__}: {first_line(error)})", folder)
    return None


def require_room(place: Path) -> None:
    """Raise EnvironmentFault when the disk is full: what was written until now may be cut off, unnoticed by its writer.

    C++ streams (OpenVINO's) drop what does not fit without a word.
    """
    free = _free(place)
    if free is not None and free < _LEAST_ROOM:
        raise _full(_FULL[errno.ENOSPC], place)


def _full(what: str, place: Path) -> EnvironmentFault:
    return EnvironmentFault(
        f"{what}; finished stages are kept", place=str(place), hint="free some space, then run the same command again"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _free(folder: Path) -> int | None:
    """Free bytes of the disk that holds `folder`, or the nearest folder above it that exists."""
    for existing in (folder, *folder.parents):
        try:
            return shutil.disk_usage(existing).free
        except OSError:
            continue
    return None
