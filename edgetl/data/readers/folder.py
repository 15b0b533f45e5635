"""A folder a class: CLASS/picture.png, or train|val|test/CLASS/picture.png, or both further down by a level that is given.

The tree is looked at once, as names; which of its folders are classes, splits, masks or copies is found out from those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetl.data.layout import AS_USUAL, Layout
from edgetl.data.readers.endings import ending, is_table, unread_named
from edgetl.data.readers.folder_copies import without_copies
from edgetl.data.readers.folder_doubts import about_classes, about_masks, require_classes, require_pictures
from edgetl.data.readers.folder_masks import Pictures, stem, told_apart
from edgetl.data.readers.folder_names import holds_masks, holds_pictures, says_nothing
from edgetl.data.readers.folder_tree import Folder, of_files, shallow
from edgetl.data.readers.hints import root_named, table_for
from edgetl.data.readers.walking import identity, inside
from edgetl.data.records import Reading, Record, Split, split_of
from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["nested", "read"]

_EXAMPLES = 3
_Parted = tuple[Folder, Split | None]
"""A folder and the split that it belongs to."""


def read(root: Path, layout: Layout = AS_USUAL) -> Reading:
    """Records of every picture, at any depth below its class folder; the source knows no groups.

    A picture with several masks keeps the first by name. What looks like a picture and is none of a class, or none that
    can be read, is counted in one caution.

    Raises:
        DataError: no class folders, split folders mixed with class folders, or a folder that cannot be read.
    """
    top = _looked_at(root, layout.level)
    require_pictures(root, top)
    splits = _splits(top)
    top, cautions = without_copies(root, top, layout.level + bool(splits), splits)
    parents: list[_Parted] = [(top, None)]
    if splits:
        parents = [(folder, splits[folder.place]) for folder in top.folders if folder.place in splits]
        cautions += _beside_splits(root, top, splits)
    classes, above = _at(layout.level, parents)
    above += [top] if splits else []
    tables = [
        folder.path(name) for folder in (top, *(parent for parent, _ in parents if splits)) for name in folder.tables
    ]
    require_classes(root, [parent for parent, _ in parents], [folder for folder, _ in classes], layout.level, tables)
    pictures = {folder.place: told_apart(folder) for folder, _ in classes}
    records = [record for folder, split in classes for record in _records(folder, split, pictures[folder.place])]
    cautions += [
        *_empty_splits(parents, records),
        *(caution for folder, _ in classes for caution in _about(folder.place, pictures[folder.place])),
        *about_masks([pictures[folder.place] for folder, _ in classes]),
        *about_classes(classes, pictures, layout.level),
        *_tables_beside(tables),
        *_left_out(above, [folder for folder, _ in classes]),
    ]
    return Reading(records, cautions)


def nested(root: Path) -> str | None:
    """Where the class folders seem to be instead: in the only folder below."""
    folders, _ = inside(root)
    if len(folders) == 1 and inside(folders[0])[0]:
        return (
            f"root is the folder that holds one folder for each class; is it {folders[0]}? Then "
            f"{root_named('folder', folders[0])}"
        )
    return None


def _looked_at(root: Path, level: int) -> Folder:
    """Root and all below. Raises DataError where it has no folders."""
    above = frozenset(identity(folder) for folder in (root, *root.resolve().parents))
    folders, files = inside(root)
    below = [
        shallow(root, folder, level if split_of(folder.name) else level - 1, above)
        for folder in folders
        if identity(folder) not in above
    ]
    names = [file.name for file in files]
    top = of_files("", names, tuple(filter(is_table, names)), below)
    if below:
        return top
    named, advice = unread_named([name for name in top.unread if "." in name])
    raise DataError(
        f"got no folders{f' but {named}' if named else ''}, expected one for each of at least two classes",
        place=str(root),
        hint=table_for(root, top.tables)
        if top.pictures
        else advice or "root is the folder that holds one folder for each class",
    )


def _splits(top: Folder) -> dict[str, Split]:
    """Place -> split, of the folders that are splits; one called as train_images is where such a one holds classes."""
    called = [folder for folder in top.folders if split_of(folder.name)]
    if not any(not holds_pictures(folder.name) or _holds_classes(folder) for folder in called):
        return {}
    names = [folder.name for folder in called]
    return {folder.place: split for folder in called if (split := split_of(folder.name, names))}


def _at(level: int, parents: Sequence[_Parted]) -> tuple[list[_Parted], list[Folder]]:
    """The folders so many levels below `parents`, and those above them."""
    classes, above = [], []
    for parent, split in parents:
        layer = [parent]
        for _ in range(level):
            above += layer
            layer = [below for folder in layer for below in folder.folders]
        classes += [(folder, split) for folder in layer]
    return classes, above


def _holds_classes(folder: Folder) -> bool:
    return any(not says_nothing(below.name) for below in folder.folders)


def _beside_splits(root: Path, top: Folder, splits: Mapping[str, Split]) -> list[str]:
    """Cautions about folders beside the splits' that have no part; raises DataError where they seem to be classes."""
    others = [folder for folder in top.folders if folder.place not in splits]
    classes = [folder.name for folder in others if folder.count and not holds_masks(folder.name)]
    if classes:
        raise DataError(
            f"got split folders ({', '.join(splits)}) beside others ({', '.join(some(classes, 5))}), expected only one kind",
            place=str(root),
            hint="move the class folders into the split folders, or rename the ones that are classes",
        )
    return [
        f"{folder.place}: {folder.count} masks beside the split folders are ignored"
        if folder.count
        else f"{folder.place}: holds no pictures and is ignored"
        for folder in others
    ]


def _empty_splits(parents: Sequence[_Parted], records: Sequence[Record]) -> list[str]:
    filled = {record.split for record in records}
    return [
        f"{folder.place}: holds no pictures of a class; {split} counts as not prescribed"
        for folder, split in parents
        if split is not None and split not in filled
    ]


def _records(folder: Folder, split: Split | None, pictures: Pictures) -> list[Record]:
    masks = pictures.masks
    return [
        Record(image=image, label=folder.name, split=split, mask=masks.get(stem(image)) if masks else None)
        for image in pictures.images
    ]


def _about(place: str, pictures: Pictures) -> list[str]:
    cautions = []
    if pictures.lone:
        cautions.append(f"{place}: {len(pictures.lone)} masks have no picture beside them and are ignored")
    if not pictures.images:
        cautions.append(f"{place}: holds no pictures and is ignored")
    return cautions


def _tables_beside(tables: Sequence[str]) -> list[str]:
    if not tables:
        return []
    return [f"labels are the folders' names; tables beside them are not read: {', '.join(some(tables, _EXAMPLES))}"]


def _left_out(above: Sequence[Folder], classes: Sequence[Folder]) -> list[str]:
    """One caution about all files that look like pictures and have no part in the data set, by what keeps them out."""
    left: defaultdict[str, list[str]] = defaultdict(list)
    for folder in sorted(above, key=lambda folder: folder.place):
        left["in no class"] += [folder.path(name) for name in sorted([*folder.pictures, *folder.unread]) if "." in name]
    for top in classes:
        for folder in top.all():
            for name in folder.unread:
                left[ending(name) or "without an ending"].append(folder.path(name))
    parts = [
        f"{len(files)} {why} ({', '.join(files[:_EXAMPLES])}{', ...' if len(files) > _EXAMPLES else ''})"
        for why, files in sorted(left.items())
        if files
    ]
    return [f"{sum(map(len, left.values()))} files are left out: {'; '.join(parts)}"] if parts else []
