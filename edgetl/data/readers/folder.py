"""A folder a class: CLASS/picture.png, or train|val|test/CLASS/picture.png.

Masks in the manner of BUSI, `NAME_mask.png` and `NAME_mask_1.png`, are attached to the picture NAME and are never
pictures themselves (Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 2020, https://doi.org/10.1016/j.dib.2019.104863).
`NAME-mask` and `NAME_segmentation` are masks too, in any case of letters.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetl.data.layout import AS_USUAL, Layout
from edgetl.data.readers.walking import inside, walk
from edgetl.data.records import SPLIT_NAMES, Reading, Record, Split
from edgetl.errors import DataError

__all__ = ["SUFFIXES", "nested", "read"]

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_UNREAD = re.compile(r"|\.(\d+|avif|dcm|dicom|heic|heif|j2k|jp2|jpx|jxl|npy|svs)")
"""Endings of pictures that are not read; DICOM files often have none, or the last number of their UID."""
_MASK = re.compile(r"(?P<name>.+)[_-](mask|segmentation)(_\d+)?", re.IGNORECASE)
_EXAMPLES = 3


def read(root: Path, layout: Layout = AS_USUAL) -> Reading:
    """Records of every picture, at any depth below its class folder; the source knows no groups.

    A picture with several masks keeps the first by name. What looks like a picture and is none of a class, or none that
    can be read, is counted in one caution.

    Raises:
        DataError: no class folders, split folders mixed with class folders, or a folder that cannot be read.
    """
    folders, loose = inside(root)
    if not folders:
        raise DataError(
            "got no folders, expected one for each of at least two classes",
            place=str(root),
            hint="root is the folder that holds one folder for each class",
        )
    splits = [path for path in folders if path.name.lower() in SPLIT_NAMES]
    if splits and len(splits) < len(folders):
        others = [path.name for path in folders if path not in splits]
        raise DataError(
            f"got split folders ({_names(splits)}) beside others ({', '.join(others[:5])}), expected only one kind",
            place=str(root),
            hint="move the class folders into the split folders, or rename the ones that are classes",
        )
    classes: list[tuple[Path, Split | None]] = [(folder, None) for folder in folders if not splits]
    for split in splits:
        within, beside = inside(split)
        classes += [(folder, SPLIT_NAMES[split.name.lower()]) for folder in within]
        loose += beside
    left: defaultdict[str, list[Path]] = defaultdict(list)
    left["in no class"] = [path for path in loose if path.suffix and _looks_like_a_picture(path)]
    readings = [_class(root, folder, split, left) for folder, split in classes]
    cautions = [caution for reading in readings for caution in reading.cautions]
    return Reading([record for reading in readings for record in reading.records], [*cautions, *_left_out(root, left)])


def nested(root: Path) -> str | None:
    """Where the class folders seem to be instead: in the only folder below."""
    folders, _ = inside(root)
    if len(folders) == 1 and inside(folders[0])[0]:
        return f"root is the folder that holds one folder for each class; is it {folders[0]}?"
    return None


def _looks_like_a_picture(path: Path) -> bool:
    ending = path.suffix.lower()
    return ending in SUFFIXES or _UNREAD.fullmatch(ending) is not None


def _left_out(root: Path, left: Mapping[str, Sequence[Path]]) -> list[str]:
    """One caution about all files that look like pictures and have no part in the data set, by what keeps them out."""
    parts = []
    for why, files in sorted(left.items()):
        examples = [path.relative_to(root).as_posix() for path in files[:_EXAMPLES]]
        if files:
            parts.append(f"{len(files)} {why} ({', '.join(examples)}{', ...' if len(files) > _EXAMPLES else ''})")
    return [f"{sum(map(len, left.values()))} files are left out: {'; '.join(parts)}"] if parts else []


def _class(root: Path, folder: Path, split: Split | None, left: defaultdict[str, list[Path]]) -> Reading:
    """Records of one class; what looks like a picture and is not read goes to `left`."""
    pictures: list[Path] = []
    for parent, names in walk(root, folder):
        for path in (parent / name for name in names):
            if path.suffix.lower() in SUFFIXES:
                pictures.append(path)
            elif _looks_like_a_picture(path):
                left[path.suffix.lower() or "without an ending"].append(path)
    stems = {path.with_suffix("") for path in pictures}
    masks: dict[Path, Path] = {}
    images: list[Path] = []
    orphans = 0
    for path in pictures:
        match = _MASK.fullmatch(path.stem)
        if match is None:
            images.append(path)
        elif (owner := path.with_name(match["name"])) in stems:
            masks.setdefault(owner, path)
        else:
            orphans += 1
    place = folder.relative_to(root).as_posix()
    cautions = [f"{place}: {orphans} masks have no picture beside them and are ignored"] if orphans else []
    if not images:
        cautions.append(f"{place}: holds no pictures and is ignored")
    records = [
        Record(
            image=path.relative_to(root).as_posix(),
            label=folder.name,
            split=split,
            mask=mask.relative_to(root).as_posix() if (mask := masks.get(path.with_suffix(""))) else None,
        )
        for path in images
    ]
    return Reading(records, cautions)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
