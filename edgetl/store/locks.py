"""One process at a time: locks on files, which the operating system lets go when their holder ends, however it ends.

`flock` on a file of its own. A crashed or killed holder leaves the file behind and not the lock, so nothing is ever stale.
Over NFS it works between machines from Linux 2.6.12 and NFSv4 on (older servers lock each machine for itself). Where files
cannot be locked (Windows, some network and FUSE file systems) a line says so and the work goes on without.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Holder", "free", "holder", "locked"]

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, for what, since when (seconds since 1970)."""

    pid: int
    host: str
    doing: str
    since: float


@contextlib.contextmanager
def locked(path: Path, doing: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; wait for it where another process holds it, and say so once.

    Args:
        path: the lock's file; made, and removed afterwards.
        doing: what the holder does, read by whoever waits: "computes teach".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = _take(path, wait=False, say=say)
    except BlockingIOError:
        other = _note(path)
        who = f" (pid {other.pid} on {other.host}) that {other.doing}" if other else ""
        say(f"waiting for another build{who}")
        descriptor = _take(path, wait=True, say=say)
    try:
        if descriptor is not None:
            _sign(descriptor, doing)
        yield
    finally:
        if descriptor is not None:
            _let_go(path, descriptor)


@contextlib.contextmanager
def free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` where nobody does: the block gets whether it could be had, and never waits.

    Raises OSError where no lock can be written: whoever may not lock may not remove either.
    """
    descriptor, had = None, True
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = _take(path, wait=False, say=lambda _: None)
    except BlockingIOError:
        had = False
    try:
        yield had
    finally:
        if descriptor is not None:
            _let_go(path, descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the lock at `path` now; None when nobody does, or it is not known."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _note(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _take(path: Path, *, wait: bool, say: Callable[[str], None]) -> int | None:
    """The locked file's descriptor, or None where files cannot be locked. Without `wait`, BlockingIOError: it is held."""
    if fcntl is None:
        say("warning: this system cannot lock files: do not run two builds at once")
        return None
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(descriptor, path):
                return descriptor
        except OSError as exc:
            os.close(descriptor)
            if exc.errno not in _UNSUPPORTED:
                raise
            say(f"warning: files cannot be locked in {path.parent}: do not run two builds at once there")
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed the file while we waited: there is a new one, or none


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, doing: str) -> None:
    note = {"pid": os.getpid(), "host": platform.node(), "doing": doing, "since": time.time()}
    with contextlib.suppress(OSError):  # a full disk: the lock holds without a name on it
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)


def _let_go(path: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        path.unlink()  # while it is still locked, so that only its holder removes it
    os.close(descriptor)


def _note(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
