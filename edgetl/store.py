"""The content-addressed store: a finished stage is never computed twice, and a half-written one is never seen.

    .edgetl/
      entries/KEY/       what a stage wrote, and entry.json: its files with sha256, how long it took, where it came from
      aside/KEY-PID/     being written; renamed to entries/KEY when complete
      scratch/KEY/       checkpoints of a stage that has not ended; survives a kill

A key is the digest of everything that a stage depends on (`key`). What a later stage depends on is the *content* of an
earlier one (`Entry.digest`), so that a recomputed stage with the same result does not recompute what follows.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgetl.errors import EnvironmentFault
from edgetl.runtime.memory import peak_rss_mb

_ENTRY = "entry.json"
_TRIES = "tries.json"


@dataclass(frozen=True)
class Entry:
    """A finished stage.

    files: sha256 and size in bytes by relative path.
    seconds: how long it took to compute, summed over the builds that it took.
    peak_rss_mb: largest resident memory of the process when it ended, earlier stages of that build included.
    """

    key: str
    stage: str
    folder: Path
    files: Mapping[str, tuple[str, int]]
    seconds: float
    peak_rss_mb: float | None = None

    def digest(self, path: str = "") -> str:
        """sha256 over the names and contents of its files, or of the one file or folder at `path`."""
        inside = {
            name: sha256
            for name, (sha256, _) in self.files.items()
            if not path or name == path or name.startswith(f"{path}/")
        }
        return hashlib.sha256(json.dumps(inside, sort_keys=True).encode()).hexdigest()


@dataclass
class Draft:
    """A stage that is being computed: `folder` is filled, `scratch` survives a kill."""

    folder: Path
    scratch: Path
    entry: Entry | None = None


def key(stage: str, version: int, settings: Any, inputs: Mapping[str, str], tools: tuple[str, ...]) -> str:
    """The key of a stage: 32 hexadecimal digits over its name, version, recipe slice, inputs and the tools it uses.

    Device and thread count are provenance, not key: a model trained elsewhere is the same result.
    """
    versions = {tool: metadata.version(tool) for tool in tools}
    parts = {"stage": stage, "version": version, "settings": settings, "inputs": dict(inputs), "tools": versions}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Store:
    """Entries under one folder; see the module's docstring for the layout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Entry | None:
        """The finished entry of a key, or None; an entry with missing or cut files counts as not there."""
        folder = self.root / "entries" / key
        try:
            entry = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        files = {name: (sha256, size) for name, (sha256, size) in entry["files"].items()}
        if any(
            not (folder / name).is_file() or (folder / name).stat().st_size != size for name, (_, size) in files.items()
        ):
            return None
        return Entry(key, entry["stage"], folder, files, entry["seconds"], entry.get("peak_rss_mb"))

    @contextmanager
    def draft(self, key: str, stage: str) -> Iterator[Draft]:
        """A folder to compute a stage in; it becomes the entry when the block ends, and is removed when it raises.

        Raises EnvironmentFault when the disk is full or the store cannot be written.
        """
        aside = self.root / "aside" / f"{key}-{os.getpid()}"
        draft = Draft(aside, self.root / "scratch" / key)
        with _writable(self.root):
            _remove(aside)
            aside.mkdir(parents=True)
            draft.scratch.mkdir(parents=True, exist_ok=True)
            earlier = _earlier_seconds(draft.scratch)
        started = time.time()
        try:
            with _writable(self.root):
                yield draft
                draft.entry = self._commit(key, stage, draft, earlier + time.time() - started)
        finally:
            _remove(aside)
        _remove(draft.scratch)

    def _commit(self, key: str, stage: str, draft: Draft, seconds: float) -> Entry:
        files = {}
        for path in sorted(path for path in draft.folder.rglob("*") if path.is_file()):
            files[path.relative_to(draft.folder).as_posix()] = (_synced_sha256(path), path.stat().st_size)
        entry = Entry(key, stage, self.root / "entries" / key, files, round(seconds, 3), peak_rss_mb())
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = {"schema": 1, "key": key, "stage": stage, "files": files, "made": made}
        record |= {"seconds": entry.seconds, "peak_rss_mb": entry.peak_rss_mb}
        with (draft.folder / _ENTRY).open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        entry.folder.parent.mkdir(parents=True, exist_ok=True)
        _remove(entry.folder)  # an incomplete one: a complete one would have been found
        draft.folder.rename(entry.folder)
        return entry


@contextmanager
def _writable(root: Path) -> Iterator[None]:
    """Translate what the file system says about writing: a full disk, a quota, a read-only folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault(
                "the disk is full; finished stages are kept", place=str(root), hint="free space, run again"
            ) from exc
        if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise EnvironmentFault(f"cannot be written: {exc.strerror}", place=str(exc.filename or root)) from exc
        raise


def _synced_sha256(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _earlier_seconds(scratch: Path) -> float:
    """Seconds that interrupted computations of this stage took, and the note that this one begins.

    A kill writes nothing down, so a computation counts until it last touched its scratch folder.
    """
    note = scratch / _TRIES
    tries: list[list[float]] = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else []
    if tries:
        tries[-1][1] = max(tries[-1][0], *(path.stat().st_mtime for path in (scratch, *scratch.rglob("*"))))
    now = time.time()
    note.write_text(json.dumps([*tries, [now, now]]), encoding="utf-8")
    return sum(end - begin for begin, end in tries)
