"""Files of a bundle: plain ones that lie in it, looked at before anything else opens them.

A link may lead anywhere and a pipe blocks whoever opens it, so both are refused, and so is a link among the folders on the
way. The bundle itself may be reached through one: that path is the user's, not the bundle's.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from .errors import IntegrityError

Place = os.PathLike[str] | str
"""What loads a model takes these and makes strings: importing pathlib would be a seventh of what loading may take."""


def plain_file(bundle: Place, path: str) -> str:
    """Where the file `path`, relative to the bundle, with slashes, is on this disk.

    Raises:
        IntegrityError: it is missing, it is no regular file, or it is reached through a link.
    """
    parts = path.split("/")
    place = os.fspath(bundle)
    for depth, part in enumerate(parts, start=1):
        place = os.path.join(place, part)
        try:
            mode = os.lstat(place).st_mode
        except OSError as exc:
            raise IntegrityError(f"cannot be read: {exc.strerror}", place=place) from exc
        if not (stat.S_ISREG(mode) if depth == len(parts) else stat.S_ISDIR(mode)):
            expected = "a regular file" if depth == len(parts) else "a folder"
            raise IntegrityError(
                f"is {_kind(mode)}, expected {expected}",
                place=place,
                hint="a bundle holds plain files only: copy it with what its links lead to",
            )
    return place


def digest(path: Place) -> str:
    """sha256 of a file, in lower-case hexadecimal.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise IntegrityError(f"cannot be read: {exc.strerror}", place=str(path)) from exc


def size_of(path: Place) -> int:
    """Bytes of a file.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        return os.path.getsize(path)
    except OSError as exc:
        raise IntegrityError(f"cannot be read: {exc.strerror}", place=str(path)) from exc


def stem_and_ending(name: str) -> tuple[str, str]:
    """A file's name without its ending, and that with its dot, as OpenVINO parts them when it looks for the weights.

    os.path.splitext says that "..xml" has no ending.
    """
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem else (name, "")


def siblings(file: str) -> list[str]:
    """Names in a file's folder that begin as its own does, up to the ending's dot.

    Capitals do not count: not every disk tells them apart.

    Raises:
        IntegrityError: the folder cannot be listed.
    """
    folder, name = os.path.split(file)
    stem = f"{stem_and_ending(name)[0]}.".casefold()
    try:
        return sorted(other for other in os.listdir(folder or ".") if other.casefold().startswith(stem))
    except OSError as exc:
        raise IntegrityError(
            f"cannot be listed: {exc.strerror}",
            place=folder or ".",
            hint="give the right to list it: what lies beside a model could be loaded with it",
        ) from exc


def contents(bundle: Place) -> Iterator[str]:
    """Relative path, with slashes, of everything in a bundle that is no real folder, links to folders included.

    Raises:
        IntegrityError: a folder cannot be listed.
    """
    above = len(os.path.join(bundle, ""))
    for folder, folders, files in os.walk(bundle, onerror=_refuse):  # does not follow links
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*files, *links):
            # Cut off as it stands: relpath() would ask Windows, which drops a dot at the end of a name.
            yield os.path.join(folder, name)[above:].replace(os.sep, "/")


def _refuse(error: OSError) -> None:
    raise IntegrityError(f"cannot be listed: {error.strerror}", place=str(error.filename)) from error


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a pipe, socket or device"
