"""The picture that a row of a table means, where it holds less, more or something else than the path from its folder on.

Tables name pictures by an id without an ending, by a name that lies in some folder below, with the folders of whoever
wrote them, or in other letters. A picture is found where its name is the row's and one path is the end of the other:
`1.png` and `scans/1.png`, `/home/them/scans/1.png` and `scans/1.png`, but never `a/1.png` and `b/1.png`, nor `a/1.png` and
`1.png` unless the recipe names the folder that this lies in.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from edgetl.data.readers.endings import SUFFIXES, unread_kind
from edgetl.data.readers.hints import as_yaml, data_field
from edgetl.data.readers.paths import (
    common_end,
    ending_of,
    ends,
    folded,
    folded_path,
    folders_of,
    is_absolute,
    is_mask,
    leaves,
    plain,
    stem_of,
)
from edgetl.data.readers.walking import is_there, walk
from edgetl.data.records import Split, splits_within
from edgetl.errors.wording import some

__all__ = ["Locator", "Unplaced"]

_PHOTOGRAPH = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
_ALTERED = ("_downsampled",)
"""What publishers add to some names and not to their tables (ISIC 2019)."""
_SHOWN = 3


class Unplaced(ValueError):
    """A picture of which the table does not say enough.

    hint: what to write that does, where it is known.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Locator:
    """Pictures below a folder, by what a table says of them.

    It looks at the folder itself first; only when something is not there are all the names below it read, once.
    """

    def __init__(self, root: Path, folder: Path, ending: str | None = None, named: bool = False) -> None:
        """Look below `folder`, which is below `root` or is it.

        Args:
            ending: of the file that is meant where several have one id.
            named: whether the recipe names the folder.
        """
        self._root, self._folder, self._named = root, folder, named
        self._prefix = folder.relative_to(root)
        self._ending = ending.lower() if ending else None
        self._index: dict[str, list[str]] | None = None
        self._unread: dict[str, str] = {}
        self._differences: defaultdict[str, list[str]] = defaultdict(list)

    def picture(self, written: str, split: Split | None = None) -> str:
        """Path of a row's picture below the root; where none is found, the written one in its plain spelling.

        Args:
            split: of a table for one split, whose folder goes before others.

        Raises:
            ValueError: it is no path, several pictures are meant, or none is and the path leaves the folder.
        """
        path = plain(written)
        outside = leaves(path)
        if not outside:
            for direct in self._direct(path):
                if (found := _spelt(direct, self._root)) is not None:
                    return found
        found = self._by_name(path, split)
        if found is not None:
            return found
        if not outside:
            return self._below(path)
        raise _elsewhere(path, self._folder, self._alike(path))

    def mask(self, written: str) -> str:
        """Path of a mask below the root, as it is written or as the disk spells it. Raises ValueError."""
        path = plain(written)
        if is_absolute(path):
            raise ValueError(f"got the absolute path {written}, expected one relative to the table's folder")
        if ".." in PurePosixPath(path).parts:
            raise ValueError(f"got {written}, which leaves the table's folder")
        return _spelt(path, self._root) or path

    def holds(self, written: str) -> bool:
        """Whether some picture is called so, or a file that is not read; for finding out what a column holds."""
        try:
            path = plain(written)
        except ValueError:
            return False
        if not leaves(path) and _is_a_file(f"{self._folder}/{path}"):
            return True
        wanted = folded(path)
        return wanted in self._names() or wanted in self._unread

    def unread(self, written: str) -> str | None:
        """What a file of this name is that cannot be read, such as DICOM files, or all that is there; None where it is none."""
        names, path = self._names(), plain(written)
        alone = Counter(self._unread.values()).most_common(1) if not names else []
        return self._unread.get(folded(path)) or unread_kind(ending_of(path)) or (alone[0][0] if alone else None)

    def cautions(self, images: Iterable[str]) -> Iterator[str]:
        """How rows and files differ, and which files are none of `images`, the pictures of all rows."""
        for how, examples in sorted(self._differences.items()):
            yield f"{len(examples)} rows {how}, such as {examples[0]}"
        if self._index is not None:
            taken = set(images)
            paths = (path for paths in self._index.values() for path in paths)
            left = sorted(path for path in paths if path not in taken and not is_mask(path))
            if left:
                folders = Counter(path.rpartition("/")[0] or "." for path in left)
                where = ", ".join(some([f"{count} in {folder}" for folder, count in folders.most_common()], _SHOWN))
                yield f"{len(left)} pictures have no row in the table and are left out ({where}), such as {left[0]}"

    def _by_name(self, path: str, split: Split | None) -> str | None:
        """The picture of this name, wherever it lies below the folder. Raises ValueError where several are meant."""
        names, wanted = self._names(), folded(path)
        candidates, altered = names.get(wanted, []), ""
        if not candidates:
            altered = next((ending for ending in _ALTERED if names.get(wanted + ending)), "")
            candidates = names.get(wanted + altered, []) if altered else []
        if not (is_mask(path) or self._all_masks):
            candidates = [other for other in candidates if not is_mask(other)]
        if len(candidates) == 1 and "/" not in path:
            chosen = candidates
        else:
            chosen = self._narrowed(path, _fitting(path, candidates, self._prefix, self._named), split)
        if not chosen:
            return None
        if len(chosen) > 1:
            raise Unplaced(
                f"got {path}, which may be {' or '.join(some(chosen, _SHOWN))}: say which folder or ending is meant",
                _distinction(self._root, self._folder, chosen),
            )
        self._note(path, chosen[0], altered, split)
        return chosen[0]

    def _below(self, path: str) -> str:
        """A path below the folder as one below the root."""
        return (self._prefix / path).as_posix() if self._prefix.parts else path

    def _direct(self, path: str) -> Sequence[str]:
        """Where a path leads from the folder on, and from the root on where that is in the folder too."""
        below = self._below(path)
        return (below, path) if path.startswith(f"{self._prefix.as_posix()}/") else (below,)

    def _alike(self, path: str) -> list[str]:
        """The pictures of this name in other folders."""
        return [other for other in self._names().get(folded(path), []) if not is_mask(other)]

    def _narrowed(self, path: str, candidates: Sequence[str], split: Split | None) -> list[str]:
        """The candidates that are left by one rule after the other, of which none leaves nothing."""
        name, ending = path.rpartition("/")[2], ending_of(path)
        rules: list[Callable[[str], bool]] = [
            lambda other: self._ending in (None, ending_of(other)),
            lambda other: not ending or ending_of(other) == ending,
            lambda other: other.rpartition("/")[2] == name or stem_of(other) == stem_of(path),
            lambda other: split is None or split in map(_split, other.split("/")[:-1]),
        ]
        left = list(candidates)
        for rule in rules:
            left = [other for other in left if rule(other)] or left
        if len({other.rpartition("/")[0] for other in left}) == 1 and len(left) > 1:  # copies beside each other
            photographs = [other for other in left if ending_of(other) in _PHOTOGRAPH]
            left = photographs if len(photographs) == 1 else left
        return left

    def _note(self, written: str, found: str, altered: str, split: Split | None) -> None:
        """Remember in which way a row and its picture differ, unless the row is but an id or a name."""
        (folder, _, name), (holder, _, there) = written.rpartition("/"), found.rpartition("/")
        shown = f"{written} for {found}"
        if altered:
            self._differences[f"lack the {altered} of their pictures' names"].append(shown)
        elif ending_of(written) and ending_of(written) != ending_of(found):
            self._differences["have another ending than their pictures"].append(shown)
        elif (
            stem_of(written) != stem_of(found)
            or (ending_of(written) and name != there)
            or (ends(holder.casefold(), folder.casefold()) and not ends(holder, folder))
        ):
            self._differences["are in other letters (capitals, accents) than their pictures"].append(shown)
        if "/" in written and not folded_path(found).endswith(folded_path(written)):
            self._differences["begin with folders that are not there"].append(shown)
        if split and {split} < {split, *filter(None, map(_split, holder.split("/")))}:
            self._differences["are of pictures in a folder of another split than their table's"].append(shown)

    def _names(self) -> dict[str, list[str]]:
        """Folded id -> paths below the root of the pictures that are called so, in order."""
        if self._index is None:
            self._index = {}
            for parent, files in walk(self._root, self._folder):
                prefix = parent.relative_to(self._root).as_posix()
                for name in files:
                    ending = ending_of(name)
                    if ending in SUFFIXES:
                        path = name if prefix == "." else f"{prefix}/{name}"
                        self._index.setdefault(folded(name), []).append(path)
                    elif kind := unread_kind(ending):
                        self._unread.setdefault(folded(name), kind)
        return self._index

    @cached_property
    def _all_masks(self) -> bool:
        """Whether every picture is called as masks are, which then says nothing."""
        return all(is_mask(path) for paths in self._names().values() for path in paths)


