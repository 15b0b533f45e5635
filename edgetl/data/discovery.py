"""What kind of data set lies in a folder or file, for a recipe that does not exist yet."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgetl.console.progress import Progress
from edgetl.data import table_discovery as tables
from edgetl.data.layout import AS_USUAL, Layout
from edgetl.data.readers import READERS
from edgetl.data.readers.endings import SUFFIXES, TABLES, TEXT, WORKBOOKS, ending
from edgetl.data.readers.walking import inside
from edgetl.data.records import Record
from edgetl.data.source import Source, open_source
from edgetl.data.table_trials import Asked
from edgetl.errors import DataError

__all__ = ["Discovery", "discover"]

_GENERIC = re.compile(r"images?|imgs?|pictures?|photos?|jpe?g|png|data", re.IGNORECASE)
"""Names of folders that say nothing of the pictures in them."""
_MOST_CLASSES = 100
_SAMPLE = 200
"""Pictures whose size is looked at, and which only have their header read."""
_ENTRIES = 10_000
"""Files that are counted of a folder that is no data set."""


@dataclass(frozen=True)
class Discovery:
    """A data set that can be read.

    root: as the recipe should name it: a folder, or the file itself.
    layout, labels: what the recipe has to say of it.
    notes: what was seen and is no part of it, and what was decided, a sentence each.
    size: median (width, height) of a sample of its pictures; None when none of them has a readable header.
    """

    kind: str
    root: Path
    source: Source
    size: tuple[int, int] | None
    layout: Layout = AS_USUAL
    labels: Mapping[str, str | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def discover(path: Path, scratch: Path, progress: Progress, asked: Asked | None = None) -> Discovery:
    """Find out what lies at `path`.

    Args:
        scratch: where the pictures of a .npz are unpacked.
        asked: what is said of it beforehand, as a recipe would say it.

    Raises:
        DataError: nothing that a recipe could name, with what was seen instead; or several things that it could.
    """
    asked = asked or Asked(AS_USUAL, {})
    if not path.exists():
        raise DataError(f"does not exist, expected {_expected()}", place=str(path))
    broken: list[str] = []
    for kind, root in _marked(path):
        try:
            return _whole(kind, root, scratch, progress, asked)
        except DataError as exc:
            if root == path:
                raise
            broken.append(f"{root.name}: {exc.message}")
    if path.is_file() and path.suffix.lower() not in (*TABLES, *TEXT, *WORKBOOKS):
        hint = "; or ".join(reader.root for reader in READERS.values() if not reader.render)
        raise DataError(f"got a {path.suffix or 'file'}, expected {_expected()}", place=str(path), hint=hint)
    table = tables.find(path, asked)
    if isinstance(table, tables.FoundTable):
        size = _size(table.source.root, table.source.records)
        return Discovery("csv", table.root, table.source, size, table.layout, table.labels, (*broken, *table.notes))
    try:
        found = _folders(path, asked, [*broken, *table.notes], scratch, progress)
    except DataError as exc:
        raise table.error or exc from exc
    if table.error and _numbered({record.label for record in found.source.records}):
        raise table.error
    return found


def _marked(path: Path) -> list[tuple[str, Path]]:
    """The kind that a name tells, the most specific one; none where pictures have to be looked for."""
    if path.is_file():
        fitting = [kind for kind, reader in READERS.items() if path.suffix.lower() in reader.endings]
        return [(kind, path) for kind in fitting if not READERS[kind].columns]
    _, files = inside(path)
    names = {file.name.lower() for file in files}
    if marked := [kind for kind, reader in READERS.items() if names.intersection(reader.marks)]:
        return [(marked[0], path)]
    archives = [
        (kind, file)
        for kind, reader in READERS.items()
        if not reader.columns
        for file in files
        if file.suffix.lower() in reader.endings
    ]
    return archives if len(archives) == 1 else []


def _whole(kind: str, root: Path, scratch: Path, progress: Progress, asked: Asked) -> Discovery:
    """A kind that needs no finding out."""
    source = open_source(
        kind,
        root,
        unpack_to=scratch,
        layout=replace(AS_USUAL, group=asked.layout.group, prescribed=asked.layout.prescribed),
        labels=asked.labels,
        exclude=asked.exclude,
        progress=progress,
    )
    size = _size(source.root, source.records)
    return Discovery(kind, root, source, size, asked.layout, asked.labels)


def _folders(path: Path, asked: Asked, notes: Sequence[str], scratch: Path, progress: Progress) -> Discovery:
    """Class folders at `path`, or in the only folder there. Raises DataError, with what is there, where there are none."""
    try:
        source = open_source("folder", path, layout=asked.layout, labels=asked.labels, exclude=asked.exclude)
    except DataError as exc:
        folders, _ = inside(path)
        if len(folders) == 1 and inside(folders[0])[0]:
            with contextlib.suppress(DataError):
                found = discover(folders[0], scratch, progress, asked)
                return replace(found, notes=(*notes, f"everything lies in {folders[0].name}", *found.notes))
        seen = "".join(f"\n  {note}" for note in (f"seen: {_seen(path)}", *notes))
        named = next((note.partition(":")[0] for note in notes if note.endswith(tables.LEFT_OUT)), None)
        hint = tables.init_of(path / named, "--columns", "path=COLUMN,label=COLUMN") if named else ""
        hints = "; or ".join(filter(None, (exc.hint, hint)))
        raise DataError(f"{exc.message}{seen}", place=exc.place, hint=hints or None) from exc
    level = asked.layout.level
    if not asked.said_level and (deeper := _level(path, source)) != level:
        level = deeper
        layout = replace(asked.layout, level=level)
        source = open_source("folder", path, layout=layout, labels=asked.labels, exclude=asked.exclude)
    layout = replace(asked.layout, level=level)
    return Discovery("folder", path, source, _size(source.root, source.records), layout, asked.labels, tuple(notes))


def _numbered(names: Collection[str]) -> bool:
    """Whether folders are called as those of one thing, images_001 and images_002: beside a table they are no classes."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1


