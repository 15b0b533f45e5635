"""Files written whole or not at all, and what tells one content from another.

What is written lies beside its place as `.NAME.PID.partial` until it is complete; a rename puts it there. An exception
removes it. A kill cannot: who keeps a folder across kills and is its only writer begins with `sweep`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["flush", "replacing", "sha256_of", "state_of", "sweep", "write_whole"]

_PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A name beside `path` to write to: that file replaces `path` when the block ends, and is gone when it raises.

    `sync` has it on the disk before that, and the rename after it: a power cut then leaves the old file or the new one.

    Raises OSError.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        yield aside
        if sync:
            flush(aside)
        aside.replace(path)
        if sync:
            flush(path.parent)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes | bytearray, *, sync: bool = False) -> None:
    """All of `content`, text as UTF-8, or nothing of it, as `replacing` does.

    Raises OSError.
    """
    with replacing(path, sync=sync) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`; the caller is its only writer."""
    for left in folder.glob(f".*{_PARTIAL}"):
        left.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk when this returns.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path | str) -> str:
    """sha256 of a file's content, in lower-case hexadecimal.

    Raises OSError.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - a Path for each of 17,000 files takes longer than the calls
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(path: Path | str) -> str:
    """What changes when a file does: size, inode and times, size first, times of content and of change last.

    The time of change also catches copies that keep the other three.

    Raises OSError, also where `path` is no file.
    """
    status = os.stat(path)  # noqa: PTH116 - called for every file of a data set in an unchanged build
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL, "is no file", str(path))
    return f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"