def _elsewhere(path: str, folder: Path, others: Sequence[str]) -> Unplaced:
    """That a path leads out of the folder that the table is for, with the line to write that takes the picture in."""
    absolute = is_absolute(path)
    what = f"the absolute path {path}" if absolute else f"{path}, which leaves the table's folder"
    if is_there(folder / path):
        wider = os.path.commonpath([folder.resolve(), (folder / path).resolve().parent])
        hint = f"to look from there on: {_folder_named(wider if absolute else os.path.relpath(wider, folder))}"
        return Unplaced(f"got {what}, and no picture below {folder} has that name", hint)
    if others:
        inner = PurePosixPath(others[0]).parent.as_posix()
        have = "has that name in another folder" if len(others) == 1 else "have that name in other folders"
        said = f"{' and '.join(some(others, _SHOWN))} {have}"
        return Unplaced(f"got {what}; {said}", f"if that is meant: {_folder_named(inner)}")
    return Unplaced(f"got {what}, and no picture below {folder} has that name")


def _distinction(root: Path, folder: Path, pictures: Sequence[str]) -> str:
    """What to write so that the first of several pictures of one name is meant."""
    below = [os.path.relpath(root / path, folder) for path in pictures]
    folders = [PurePosixPath(path).parent.as_posix() for path in below]
    if len(set(folders)) > 1:
        return f"if it is the first one: {_folder_named(folders[0])}"
    return f"if it is the first one: {data_field('table.ending', as_yaml(ending_of(pictures[0])))}"


