"""What kind of data set lies in a folder or file, for a recipe that does not exist yet."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.console.progress import Progress
from edgetl.data.readers import READERS
from edgetl.data.readers.folder import SUFFIXES
from edgetl.data.records import Record
from edgetl.data.source import Source, open_source
from edgetl.errors import DataError

__all__ = ["Discovery", "discover"]

_SAMPLE = 200
"""Pictures whose size is looked at, and which only have their header read."""
_ENTRIES = 10_000
"""Files that are counted of a folder that is no data set."""


@dataclass(frozen=True)
class Discovery:
    """A data set that can be read.

    root: as the recipe should name it: a folder, or the file itself.
    size: median (width, height) of a sample of its pictures; None when none of them has a readable header.
    """

    kind: str
    root: Path
    source: Source
    size: tuple[int, int] | None


def discover(path: Path, scratch: Path, progress: Progress) -> Discovery:
    """Find out what lies at `path`.

    Args:
        scratch: where the pictures of a .npz are unpacked.

    Raises:
        DataError: nothing that a recipe could name, with what was seen instead.
    """
    if not path.exists():
        raise DataError(f"does not exist, expected {_expected()}", place=str(path))
    tried: list[DataError] = []
    for kind, root in _candidates(path):
        try:
            source = open_source(kind, root, unpack_to=scratch, progress=progress)
        except DataError as exc:
            tried.append(exc)
            continue
        return Discovery(kind, root, source, _size(source.root, source.records))
    if len(tried) == 1:
        (only,) = tried
        seen = f"; seen: {_seen(path)}" if path.is_dir() else ""
        raise DataError(f"{only.message}{seen}", place=only.place, hint=only.hint)
    hint = "; or ".join(reader.root for reader in READERS.values() if not reader.render)
    if path.is_file():
        raise DataError(f"got a {path.suffix or 'file'}, expected {_expected()}", place=str(path), hint=hint)
    reasons = "".join(f"\n  not {kind}: {exc}" for (kind, _), exc in zip(_candidates(path), tried, strict=True))
    raise DataError(f"is no data set; seen: {_seen(path)}{reasons}", place=str(path), hint=hint)


def _expected() -> str:
    endings = [ending for reader in READERS.values() for ending in reader.endings]
    return f"a folder or a file {', '.join(endings)}"


def _candidates(path: Path) -> list[tuple[str, Path]]:
    """Kinds that it may be, the most specific one first."""
    if path.is_file():
        return [(kind, path) for kind, reader in READERS.items() if path.suffix.lower() in reader.endings]
    try:
        inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
    files = [entry for entry in inside if entry.is_file()]
    names = {file.name.lower() for file in files}
    if marked := [kind for kind, reader in READERS.items() if names.intersection(reader.marks)]:
        return [(kind, path) for kind in marked]
    candidates, folders = [], []
    for kind, reader in READERS.items():
        fitting = [file for file in files if file.suffix.lower() in reader.endings]
        if len(fitting) == 1:
            candidates.append((kind, fitting[0]))
        if not (reader.endings or reader.marks or reader.render):
            folders.append((kind, path))
    return [*candidates, *folders]


def _seen(folder: Path) -> str:
    """What a folder holds, in a line."""
    endings: Counter[str] = Counter()
    folders = 0
    for _, inner, files in os.walk(folder):
        folders += len(inner)
        endings.update(os.path.splitext(name)[1].lower() or "no ending" for name in files)  # noqa: PTH122
        if endings.total() > _ENTRIES:
            break
    parts = [f"{folders} folders"] if folders else []
    parts += [f"{count} {ending}" for ending, count in endings.most_common(5)]
    pictures = sum(count for ending, count in endings.items() if ending in SUFFIXES)
    return f"{', '.join(parts) or 'nothing'}; {pictures} pictures"


def _size(root: Path, records: Sequence[Record]) -> tuple[int, int] | None:
    from PIL import Image

    sizes: list[tuple[int, int]] = []
    for record in records[:: max(1, len(records) // _SAMPLE)]:
        path = root / record.image
        if not path.is_file():  # opening a pipe would wait for ever
            continue
        try:
            with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
                sizes.append(image.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # the check names broken pictures
            continue
    if not sizes:
        return None
    widths, heights = (sorted(sides) for sides in zip(*sizes, strict=True))
    return widths[len(widths) // 2], heights[len(heights) // 2]
