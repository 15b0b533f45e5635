"""What is odd about folders that were taken for classes: where it is bearable a caution, else an error."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetl.data.readers.endings import unread_named
from edgetl.data.readers.folder_masks import Pictures
from edgetl.data.readers.folder_names import (
    are_no_classes,
    holds_masks,
    look_like_classes,
    says_nothing,
)
from edgetl.data.readers.folder_tree import Folder
from edgetl.data.readers.hints import as_yaml, data_field, root_named, table_for
from edgetl.data.records import Split, split_of
from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["about_classes", "about_masks", "require_classes", "require_pictures"]

_SHOWN = 5
_DEEPEST = 8
"""The recipe's largest level."""


def require_pictures(root: Path, top: Folder) -> None:
    """Raises DataError where there is no picture, and something else that is not read."""
    if top.count:
        return
    unread = [name for folder in top.all() for name in folder.unread if folder is not top or "." in name]
    if unread:
        named, advice = unread_named(unread)
        raise DataError(f"got no images: {named}, which are not read", place=str(root), hint=advice)


def require_classes(
    root: Path, parents: Sequence[Folder], classes: Sequence[Folder], level: int, tables: Sequence[str]
) -> None:
    """Folders at this level hold pictures, and differ by more than a number or a word for pictures.

    Args:
        parents: root, or the splits' folders.
        tables: paths of what may hold the labels.

    Raises:
        DataError: they do not.
    """
    holding = [folder for folder in classes if folder.count]
    if level > 1 and not holding:
        raise _too_deep(root, parents, level)
    seen = holding or [parent for parent in parents if parent.pictures and parent.place]
    names = {folder.name for folder in seen}
    if not are_no_classes(names):
        return
    masks = any(map(holds_masks, names))
    if holding and not masks and _classes_below(holding, level):
        return
    inner = next(filter(_holds_what_looks_like_classes, holding), None)
    there = (
        f"the labels are in a table ({', '.join(some(tables, _SHOWN))})"
        if tables
        else "nothing here says their classes"
    )
    raise DataError(
        f"{', '.join(some([folder.place for folder in seen], _SHOWN))} hold pictures and no class folders: "
        + (f"those are in {inner.place}" if inner else there),
        place=str(root),
        hint=root_named("folder", root / inner.place) if inner else table_for(root, tables),
    )


def _holds_what_looks_like_classes(folder: Folder) -> bool:
    names = [below.name for below in folder.folders if below.count]
    return not holds_masks(folder.name) and look_like_classes({"": names})


def _too_deep(root: Path, parents: Sequence[Folder], level: int) -> DataError:
    """There are no pictures in folders so far down."""
    lines, fitting = [], 0
    layer = list(parents)
    for depth in range(1, level + 1):
        layer = [below for folder in layer for below in folder.folders]
        names = sorted({folder.name for folder in layer if folder.count})
        if names:
            lines.append(f"level {depth}: {', '.join(some(names, _SHOWN))}")
        if depth < level and len([name for name in names if not says_nothing(name)]) > 1 and not are_no_classes(names):
            fitting = depth
    below = "root" if not parents[0].place else "the splits' folders"
    return DataError(
        f"data.level: no pictures are in folders {level} levels below {below}; there are "
        + ("; ".join(lines) or "no folders with pictures"),
        place=str(root),
        hint=f"write {data_field('level', str(fitting))}" if fitting else None,
    )


def _classes_below(classes: Sequence[Folder], level: int) -> tuple[int, list[str]] | None:
    """The next level further down whose folders look like classes, and their names.

    No level does where pictures lie above it, which would then have no class, or where it parts nothing.
    """
    layer = [folder for folder in classes if folder.count]
    for depth in range(level + 1, _DEEPEST + 1):
        if any(folder.pictures for folder in layer):
            return None
        parents = {
            folder.place: [below for below in folder.folders if below.count and not holds_masks(below.name)]
            for folder in layer
        }
        names = {place: [below.name for below in below_it] for place, below_it in parents.items()}
        if any(len(each) > 1 for each in names.values()) and look_like_classes(names):
            return depth, sorted({name for each in names.values() for name in each})
        layer = [below for below_it in parents.values() for below in below_it]
    return None