def _folder_named(folder: str) -> str:
    return data_field("table.folder", as_yaml(folder))


def _is_a_file(path: str) -> bool:
    """Also a pipe, of which the decoding tells; an id is often a folder's name too."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - a Path for each of 100,000 names takes seconds
    except (OSError, ValueError):
        return False


def _spelt(path: str, root: Path) -> str | None:
    """The path as the disk spells it: archives made on a Mac write é as e and an accent, tables rarely do."""
    if _is_a_file(f"{root}/{path}"):
        return path
    if path.isascii():
        return None
    others = (unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((other for other in others if _is_a_file(f"{root}/{other}")), None)


def _fitting(path: str, candidates: Sequence[str], prefix: Path, trusted: bool) -> list[str]:
    """The candidates whose folders and the row's agree as far as both go, those that agree furthest.

    trusted: a candidate without a folder may agree too, as the recipe named its folder.
    """
    folders = folders_of(path)
    agreeing: defaultdict[int, list[str]] = defaultdict(list)
    for candidate in candidates:
        others = folders_of(candidate)
        inner = others[len(prefix.parts) :]
        for there in (others, inner):
            same = common_end(folders, there)
            if same == min(len(folders), len(there)) and (same or not folders or trusted):
                agreeing[same].append(candidate)
                break
    return agreeing[max(agreeing)] if agreeing else []


@lru_cache(4096)
def _split(folder: str) -> Split | None:
    """The split that a folder's name says: test, train_images, a. Training Set."""
    splits = splits_within(folder)
    return splits.pop() if len(splits) == 1 else None
