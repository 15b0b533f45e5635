"""A folder and all below it as names in memory, from one look at each folder; what they mean is found out afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edgetl.data.readers.endings import SUFFIXES, ending, is_table, is_unread
from edgetl.data.readers.walking import identity, inside, walk

__all__ = ["Folder", "of_files", "shallow"]


@dataclass(frozen=True)
class Folder:
    """One folder.

    place: its path below the root, with forward slashes; the root's is empty.
    pictures, unread, tables: names of its files, sorted: what is read, what looks like pictures and is not, and, of folders
        above the classes, what may hold labels.
    folders: those in it, sorted.
    """

    place: str
    pictures: Sequence[str] = ()
    unread: Sequence[str] = ()
    tables: Sequence[str] = ()
    folders: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its own, without those above."""
        return self.place.rpartition("/")[2]

    def path(self, name: str) -> str:
        """Of one of its files, below the root."""
        return f"{self.place}/{name}" if self.place else name

    def all(self) -> Iterator[Folder]:
        """It and every folder below."""
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting.extend(reversed(folder.folders))

    @cached_property
    def count(self) -> int:
        """Pictures in it and below."""
        return sum(len(folder.pictures) for folder in self.all())


def shallow(root: Path, path: Path, depth: int, above: frozenset[tuple[int, int]] = frozenset()) -> Folder:
    """`path` with `depth` levels of folders, of which the last has all that is below it.

    A link to one of the folders that lead to it is not followed.

    Raises:
        DataError: a folder cannot be read.
    """
    if not depth:
        return _deep(root, path, above)
    above = above or frozenset(identity(holder) for holder in root.resolve().parents)
    above |= {identity(path)}
    folders, files = inside(path)
    below = [shallow(root, folder, depth - 1, above) for folder in folders if identity(folder) not in above]
    names = [file.name for file in files]
    return of_files(_place(root, path), names, tuple(filter(is_table, names)), below)


def _deep(root: Path, path: Path, above: frozenset[tuple[int, int]]) -> Folder:
    """`path` with all that is below it.

    Raises:
        DataError: a folder cannot be read.
    """
    known: dict[Path, Folder] = {}
    for parent, names in walk(root, path, above):
        known[parent] = folder = of_files(_place(root, parent), names, (), [])
        if parent != path:
            known[parent.parent].folders.append(folder)
    return known[path]


def _place(root: Path, path: Path) -> str:
    return "" if path == root else path.relative_to(root).as_posix()


def of_files(place: str, names: Sequence[str], tables: Sequence[str], folders: list[Folder]) -> Folder:
    """A folder of files of these names."""
    pictures: list[str] = []
    unread: list[str] = []
    for name in names:
        end = ending(name)
        if end in SUFFIXES:
            pictures.append(name)
        elif is_unread(end):
            unread.append(name)
    return Folder(place, pictures, unread, tables, folders)
