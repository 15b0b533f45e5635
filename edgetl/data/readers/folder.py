"""A folder a class: CLASS/picture.png, or train|val|test/CLASS/picture.png.

Masks in the manner of BUSI, `NAME_mask.png` and `NAME_mask_1.png`, are attached to the picture NAME and are never
pictures themselves (Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 2020, https://doi.org/10.1016/j.dib.2019.104863).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from edgetl.data.records import SPLIT_NAMES, DataWarning, Record, Split
from edgetl.errors import DataError

__all__ = ["read"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MASK = re.compile(r"(?P<name>.+)_mask(_\d+)?")


def read(root: Path) -> list[Record]:
    """Records of every picture, at any depth below its class folder; the source knows no groups.

    A picture with several masks keeps the first by name.

    Raises:
        DataError: no class folders, fewer than two classes, or split folders mixed with class folders.
    """
    folders = _subfolders(root)
    splits = [path for path in folders if path.name.lower() in SPLIT_NAMES]
    if splits and len(splits) < len(folders):
        others = [path.name for path in folders if path not in splits]
        raise DataError(
            f"got split folders ({_names(splits)}) beside others ({', '.join(others[:5])}), expected only one kind",
            place=str(root),
            hint="move the class folders into the split folders, or rename the ones that are classes",
        )
    if not splits:
        _require_two(root, folders)
        return [record for folder in folders for record in _class(root, folder, None)]
    _require_two(root, list({path.name: path for split in splits for path in _subfolders(split)}.values()))
    return [
        record
        for split in splits
        for folder in _subfolders(split)
        for record in _class(root, folder, SPLIT_NAMES[split.name.lower()])
    ]


def _require_two(root: Path, classes: list[Path]) -> None:
    if len(classes) >= 2:
        return
    hint = "root is the folder that holds one folder for each class"
    if classes and _subfolders(classes[0]):
        hint += f"; is it {classes[0]}?"
    found = f"one folder ({classes[0].name})" if classes else "no folders"
    raise DataError(f"got {found}, expected a folder for each of at least two classes", place=str(root), hint=hint)


def _class(root: Path, folder: Path, split: Split | None) -> list[Record]:
    pictures = list(_pictures(folder))
    names = {path.with_suffix("") for path in pictures}
    masks: dict[Path, Path] = {}
    images: list[Path] = []
    orphans = 0
    for path in pictures:
        match = _MASK.fullmatch(path.stem)
        if match is None:
            images.append(path)
        elif (owner := path.with_name(match["name"])) in names:
            masks.setdefault(owner, path)
        else:
            orphans += 1
    place = folder.relative_to(root).as_posix()
    if orphans:
        warnings.warn(
            f"{place}: {orphans} masks have no picture beside them and are ignored", DataWarning, stacklevel=3
        )
    if not images:
        warnings.warn(f"{place}: holds no pictures and is ignored", DataWarning, stacklevel=3)
    return [
        Record(
            image=path.relative_to(root).as_posix(),
            label=folder.name,
            split=split,
            mask=mask.relative_to(root).as_posix() if (mask := masks.get(path.with_suffix(""))) else None,
        )
        for path in images
    ]


def _pictures(folder: Path) -> Iterator[Path]:
    """Every picture below, sorted, without hidden files and folders (and __MACOSX)."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