def _level(path: Path, source: Source) -> int:
    """How deep the classes lie: as deep as the folders of pictures, where these are no patients.

    Raises:
        DataError: it may be either.
    """
    below: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in source.records:
        top, *inner, _ = record.image.split("/")[1 if record.split else 0 :]
        if not inner or _GENERIC.fullmatch(inner[0]):
            return 1
        below[top][inner[0]] += 1
    names = [name for inner in below.values() for name in inner]
    if len(names) == len(below):  # one folder in each: it makes no difference
        return 1
    without_numbers = {re.sub(r"\d+", "", name.casefold()) for name in names}
    if len(without_numbers) == 1 or len(names) > _MOST_CLASSES:
        return 1  # patient1, patient2: the folders of one class
    if len(set(names)) == len(without_numbers) == len(names):
        return 2
    first = {top: ", ".join(sorted(inner)[:3]) for top, inner in below.items()}
    shown = "; ".join(f"{top}: {inner}" for top, inner in list(first.items())[:3])
    raise DataError(
        f"the classes may be {', '.join(list(below)[:5])}, or the folders in them ({shown})",
        place=str(path),
        hint=f"say which: {tables.init_of(path, '--set', 'data.level=1')}, or --set data.level=2",
    )


def _expected() -> str:
    endings = [end for reader in READERS.values() for end in reader.endings]
    return f"a folder or a file {', '.join(endings)}"


def _seen(folder: Path) -> str:
    """What a folder holds, in a line."""
    endings: Counter[str] = Counter()
    folders = 0
    for _, inner, files in os.walk(folder):
        folders += len(inner)
        endings.update(ending(name) or "no ending" for name in files)
        if endings.total() > _ENTRIES:
            break
    parts = [f"{folders} folders"] if folders else []
    parts += [f"{count} {end}" for end, count in endings.most_common(5)]
    pictures = sum(count for end, count in endings.items() if end in SUFFIXES)
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
