"""The folders below a root, as every reader that looks into folders sees them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

from edgetl.errors import DataError

__all__ = ["identity", "inside", "is_data", "is_there", "walk"]


def walk(root: Path, folder: Path, above: Collection[tuple[int, int]] = ()) -> Iterator[tuple[Path, list[str]]]:
    """`folder` and every folder below it, each with the names of its files: sorted, and none of them hidden.

    Links to folders are followed. No folder is entered twice, and none that holds `root`, so a loop of links ends.

    Args:
        above: identities of further folders that are not entered.

    Raises:
        DataError: a folder cannot be read.
    """
    seen = {identity(path) for path in (folder, root, *root.resolve().parents)}.union(above)
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        entered = []
        for name in sorted(filter(is_data, folders)):
            place = identity(Path(parent, name))
            if place not in seen:
                seen.add(place)
                entered.append(name)
        folders[:] = entered
        yield Path(parent), sorted(name for name in files if not name.startswith("."))


def inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files right below a folder: sorted, and none of them hidden.

    Raises:
        DataError: it cannot be read.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if is_data(path.name))
        folders = [path for path in entries if path.is_dir()]
    except OSError as exc:
        _refuse(exc)
    return folders, sorted({*entries}.difference(folders))


def is_there(path: Path) -> bool:
    """Whether it exists, where names come from a table: one that cannot be a file's does not."""
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def is_data(name: str) -> bool:
    """Systems keep folders of their own: hidden ones, a Mac's __MACOSX in archives, a Synology's thumbnails (@eaDir)."""
    return not name.startswith((".", "@")) and name != "__MACOSX"


def identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from all others, by whatever link it is reached.

    Raises:
        DataError: it cannot be read.
    """
    try:
        status = folder.stat()
    except OSError as exc:
        _refuse(exc)
    return status.st_dev, status.st_ino


def _refuse(exc: OSError) -> NoReturn:
    raise DataError(f"cannot be read: {exc.strerror}", place=str(exc.filename)) from exc
