"""What is in a store, whether it is still right, and what may go."""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from edgetl.store import disk, locks
from edgetl.store.entries import DamagedEntry, Entry, read
from edgetl.store.store import BUILD, PICTURES, Store, remove

__all__ = ["Check", "Item", "Pruned", "besides", "items", "prune", "verify"]

_BESIDES = {
    "scratch": "checkpoints",
    PICTURES: "rendered and unpacked pictures",
    "aside": "half-written results",
    "damaged": "damaged results",
}
"""Folders of a store, and what lies in them."""


@dataclass(frozen=True)
class Item:
    """An entry as `edgetl cache list` shows it.

    made, used: seconds since 1970; used: when a build last needed it. recipes: names of the recipes that did, latest first.
    """

    key: str
    stage: str
    size: int
    seconds: float
    made: float
    used: float
    recipes: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """An entry and what is wrong with it; nothing when `problem` is empty."""

    key: str
    stage: str
    problem: str


@dataclass(frozen=True)
class Pruned:
    """Something that goes: what it is, why, and its bytes; `problem`: why it could not be removed."""

    path: Path
    what: str
    why: str
    size: int
    problem: str = ""


def items(store: Store) -> list[Item]:
    """All entries with a record that can be read, by stage and then the latest used first."""
    return sorted((_item(store, entry) for entry in _entries(store)), key=lambda item: (item.stage, -item.used))


def verify(store: Store) -> list[Check]:
    """Read every file of every entry and hold it against its sha256."""

    def check(folder: Path) -> Check | None:
        try:
            entry = read(folder)
            store.verify(entry, anew=True)
        except FileNotFoundError:
            return None  # replaced or pruned meanwhile
        except DamagedEntry as exc:
            return Check(exc.key, exc.stage, exc.problem)
        return Check(entry.key, entry.stage, "")

    with ThreadPoolExecutor(4) as pool:
        return [checked for checked in pool.map(check, _folders(store, "entries")) if checked is not None]


def besides(store: Store) -> dict[str, int]:
    """Bytes of what lies in a store beside its entries, by what it is; without what is not there."""
    sizes = {what: sum(map(_size, _folders(store, part))) for part, what in _BESIDES.items()}
    return {what: size for what, size in sizes.items() if size}


def prune(store: Store, unused_for: float, now: float, *, dry_run: bool) -> list[Pruned]:
    """Remove what no build needs any more; `dry_run` only names it.

    What is damaged or was left behind by killed builds goes at once. Entries, checkpoints, rendered and unpacked pictures
    go when no build needed them for `unused_for` seconds. What a running build holds or has used stays in any case. What
    cannot be removed is told with its `problem`, and does not keep the rest.

    Raises EnvironmentFault when the store cannot be written at all.
    """
    pruned: dict[Path, Pruned] = {}
    for name, candidate in [*_leftovers(store), *_unneeded(store, min(now - unused_for, _running_since(store, now)))]:
        if candidate.path in pruned:
            continue
        lock = store.root / "locks" / name
        if dry_run:
            if locks.holder(lock) is None:
                pruned[candidate.path] = candidate
            continue
        with disk.writing(store.root), locks.free(lock) as had:
            if had and candidate.path.exists():
                pruned[candidate.path] = replace(candidate, problem=_forget(store, candidate, name))
    if not dry_run:
        _tidy(store)
    return list(pruned.values())


def _leftovers(store: Store) -> Iterator[tuple[str, Pruned]]:
    """What needs no waiting, with the name of its lock."""
    for folder in _folders(store, "damaged"):
        yield folder.name.partition("-")[0], Pruned(folder, "a damaged result", "set aside", _size(folder))
    for folder in _folders(store, "aside"):
        yield folder.name.partition("-")[0], Pruned(folder, "a half-written result", "its build died", _size(folder))
    for folder in _folders(store, "scratch"):
        if (store.root / "entries" / folder.name).is_dir():
            yield folder.name, Pruned(folder, "checkpoints", "their stage is finished", _size(folder))
    for folder in _folders(store, "entries"):
        try:
            store.find(folder.name)
        except DamagedEntry as exc:
            yield folder.name, Pruned(folder, f"the result of {exc.stage}", f"damaged: {exc.problem}", _size(folder))


