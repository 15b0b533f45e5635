"""What a data set is, as one sha256, quickly: a file is read again only when its size, times or inode have changed.

Nothing here decodes a picture or imports more than the standard library, so a build of unchanged data knows so at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgetl.data import readers
from edgetl.data.records import Record
from edgetl.errors import DataError, EnvironmentFault

__all__ = ["Fingerprints", "fingerprint"]

_SETTLED_NS = 2_000_000_000
"""A file touched this shortly before it was hashed could change again within the clock's grain, unseen: it is not
indexed (git's "racy" entries)."""

_CREATE = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID"
)


class Fingerprints:
    """sha256 of files through an index of what was hashed before.

    The index is a cache: losing it costs time only, a damaged one is started again, and several builds may share it.
    """

    def __init__(self, index_path: Path) -> None:
        """Keep the index at `index_path`, an SQLite file that is made when needed."""
        self._index_path = index_path

    def digest(self, root: Path, paths: Iterable[str]) -> dict[str, str]:
        """sha256 in hex of each of `paths`, which are relative to `root`.

        Raises:
            DataError: a file is missing or cannot be read.
        """
        base = f"{root.resolve()}{os.sep}"
        states = {path: _state(base + path) for path in dict.fromkeys(paths)}
        try:
            known = self._recall(base)
        except sqlite3.OperationalError as exc:  # locked, read-only, no room: the store itself is the trouble
            raise EnvironmentFault(f"cannot open the index of file hashes: {exc}", place=str(self._index_path)) from exc
        except sqlite3.DatabaseError:
            self._index_path.unlink()
            known = {}
        digests = {path: known[path][1] for path, state in states.items() if known.get(path, ("",))[0] == state}
        unknown = [path for path in states if path not in digests]
        hashed_at = time.time_ns()
        with ThreadPoolExecutor(8) as pool:
            digests.update(zip(unknown, pool.map(lambda path: _sha256(base + path), unknown), strict=True))
        self._remember(
            base, {path: (states[path], digests[path]) for path in unknown if _settled(states[path], hashed_at)}
        )
        return digests

    def _recall(self, base: str) -> dict[str, tuple[str, str]]:
        self._index_path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._index_path, timeout=30)
        try:
            connection.execute(_CREATE)
            rows = connection.execute(
                "SELECT substr(path, ?), state, sha256 FROM files WHERE path >= ? AND path < ?",
                (len(base) + 1, base, base[:-1] + chr(ord(base[-1]) + 1)),
            )
            return {path: (state, sha256) for path, state, sha256 in rows}
        finally:
            connection.close()

    def _remember(self, base: str, entries: dict[str, tuple[str, str]]) -> None:
        if not entries:
            return
        connection = sqlite3.connect(self._index_path, timeout=30)
        try:
            with connection:
                connection.execute(_CREATE)
                connection.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                    ((base + path, state, sha256) for path, (state, sha256) in entries.items()),
                )
        finally:
            connection.close()


def fingerprint(kind: str, root: Path, index_path: Path) -> str:
    """sha256 in hex of the data set under `root`: of its records and of every file they name.

    The metadata table enters as the records read from it: a column that no record holds may change without retraining.

    Raises:
        DataError: the data set cannot be read.
    """
    records = readers.read(kind, root)
    digests = Fingerprints(index_path).digest(root, files(records))
    whole = hashlib.sha256()
    for record in records:
        row = [record.image, record.label, record.group, record.split, record.mask, sorted(record.metadata.items())]
        row += [digests[record.image], digests[record.mask] if record.mask else None]
        whole.update(json.dumps(row).encode() + b"\n")
    return whole.hexdigest()


def files(records: Iterable[Record]) -> list[str]:
    """Relative paths of every picture and mask that the records name."""
    return [path for record in records for path in (record.image, record.mask) if path]


def _state(path: str) -> str:
    """What changes when a file does. The change time also catches copies that keep size and modification time."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path for each of 17,000 files takes longer than the calls
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=path) from exc
    return f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _settled(state: str, hashed_at: int) -> bool:
    _, _, modified, changed = map(int, state.split())
    return max(modified, changed) < hashed_at - _SETTLED_NS


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=path) from exc
