"""Paths as tables write them and as a disk has them: their plain spelling, and the parts by which two are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from edgetl.data.readers.endings import SUFFIXES, unread_kind

__all__ = [
    "common_end",
    "ending_of",
    "ends",
    "folded",
    "folded_path",
    "folders_of",
    "is_absolute",
    "is_mask",
    "leaves",
    "plain",
    "stem_of",
]

_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_PLAIN = re.compile(r"[^/\\\0]+(/[^/\\\0]+)*")
_MASKS = re.compile(
    r"(?!(.*[_-])?(no|non|with|without)[_-])(masks?|segmentations?|(.*[_-](mask|segmentation))(_\d+)?)", re.IGNORECASE
)


def plain(text: str) -> str:
    """A path with slashes, in its plain spelling: Windows' backslashes are slashes. Raises ValueError where it is none."""
    if _PLAIN.fullmatch(text) and not text.startswith(".") and "/." not in text:
        return text
    path = text.replace("\\", "/")
    parts = PurePosixPath(path)
    if not parts.name or "\0" in path:
        raise ValueError(f"got {text!r}, expected a path")
    return parts.as_posix()


def leaves(path: str) -> bool:
    """Whether a path leads out of the folder that it begins in."""
    return is_absolute(path) or (".." in path and ".." in path.split("/"))


def is_absolute(path: str) -> bool:
    """Whether it begins at a root, or at a drive of Windows."""
    return bool(_ABSOLUTE.match(path))


def stem_of(path: str) -> str:
    """The name without folders and without the ending of a picture; other points are part of an id, as in a UID."""
    name = path.rpartition("/")[2]
    ending = ending_of(name)
    return name[: -len(ending)] if ending else name


def ending_of(path: str) -> str:
    """The ending in lower case, where it is one of a picture."""
    stem, point, letters = path.rpartition("/")[2].rpartition(".")
    ending = f".{letters.lower()}" if point and stem else ""
    return ending if ending in SUFFIXES or unread_kind(ending) else ""


def folded(path: str) -> str:
    """The name without its ending, by which a row and a picture are compared: one spelling of accents, no capitals."""
    return unicodedata.normalize("NFC", stem_of(path)).casefold()


def folded_path(path: str) -> str:
    """The same with the folders before it."""
    return "/".join([*folders_of(path), folded(path)])


def is_mask(path: str) -> bool:
    """Whether its name, or a folder's in it, is what masks are called."""
    *folders, _ = path.split("/")
    return any(_MASKS.fullmatch(part) for part in (*folders, stem_of(path)))


def folders_of(path: str) -> list[str]:
    """The names of its folders without capitals, and without steps that name none."""
    return [part.casefold() for part in path.split("/")[:-1] if part not in ("", "..", ".")]


def common_end(first: Sequence[str], second: Sequence[str]) -> int:
    """How many of the last folders are the same."""
    count = 0
    while count < min(len(first), len(second)) and first[-1 - count] == second[-1 - count]:
        count += 1
    return count


def ends(path: str, folders: str) -> bool:
    """Whether a path ends with whole folders; with none any does."""
    return f"/{path}".endswith(f"/{folders}") if folders else True
