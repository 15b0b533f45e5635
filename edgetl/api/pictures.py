"""The pictures that a person means: files, folders, patterns such as 'scans/**/*.png', and lists in files (@list.txt).

What is named itself, on the line or in a list, is tried whatever its ending. Folders and patterns give the files that end
as pictures do, and the others are counted. A file that is there is that file, however its name reads.
"""

from __future__ import annotations

import codecs
import functools
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from edgetl.api.paths import AnyPath
from edgetl.data.readers.endings import SUFFIXES
from edgetl.data.readers.walking import is_data, is_there, walk
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import some

__all__ = ["Pictures", "endings", "find_pictures"]

_HINT = f"pictures end in {', '.join(sorted(SUFFIXES))}; a file that is named itself is tried whatever its ending"
_MAGIC = frozenset("*?[")
_BELOW = "**"
_LIST = "@"
_STDIN = "@-"


@dataclass(frozen=True)
class Pictures:
    """What was named, each picture once and in that order.

    files: as they were named, or below the folder as it was named.
    left_out: how many files of folders and patterns do not end as pictures do, by their ending ("" for none).
    """

    files: tuple[AnyPath, ...]
    left_out: Mapping[str, int]


def find_pictures(what: AnyPath | Iterable[AnyPath]) -> Pictures:
    """Every picture that is meant; only text can be a pattern or a list.

    Raises:
        UsageError: there is no such list, it names nothing, or nothing matches a pattern.
        DataError: a folder cannot be read, or nothing in it, or of what matches, ends as a picture does.
    """
    found = _Found()
    for one in [what] if isinstance(what, str | os.PathLike) else what:
        if not isinstance(one, str) or is_there(_at_home(one)):
            found.add(one)
        elif one.startswith(_LIST):
            for line in _listed(one):
                found.add(line)
        elif _MAGIC.intersection(one):
            found.add_by_ending(_matching(one), one)
        else:
            found.add(one)
    left_out = Counter(ending for place, ending in found.others.items() if place not in found.pictures)
    return Pictures(tuple(found.pictures.values()), left_out)


def endings(counts: Mapping[str, int]) -> str:
    """Counted files for a person: "2 .dcm, 1 .txt, 1 without an ending"."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(some([f"{count} {ending or 'without an ending'}" for ending, count in ordered], most=5))


class _Found:
    """Pictures by where they are, so that two ways to one place count once; links to files are places of their own."""

    def __init__(self) -> None:
        self.pictures: dict[str, AnyPath] = {}
        self.others: dict[str, str] = {}
        self._folder = functools.cache(os.path.realpath)

    def add(self, path: AnyPath) -> None:
        """A file, or the pictures of a folder."""
        there = _at_home(path)
        if _is_folder(there):
            self.add_by_ending(sorted(_below(there)), str(path))
        else:
            self.pictures.setdefault(self._place(there), path if there == Path(path) else there)

    def add_by_ending(self, files: Sequence[Path], place: str) -> None:
        """Those of the files that end as pictures do; `place` is what a person called them."""
        others = {self._place(path): ending for path in files if (ending := path.suffix.lower()) not in SUFFIXES}
        if all(self._place(path) in others for path in files):
            seen = f"only {endings(Counter(others.values()))}" if files else "and no other file that is not hidden"
            raise DataError(f"got no picture, {seen}", place=place, hint=_HINT)
        self.others.update(others)
        for path in files:
            if path.suffix.lower() in SUFFIXES:
                self.pictures.setdefault(self._place(path), path)

    def _place(self, path: Path) -> str:
        return f"{self._folder(path.parent)}{os.sep}{path.name}"


def _listed(name: str) -> list[str]:
    """What a list names, a path a line; blank lines and comments (#) are none."""
    content = _content(name)
    if b"\0" in content:
        raise UsageError("is no list of paths, a line each", place=name, hint=f"name a picture without the {_LIST}")
    paths = []
    for line in os.fsdecode(content.removeprefix(codecs.BOM_UTF8)).split("\n"):
        exact, bare = line.removesuffix("\r"), line.strip()
        if bare and is_there(Path(exact)):
            paths.append(exact)
        elif bare and not bare.startswith("#"):
            paths.append(bare)
    if not paths:
        raise UsageError("the list names nothing, expected a path a line", place=name)
    return paths


def _content(name: str) -> bytes:
    if name == _STDIN:
        with os.fdopen(0, "rb", closefd=False) as stdin:
            return stdin.read()
    try:
        return _at_home(name.removeprefix(_LIST)).read_bytes()
    except OSError as exc:
        hint = f"{_LIST} begins the name of a file with a path a line; a picture of that name would be ./{name}"
        raise UsageError(f"the list cannot be read: {exc.strerror}", place=name, hint=hint) from exc


def _matching(pattern: str) -> list[Path]:
    """The files that a pattern means, those below folders that it means too, but what systems keep for themselves."""
    asked = _at_home(pattern).parts
    if _BELOW in asked:
        start = asked.index(_BELOW)
        folders = _globbed(asked[:start]) if start else [Path()]
        files = [
            path
            for folder in folders
            for path in _below(folder)
            if _fits(path.relative_to(folder).parts, asked[start:])
        ]
    else:
        files = [path for match in _globbed(asked) for path in (_below(match) if _is_folder(match) else [match])]
    if not files:
        raise UsageError(
            "nothing matches the pattern",
            place=pattern,
            hint="* stands for any part of a name, ** for folders at any depth; capital letters are others than small ones",
        )
    return sorted(files)


def _globbed(parts: Sequence[str]) -> Iterator[Path]:
    """As a shell does, which passes hidden files over; what is there by the first names as they stand is meant by them."""
    there = 0
    while there < len(parts) and is_there(Path(*parts[: there + 1])):
        there += 1
    escaped = [glob.escape(part) for part in parts[:there]]
    for match in map(Path, glob.glob(os.fspath(Path(*escaped, *parts[there:])))):  # noqa: PTH207 - Path's takes hidden ones
        if all(is_data(part) or part in parts for part in (match.parts if _is_folder(match) else match.parts[:-1])):
            yield match


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a pattern, name by name. `**` stands for any number of folders; `glob`'s would follow loops."""
    if not pattern:
        return not names
    if pattern[0] == _BELOW:
        return len(pattern) == 1 or any(_fits(names[skipped:], pattern[1:]) for skipped in range(len(names)))
    return bool(names) and fnmatch(names[0], pattern[0]) and _fits(names[1:], pattern[1:])


def _below(folder: Path) -> Iterator[Path]:
    for parent, names in walk(folder, folder):
        yield from (parent / name for name in names)


def _at_home(path: AnyPath) -> Path:
    """With ~ replaced, where no shell has done so and it is no name of its own."""
    there = Path(path)
    return there if is_there(there) else Path(os.path.expanduser(there))  # noqa: PTH111 - Path's raises for ~nobody


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered: whoever opens it says so
        return False