def _unneeded(store: Store, before: float) -> Iterator[tuple[str, Pruned]]:
    """What no build needed since a time, with the name of its lock."""
    for entry in _entries(store):
        if (item := _item(store, entry)).used < before:
            yield entry.key, Pruned(entry.folder, f"the result of {entry.stage}", _unused(item.used), item.size)
    for folder in _folders(store, "scratch"):
        if (touched := _newest(folder)) < before:
            yield folder.name, Pruned(folder, "checkpoints", _unused(touched), _size(folder))
    for kind in _folders(store, PICTURES):
        for folder in _folders(store, f"{PICTURES}/{kind.name}"):
            name = f"{kind.name}-{folder.name}"
            if (used := max(_stamps(store, name).values(), default=_newest(folder))) < before:
                yield name, Pruned(folder, f"pictures of {kind.name}", _unused(used), _size(folder))


def _forget(store: Store, candidate: Pruned, name: str) -> str:
    """Remove it, and what is noted of it; why that failed, or nothing."""
    path = candidate.path
    try:
        if path.parent.name == "entries":  # in one step, so that half an entry is never seen
            path = path.rename(_made(store.root / "aside") / f"{path.name}-pruned")
        remove(path)
        if candidate.path.relative_to(store.root).parts[0] in ("entries", PICTURES):
            remove(store.root / "used" / name)
            remove(store.root / "verified" / name)
    except OSError as exc:
        return f"{exc.filename or path}: {exc.strerror}"
    return ""


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _tidy(store: Store) -> None:
    """Files of locks whose holders were killed: opening and letting go of a lock removes its file."""
    for path in _files(store, "locks"):
        with contextlib.suppress(OSError), locks.free(path):
            pass


def _running_since(store: Store, now: float) -> float:
    """When the first of the builds that run now began."""
    holders = [locks.holder(path) for path in (store.root / "locks").glob(f"{BUILD}*")]
    return min([holder.since for holder in holders if holder], default=now)


def _entries(store: Store) -> Iterator[Entry]:
    for folder in _folders(store, "entries"):
        try:
            yield read(folder)
        except (FileNotFoundError, DamagedEntry):
            continue


def _item(store: Store, entry: Entry) -> Item:
    made = datetime.datetime.fromisoformat(entry.made).timestamp() if entry.made else entry.folder.stat().st_mtime
    stamps = _stamps(store, entry.key)
    recipes = tuple(sorted(stamps, key=lambda name: -stamps[name]))
    used = max([made, *stamps.values()])
    return Item(entry.key, entry.stage, entry.size, entry.seconds, made, used, recipes)


def _stamps(store: Store, name: str) -> dict[str, float]:
    """When builds last needed something, by recipe."""
    return {path.name: path.stat().st_mtime for path in _files(store, f"used/{name}")}


def _folders(store: Store, part: str) -> list[Path]:
    """Without files that file managers and network file systems put there."""
    return [path for path in _inside(store, part) if path.is_dir()]


def _files(store: Store, part: str) -> list[Path]:
    return [path for path in _inside(store, part) if path.is_file()]


def _inside(store: Store, part: str) -> list[Path]:
    folder = store.root / part
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Bytes of all files in it."""
    return sum(status.st_size for status in _stats(path) if stat.S_ISREG(status.st_mode))


def _newest(path: Path) -> float:
    """When something in it was last written."""
    return max((status.st_mtime for status in _stats(path)), default=0.0)


def _stats(path: Path) -> Iterator[os.stat_result]:
    for inside in (path, *path.rglob("*")):
        try:
            yield inside.stat()
        except OSError:  # a build that runs has just removed it
            continue


def _unused(since: float) -> str:
    return f"last needed {datetime.datetime.fromtimestamp(since, tz=datetime.UTC).astimezone():%Y-%m-%d}"
