"""What a data set is, as one sha256, quickly: a file is read again only when its size, times or inode have changed.

Nothing here decodes a picture or imports more than the standard library, so a build of unchanged data knows so at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from edgetl.data.records import Record
from edgetl.errors import DataError, EnvironmentFault
from edgetl.errors.wording import some
from edgetl.files import sha256_of, state_of

__all__ = ["Fingerprints", "fingerprint"]

_SETTLED_NS = 2_000_000_000
"""A file touched this shortly before it was hashed could change again within the clock's grain, unseen: it is not
indexed (git's "racy" entries)."""

_THREADS = 8
_AT_ONCE = 1024
_EMPTY = "the file is empty (0 bytes), expected a picture"

_RECALL = "SELECT state, sha256 FROM files WHERE path = ?"
_REMEMBER = "INSERT OR REPLACE INTO files VALUES (?, ?, ?)"
_CREATE = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID"
)


class Fingerprints:
    """sha256 of files through an index of what was hashed before.

    The index is a cache: losing it costs time only, a damaged one is started again, and several builds may share it. Where
    it may not be written (a project on a read-only disk), files are hashed each time.
    """

    def __init__(self, index_path: Path) -> None:
        """Keep the index at `index_path`, an SQLite file that is made when needed."""
        self._index_path = index_path

    def digest(self, root: Path, paths: Iterable[str]) -> dict[str, str]:
        """sha256 in hex of each of `paths`, which are relative to `root`.

        Raises:
            DataError: files are missing or cannot be read; all of them are in one error.
            EnvironmentFault: the index cannot be opened or written.
        """
        digests, unreadable = self.look(root, paths)
        if unreadable:
            raise _all_unreadable(root, unreadable)
        return digests

    def look(self, root: Path, paths: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """As `digest`, but files that cannot be read are returned too, each with the reason.

        Raises:
            EnvironmentFault: the index cannot be opened or written.
        """
        wanted = list(dict.fromkeys(paths))
        try:
            try:
                return self._look(root, wanted)
            except sqlite3.OperationalError:  # locked, read-only, no room: the store itself is the trouble
                raise
            except sqlite3.DatabaseError:
                self._index_path.unlink(missing_ok=True)  # another build may have noticed too
                return self._look(root, wanted)
        except sqlite3.DatabaseError as exc:
            raise EnvironmentFault(f"cannot open the index of file hashes: {exc}", place=str(self._index_path)) from exc

    def copies(self, root: Path, paths: Sequence[str]) -> tuple[Mapping[str, str], dict[str, str]]:
        """What is byte-identical: digests of the files that are not alone; every other path stands for itself.

        Digests of all would take more memory than the records. Files that cannot be read are returned too, each with
        the reason.

        Raises:
            EnvironmentFault: the index cannot be opened or written.
        """
        unreadable: dict[str, str] = {}
        beginnings = array("Q")
        for start in range(0, len(paths), _AT_ONCE):
            part = paths[start : start + _AT_ONCE]
            digests, broken = self.look(root, part)
            unreadable |= broken
            beginnings.extend(int(digests.get(path, "0")[:16], 16) for path in part)
        repeated = {begin for begin, following in pairwise(sorted(beginnings)) if begin == following}
        perhaps = [path for path, begin in zip(paths, beginnings, strict=True) if begin in repeated]
        digests, broken = self.look(root, perhaps)
        counts = Counter(digests.values())
        copies = _Copies({path: digest for path, digest in digests.items() if counts[digest] > 1})
        return copies, unreadable | broken

    def _look(self, root: Path, paths: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        base = f"{root.resolve()}{os.sep}"
        digests: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        with closing(self._open()) as index, ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(paths), _AT_ONCE):
                _look_at(paths[start : start + _AT_ONCE], base, index, pool, digests, unreadable)
        return digests, unreadable

    def _open(self) -> sqlite3.Connection:
        """The index; one in memory where it may not be written."""
        folder = self._index_path.parent
        existing = [path for path in (self._index_path, folder, *folder.parents) if path.exists()]
        if all(os.access(path, os.W_OK) for path in existing[: 1 + self._index_path.exists()]):
            folder.mkdir(parents=True, exist_ok=True)
            index = sqlite3.connect(self._index_path, timeout=30)
        else:
            index = sqlite3.connect(":memory:")
        try:
            index.execute(_CREATE)
        except BaseException:
            index.close()
            raise
        return index


class _Copies(dict[str, str]):
    def __missing__(self, path: str) -> str:
        return path


def _look_at(
    paths: Sequence[str],
    base: str,
    index: sqlite3.Connection,
    pool: ThreadPoolExecutor,
    digests: dict[str, str],
    unreadable: dict[str, str],
) -> None:
    """Some of the paths: their digests out of the index, or out of the files."""
    unknown: dict[str, str] = {}
    for path in paths:
        try:
            state = state_of(base + path)
        except OSError as exc:
            unreadable[path] = _reason(exc)
            continue
        if state.startswith("0 "):
            unreadable[path] = _EMPTY
            continue
        row = index.execute(_RECALL, (_key(base + path),)).fetchone()
        if row is not None and row[0] == state:
            digests[path] = row[1]
        else:
            unknown[path] = state
    hashed_at = time.time_ns()
    hashed = dict(zip(unknown, pool.map(lambda path: _hashed(base + path), unknown), strict=True))
    digests.update((path, digest) for path, digest in hashed.items() if isinstance(digest, str))
    unreadable.update((path, _reason(error)) for path, error in hashed.items() if isinstance(error, OSError))
    with index:
        index.executemany(
            _REMEMBER,
            [
                (_key(base + path), state, digests[path])
                for path, state in unknown.items()
                if path in digests and _settled(state, hashed_at)
            ],
        )


def _key(path: str) -> str | bytes:
    """A path as SQLite takes it: text, or its bytes where they are none, as names on Linux may be."""
    name = os.fsencode(path)
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name


def fingerprint(root: Path, records: Sequence[Record], index_path: Path, cautions: Sequence[str] = ()) -> str:
    """sha256 in hex of a data set: of its records and of every file they name, and of what is odd about it.

    A metadata table enters as the records read from it: a column that no record holds may change without retraining.
    A file that cannot be opened enters as such; the data stage names it together with those that cannot be decoded.

    Raises:
        EnvironmentFault: the index cannot be opened or written.
    """
    index = Fingerprints(index_path)
    whole = hashlib.sha256(json.dumps(cautions).encode())
    for start in range(0, len(records), _AT_ONCE):
        part = records[start : start + _AT_ONCE]
        digests, unreadable = index.look(
            root, (path for record in part for path in (record.image, record.mask) if path)
        )
        content = {**digests, **unreadable}
        for record in part:
            row = [record.image, record.label, record.group, record.split, record.mask, sorted(record.metadata.items())]
            row += [content[record.image], content[record.mask] if record.mask else None]
            whole.update(json.dumps(row).encode() + b"\n")
    return whole.hexdigest()


def _settled(state: str, hashed_at: int) -> bool:
    _, _, modified, changed = map(int, state.split())
    return max(modified, changed) < hashed_at - _SETTLED_NS


def _hashed(path: str) -> str | OSError:
    try:
        return sha256_of(path)
    except OSError as exc:
        return exc


def _reason(exc: OSError) -> str:
    return f"cannot be read: {exc.strerror or exc}"


def _all_unreadable(root: Path, unreadable: Mapping[str, str]) -> DataError:
    (first, reason), *others = unreadable.items()
    shown = some([reason, *(f"  {path}: {why}" for path, why in others)])
    return DataError("\n".join(shown), place=str(root / first))
