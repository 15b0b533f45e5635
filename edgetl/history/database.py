"""The SQLite file of the history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.errors import EnvironmentFault, IntegrityError
from edgetl.evidence.intervals import Interval
from edgetl.history.record import CIRCUMSTANCES, Record
from edgetl.results.document import validated
from edgetl.results.latency import Machine

__all__ = ["FILE", "History"]

FILE = "history.sqlite"
"""Its name in a store."""

VERSION = 1
"""`PRAGMA user_version`: raised when an older edgetl could no longer read what is written."""
APPLICATION = 0x6564676C
"""`PRAGMA application_id`, "edgl": so that no other program's file is taken for a history."""
BUSY_S = 60.0
"""How long to wait for another process that writes."""

_TEXTS = (
    *("run", "time", "source", "label", "edgetl", "bundle", "bundle_sha256"),
    *("artifact", "sha256", "content", "model", "backend", "precision"),
)
_COLUMNS = (
    *(f"{name} TEXT NOT NULL" for name in _TEXTS),
    "bytes INTEGER NOT NULL",
    *(f"{name} {'INTEGER' if name in ('batch', 'threads') else 'TEXT'} NOT NULL" for name in CIRCUMSTANCES),
    "noisy INTEGER NOT NULL",
    "machine TEXT NOT NULL",
    "data TEXT NOT NULL",
    "metrics TEXT NOT NULL",
    "row TEXT NOT NULL",
)
_NAMES = tuple(column.partition(" ")[0] for column in _COLUMNS)
_ONCE = "run, artifact, target, batch, threads, accelerator, mode"
_CREATE = f"CREATE TABLE measurements (id INTEGER PRIMARY KEY, {', '.join(_COLUMNS)}, UNIQUE ({_ONCE}))"
_INSERT = (
    f"INSERT INTO measurements ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) "
    f"ON CONFLICT ({_ONCE}) DO NOTHING"
)
_KEPT = "it is not replaced: move it away to begin a new one, or name another with --history FILE"


class History:
    """Measurements in a file; opening it writes nothing.

    Several processes may append at once: each waits for the other, and none of their rows is lost.

    All methods raise:
        IntegrityError: it is no history, or damaged.
        EnvironmentFault: a newer edgetl wrote it, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, records: Sequence[Record]) -> int:
        """Add measurements, all or none; those of a run that are there already are left as they are. How many were new.

        Raises:
            EnvironmentFault: as ever, or the disk is full or read-only, or somebody else wrote for a minute.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise EnvironmentFault(f"cannot be made: {exc.strerror}", place=str(self.path.parent)) from exc
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")  # also before looking: two that begin a file make one table
            if not self._known(connection):
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute(_CREATE)
            before = connection.total_changes
            connection.executemany(_INSERT, map(_values, records))
            added = connection.total_changes - before
            connection.execute("COMMIT")
            return added

    def knows(self, run: str) -> bool:
        """Whether measurements of a run are there."""
        if not self.path.exists():
            return False
        with self._open() as connection:
            find = "SELECT 1 FROM measurements WHERE run = ? LIMIT 1"
            return self._known(connection) and connection.execute(find, (run,)).fetchone() is not None

    def read(self) -> list[Record]:
        """All measurements, in the order in which they were added; none where there is no file.

        Raises:
            IntegrityError: as ever, or a row is not what this class wrote.
        """
        if not self.path.exists():
            return []
        with self._open() as connection:
            if not self._known(connection):
                return []
            rows = connection.execute(f"SELECT id, {', '.join(_NAMES)} FROM measurements ORDER BY id").fetchall()
        return [self._record(*row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            # No isolation level: transactions begin where this file says so.
            with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as connection:
                yield connection
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # no such table, no such column
                raise self._damaged(str(exc)) from exc
            raise EnvironmentFault(  # locked, read-only, a full disk, a folder
                f"the history of measurements cannot be used: {exc}",
                place=str(self.path),
                hint="name another with --history FILE, or measure with --no-history",
            ) from exc
        except sqlite3.DatabaseError as exc:
            raise self._damaged(str(exc)) from exc

    def _known(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is a history; False where it is still empty."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, tables) == (0, 0, 0):
            return False
        if application != APPLICATION:
            raise IntegrityError("is no history of measurements", place=str(self.path), hint=_KEPT)
        if version > VERSION:
            raise EnvironmentFault(
                f"a newer edgetl wrote this history: version {version}, this one knows {VERSION}",
                place=str(self.path),
                hint="upgrade edgetl, or name another file with --history FILE",
            )
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise self._damaged(state)
        return True

    def _record(self, number: int, *values: Any) -> Record:
        fields = dict(zip(_NAMES, values, strict=True))
        try:
            metrics = {name: Interval(**value) for name, value in json.loads(fields["metrics"]).items()}
            machine = validated(Machine, json.loads(fields["machine"]))
            named = {name: fields[name] for name in (*_TEXTS, "bytes", "data")}
            return Record(**named, machine=machine, metrics=metrics, row=json.loads(fields["row"]))
        except (ValueError, TypeError, AttributeError) as exc:
            raise self._damaged(f"measurement {number}: {exc}") from exc

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"the history of measurements is damaged: {what}", place=str(self.path), hint=_KEPT)


def _values(record: Record) -> tuple[Any, ...]:
    content = {name: getattr(record, name) for name in (*_TEXTS, "bytes", "data")}
    content |= {name: record.row[name] for name in CIRCUMSTANCES}
    content |= {"noisy": record.noisy, "machine": json.dumps(asdict(record.machine))}
    content |= {"metrics": json.dumps({name: value.to_json() for name, value in record.metrics.items()})}
    content["row"] = json.dumps(dict(record.row))
    return tuple(content[name] for name in _NAMES)
