"""A data set that lies inside itself once more, as archives that were packed twice make them.

chest_xray/{train,val,test,chest_xray/{train,val,test}}, or {yes,no,brain_tumor_dataset/{yes,no}}: read as it lies, the inner
one would be a class.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from edgetl.data.readers.folder_names import says_nothing
from edgetl.data.readers.folder_tree import Folder
from edgetl.data.readers.hints import as_yaml
from edgetl.data.records import split_of
from edgetl.errors import DataError
from edgetl.errors.wording import some

__all__ = ["without_copies"]


def without_copies(root: Path, parent: Folder, depth: int, spared: Collection[str] = ()) -> tuple[Folder, list[str]]:
    """`parent` without folders that hold once more what lies beside them, and a caution about each.

    Args:
        depth: levels of folders from it down to the classes.
        spared: places of folders that are what they seem, such as a split's.

    Raises:
        DataError: a folder holds others of the names of those beside it, and they are not the same.
    """
    names = {
        folder.name.casefold() for folder in parent.folders if split_of(folder.name) or not says_nothing(folder.name)
    }
    kept, cautions = [], []
    for folder in parent.folders:
        shared = [
            below.name
            for below in folder.folders
            if below.name.casefold() in names and below.name.casefold() != folder.name.casefold()
        ]
        if len(shared) > 1 and folder.count and folder.place not in spared:
            cautions.append(_as_a_copy(root, parent, folder, shared))
        else:
            kept.append(folder)
    if depth > 1:
        inner = [without_copies(root, folder, depth - 1) for folder in kept]
        kept = [folder for folder, _ in inner]
        cautions += [caution for _, more in inner for caution in more]
    return replace(parent, folders=kept), cautions


def _as_a_copy(root: Path, parent: Folder, folder: Folder, shared: list[str]) -> str:
    """What is said of a copy; raises DataError where it is none."""
    outer = {path for beside in parent.folders if beside is not folder for path in _paths(beside, parent)}
    inner = list(_paths(folder, folder))
    new = [path for path in inner if path not in outer]
    if not new:
        new = [path for path in inner if not _same_size(root / folder.path(path), root / parent.path(path))]
    if not new:
        return (
            f"{folder.place} holds {', '.join(some(shared, 5))} once more, as they lie beside it, and is left out: its "
            f"{len(inner)} pictures have the names and sizes of those"
        )
    raise DataError(
        f"{folder.place} holds {', '.join(some(shared, 5))} as they lie beside it, and {len(new)} of its {len(inner)} pictures "
        f"are not those beside it, such as {folder.path(new[0])}",
        place=str(root),
        hint=f"for the inner folder alone, write data: {{root: {as_yaml(str(root / folder.place))}}}; for what lies around it, "
        f"move {folder.place} out of {root}",
    )


def _paths(folder: Folder, base: Folder) -> Iterator[str]:
    start = len(base.place) + 1 if base.place else 0
    return (each.path(name)[start:] for each in folder.all() for name in each.pictures)


def _same_size(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size
    except OSError:  # a link to nowhere: whoever opens the picture names it
        return False