def about_classes(
    classes: Sequence[tuple[Folder, Split | None]], pictures: Mapping[str, Pictures], level: int
) -> list[str]:
    """Cautions about folders that were taken for classes.

    Args:
        classes: each with its split.
        pictures: of each, by its place.
    """
    holding = [(folder, split) for folder, split in classes if pictures[folder.place].images]
    return [
        *(_apart(holding) if level > 1 else ()),
        *_deeper([folder for folder, _ in holding], pictures, level),
        *_within_others([folder for folder, _ in holding]),
        *_hardly_classes([folder for folder, _ in holding]),
    ]


def _apart(classes: Sequence[tuple[Folder, Split | None]]) -> list[str]:
    """Folders of one name in several others."""
    places: defaultdict[tuple[str, Split | None], list[str]] = defaultdict(list)
    for folder, split in classes:
        places[folder.name, split].append(folder.place)
    several = [
        f"{name} ({', '.join(some(each, 3))})" for (name, _), each in sorted(places.items(), key=str) if len(each) > 1
    ]
    return [f"folders of one name are one class: {'; '.join(some(several, _SHOWN))}"] if several else []


def _deeper(classes: Sequence[Folder], pictures: Mapping[str, Pictures], level: int) -> list[str]:
    """Pictures in folders below the class folders; where the level was chosen, only if it parts nothing."""
    if level > 1 and len({folder.name for folder in classes}) > 1:
        return []
    found = _classes_below(classes, level)
    below: Counter[str] = Counter()
    names: set[str] = set()
    total = 0
    for folder in classes:
        start = len(folder.place) + 1
        total += len(pictures[folder.place].images)
        for image in pictures[folder.place].images:
            inner = image.find("/", start)
            if inner > 0:
                below[folder.name] += 1
                names.add(image[start:inner])
    if not below:
        return []
    said = (
        f"{_named(below)} {'is a class' if len(below) == 1 else 'are classes'}, and {below.total()} of {total} pictures lie in "
        f"folders below: {_named(names)}"
    )
    if found:
        depth, inner_names = found
        said += f"; if the classes are {_named(inner_names)}, write data: {{level: {depth}}}"
    elif any(map(split_of, names)):
        said += "; splits are read only where their folders hold the class folders"
    return [said]


def _named(names: Mapping[str, int] | Sequence[str] | set[str]) -> str:
    return ", ".join(some(sorted(names), _SHOWN))


def _within_others(classes: Sequence[Folder]) -> list[str]:
    """A folder of a class's name in another class."""
    names = {folder.name.casefold() for folder in classes if not says_nothing(folder.name)}
    odd = [
        f"{below.place} (taken for {folder.name})"
        for folder in classes
        for below in folder.all()
        if below.count and below.name.casefold() in names and below.name.casefold() != folder.name.casefold()
    ]
    return [f"folders inside a class have the name of another class: {', '.join(some(odd, _SHOWN))}"] if odd else []


def _hardly_classes(classes: Sequence[Folder]) -> list[str]:
    """A folder of pictures or masks beside the classes."""
    odd = [folder for folder in classes if says_nothing(folder.name)]
    names = {folder.name for folder in odd}
    if not odd or len({folder.name for folder in classes} - names) < 2:
        return []
    patterns = ", ".join(as_yaml(folder.place) for folder in odd)
    return [
        f"taken for classes, although their names only say what files they hold: {_named(names)}; "
        f"to leave them out: data: {{exclude: [{patterns}]}}"
    ]


def about_masks(pictures: Sequence[Pictures]) -> list[str]:
    """One caution about masks that were known by their folder."""
    folders = [place for each in pictures for place in each.folders]
    lost = [path for each in pictures for path in each.lost]
    count = sum(each.in_folders for each in pictures)
    if not folders:
        return []
    without = (
        f"; {len(lost)} belong to no picture, or to one of several, and are ignored ({', '.join(some(lost, 3))})"
        if lost
        else ""
    )
    return [
        f"{count} pictures in {', '.join(some(folders, _SHOWN))} are taken for masks of the pictures of the same names{without}"
    ]
