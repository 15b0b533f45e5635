"""The store itself: find, lock, write, verify; its layout is in the package's docstring."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.files import flush, sha256_of, state_of, write_whole
from edgetl.runtime.memory import peak_rss_mb
from edgetl.store import disk, locks
from edgetl.store.entries import ENTRY, DamagedEntry, Dependencies, Entry, read

__all__ = ["BUILD", "PICTURES", "Draft", "Store", "remove"]

BUILD = "build-"
"""How the locks that running builds hold begin."""
PICTURES = "pictures"
"""Folder of what is rendered and unpacked, as KIND/NAME."""

_TRIES = "tries.json"


@dataclass
class Draft:
    """A stage that is being computed: `folder` is filled, `scratch` survives a kill."""

    folder: Path
    scratch: Path
    entry: Entry | None = None


class Store:
    """Entries under one folder; see the package's docstring for the layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: dict[str, dict[str, str]] = {}
        self._unsaved: set[str] = set()

    def find(self, key: str, stage: str = "a stage") -> Entry | None:
        """The finished entry of a key, or None.

        Cheap: sizes are compared, and a file is only read where it changed since its sha256 was last right. `verify` is
        for who is going to read the files.

        Raises:
            DamagedEntry: it is there, but files are missing, cut or changed.
        """
        folder = self.root / "entries" / key
        try:
            entry = read(folder, stage)
        except FileNotFoundError:
            return None
        self._check(entry, list(self._states(key)))
        return entry

    def verify(self, entry: Entry, path: str = "", *, anew: bool = False) -> None:
        """Hold the files at `path` of an entry (all without one) against their sha256.

        A file that has the size, times and inode it had when it was last right is not read again, unless `anew`.

        Raises DamagedEntry.
        """
        if anew:
            self._verified[entry.key] = {}
        self._check(entry, entry.under(path))
        self._save(entry.key)

    def locked(self, name: str, doing: str, say: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of a key, or of another thing that builds share; `doing` is for whoever has to wait meanwhile."""
        with disk.writing(self.root):
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
        return locks.locked(self.root / "locks" / name, doing, say)

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Tell `edgetl cache prune` that a build is running: what it uses from now on stays."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # read-only or full: then nobody can prune either, or it can only help
                path = self.root / "locks" / f"{BUILD}{platform.node()}-{os.getpid()}"
                stack.enter_context(locks.locked(path, "builds", lambda _: None))
            yield

    def use(self, name: str, recipe: str) -> None:
        """Note that a build of `recipe` needed the entry, or the other thing, of this name now."""
        stamp = self.root / "used" / name / recipe
        with contextlib.suppress(OSError):  # a note for `edgetl cache`, not worth failing for
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
        self._save(name)

    def begun(self, key: str) -> bool:
        """Whether a stage that has not ended has checkpoints to go on from."""
        return any(path.is_dir() for path in (self.root / "scratch" / key).glob("*"))

    @contextlib.contextmanager
    def draft(self, parts: Dependencies, *, anew: bool = False) -> Iterator[Draft]:
        """A folder to compute a stage in; it becomes the entry when the block ends, and is removed when it raises.

        `anew` forgets the checkpoints of an interrupted computation. The caller holds the lock of the key: checkpoints in
        `scratch` are one build's.

        Raises EnvironmentFault when the disk is full or the store cannot be written.
        """
        key = parts.key
        aside = self.root / "aside" / f"{key}-{os.getpid()}"
        draft = Draft(aside, self.root / "scratch" / key)
        with disk.writing(self.root):
            for left in (self.root / "aside").glob(f"{key}-*"):  # of builds that were killed: we hold the lock
                remove(left)
            aside.mkdir(parents=True)
            if anew:
                remove(draft.scratch)
            draft.scratch.mkdir(parents=True, exist_ok=True)
            earlier = _earlier_seconds(draft.scratch)
        started = time.time()
        try:
            with disk.writing(self.root):
                yield draft
                disk.require_room(self.root)
                draft.entry = self._commit(key, parts, draft, earlier + time.time() - started)
        finally:
            remove(aside)
        remove(draft.scratch)

    def set_aside(self, damaged: DamagedEntry, say: Callable[[str], None]) -> None:
        """Take a damaged entry out of the way, so that it is computed again; `edgetl cache prune` deletes it."""
        key, now = damaged.key, time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        with self.locked(key, f"looks at the damaged result of {damaged.stage}", say), disk.writing(self.root):
            try:
                entry = self.find(key, damaged.stage)
                if entry is not None:
                    self.verify(entry)
            except DamagedEntry:
                away = self.root / "damaged" / f"{key}-{now}-{os.getpid()}"
                away.parent.mkdir(parents=True, exist_ok=True)
                (self.root / "entries" / key).rename(away)
                self._verified[key] = {}
                say(f"the stored result of {damaged.stage} is damaged: {damaged.problem}; set aside in {away}")

    def _commit(self, key: str, parts: Dependencies, draft: Draft, seconds: float) -> Entry:
        paths = sorted(path for path in draft.folder.rglob("*") if path.is_file())
        names = [path.relative_to(draft.folder).as_posix() for path in paths]
        for path in paths:
            flush(path)
        sums = [(sha256_of(path), path.stat().st_size) for path in paths]
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        files = dict(zip(names, sums, strict=True))
        folder = self.root / "entries" / key
        entry = Entry(key, parts.stage, folder, files, round(seconds, 3), peak_rss_mb(), made, parts)
        write_whole(draft.folder / ENTRY, json.dumps(entry.to_json(), indent=1), sync=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        states = {name: state_of(path) for name, path in zip(names, paths, strict=True)}
        old = draft.folder.with_name(f"{draft.folder.name}-old")
        if folder.exists():  # --fresh: whoever reads the old one now finds one or the other at each moment but this
            folder.rename(old)
        draft.folder.rename(folder)
        remove(old)
        flush(folder.parent)
        self._verified[key] = states
        self._unsaved.add(key)
        self._save(key)
        return entry

    def _check(self, entry: Entry, reads: Sequence[str]) -> None:
        """Sizes of all files; sha256 of those among `reads` that changed since they were last right."""
        known = self._states(entry.key)
        for name, (_, size) in entry.files.items():
            path = entry.folder / name
            if not path.is_file():
                raise DamagedEntry(entry.key, entry.stage, f"{name} is missing", entry.folder)
            if (got := path.stat().st_size) != size:
                problem = f"{name}: got {got} bytes, expected {size}"
                raise DamagedEntry(entry.key, entry.stage, problem, entry.folder)
        for name in reads:
            if name not in entry.files or known.get(name) == (state := state_of(entry.folder / name)):
                continue
            expected = entry.files[name][0]
            if (digest := sha256_of(entry.folder / name)) != expected:
                problem = f"{name}: got sha256 {digest[:12]}..., expected {expected[:12]}..."
                raise DamagedEntry(entry.key, entry.stage, problem, entry.folder)
            known[name] = state
            self._unsaved.add(entry.key)

    def _states(self, key: str) -> dict[str, str]:
        """Of each file that was verified before: its state then."""
        if key not in self._verified:
            try:
                self._verified[key] = json.loads((self.root / "verified" / key).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._verified[key] = {}
        return self._verified[key]

    def _save(self, key: str) -> None:
        """Keep what was verified. It is a cache: losing it costs a reading."""
        if key not in self._unsaved:
            return
        path = self.root / "verified" / key
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(self._verified[key]))
            self._unsaved.discard(key)


def remove(path: Path) -> None:
    """Delete a file or a folder with all that is in it, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _earlier_seconds(scratch: Path) -> float:
    """Seconds that interrupted computations of this stage took, and the note that this one begins.

    A kill writes nothing down, so a computation counts until it last touched its scratch folder.
    """
    note = scratch / _TRIES
    try:
        tries: list[list[float]] = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # ValueError: the disk was full while it was written
        tries = []
    if tries:
        tries[-1][1] = max(tries[-1][0], *(path.stat().st_mtime for path in (scratch, *scratch.rglob("*"))))
    now = time.time()
    note.write_text(json.dumps([*tries, [now, now]]), encoding="utf-8")
    return sum(end - begin for begin, end in tries)
