"""Folders of this computer under the names that a device knows them by, where nothing is sent before it is needed."""

from __future__ import annotations

from pathlib import Path

from edgetl.runtime.errors import WorkerError

__all__ = ["Pushed"]


class Pushed:
    """What `push` of such a device gives, and what it stands for."""

    def __init__(self, root: str) -> None:
        """root: where the names begin."""
        self._root = root
        self._folders: dict[Path, Path] = {}

    def push(self, folder: Path) -> Path:
        """A name for it, the same each time."""
        for there, here in self._folders.items():
            if here == folder:
                return there
        there = Path(f"{self._root}/pushed/{len(self._folders)}")
        self._folders[there] = folder
        return there

    def host(self, path: str | Path) -> Path:
        """The file of this computer that a path of a pushed folder stands for.

        Raises:
            WorkerError: it is in none.
        """
        for there, here in self._folders.items():
            if Path(path).is_relative_to(there):
                return here / Path(path).relative_to(there)
        raise WorkerError("was asked for a file that was not pushed", place=str(path))
