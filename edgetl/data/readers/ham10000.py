"""HAM10000 as it is downloaded: 10,015 dermatoscopic images of seven kinds of pigmented skin lesions.

Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 2018, https://doi.org/10.1038/sdata.2018.161

Several images show one lesion, so the lesion is the group. Mirrors differ in the spelling of the folders and in the
table's ending, and some hold every image twice under two spellings: images are found by their id, wherever they lie.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgetl.data.readers import READERS
from edgetl.data.readers.tables import rows, wrong_rows
from edgetl.data.readers.walking import inside, walk
from edgetl.data.records import Metadata, Reading, Record
from edgetl.errors import DataError

__all__ = ["read"]

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_METADATA = ("dx_type", "age", "sex", "localization")
_MASK_ENDING = "_segmentation"
_PHOTOGRAPH = (".jpg", ".jpeg", ".jpe", ".jfif")
"""What the images are; a .png of the same id is a copy, or a mask in a folder of masks."""


def read(root: Path) -> Reading:
    """Records of every row of the metadata table, grouped by lesion; age, sex, site and kind of diagnosis are metadata.

    Raises:
        DataError: no metadata table, or rows with an unknown diagnosis, no lesion, no image, or one a second time.
    """
    table = _table(root)
    images, masks, copies = _pictures(root)
    records: dict[str, Record] = {}
    wrong: list[tuple[int, str]] = []
    for line, row in rows(table, ("lesion_id", "image_id", "dx")):
        image_id, label = row["image_id"], row["dx"].lower()
        if label not in CLASSES:
            wrong.append((line, f"dx: got {label!r}, expected one of {', '.join(CLASSES)}"))
        elif not row["lesion_id"]:
            wrong.append((line, "lesion_id: got nothing, expected the lesion that the image shows"))
        elif image_id in records:
            wrong.append((line, f"image_id: got {image_id} a second time"))
        elif image_id not in images:
            wrong.append((line, f"image_id: there is no image file of {image_id!r}{_without_ending(image_id, images)}"))
        else:
            records[image_id] = Record(
                image=images[image_id],
                label=label,
                group=row["lesion_id"],
                mask=masks.get(image_id),
                metadata=Metadata(_METADATA, tuple(row.get(name, "") for name in _METADATA)),
            )
    if wrong:
        raise wrong_rows(table, wrong, "correct or remove these rows; both image parts belong under the root")
    return Reading(list(records.values()), [*_cautions(len(images.keys() - records.keys()), copies)])


def _without_ending(image_id: str, images: Mapping[str, str]) -> str:
    stem = os.path.splitext(image_id)[0]  # noqa: PTH122
    return f"; {images[stem]} is there: write the id without its ending" if stem in images else ""


def _cautions(extra: int, copies: Sequence[tuple[str, str]]) -> Iterator[str]:
    if extra:
        yield f"{extra} image files have no row in the metadata table and are ignored"
    if copies:
        copy, used = copies[0]
        yield f"{len(copies)} image files are further copies of an image id and are ignored, such as {copy} beside {used}"


def _table(root: Path) -> Path:
    files = {path.name.lower(): path for path in inside(root)[1]}
    for name in READERS["ham10000"].marks:
        if name in files:
            return files[name]
    raise DataError(
        f"got no HAM10000_metadata.csv among {len(files)} files, expected it beside the image folders",
        place=str(root),
        hint="root is the folder that the HAM10000 download was unpacked into",
    )


def _pictures(root: Path) -> tuple[dict[str, str], dict[str, str], list[tuple[str, str]]]:
    """Image id -> relative path of the image, the same of its mask, and images that are there again: (copy, used one)."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    copies: list[tuple[str, str]] = []
    for folder, files in walk(root, root):
        prefix = folder.relative_to(root)
        for name in files:
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - a Path for each of 20,000 names costs more than the walk
            if ending.lower() not in (*_PHOTOGRAPH, ".png"):
                continue
            path = (prefix / name).as_posix()
            if stem.endswith(_MASK_ENDING):
                masks.setdefault(stem.removesuffix(_MASK_ENDING), path)
            elif stem not in images:
                images[stem] = path
            elif ending.lower() in _PHOTOGRAPH and images[stem].lower().endswith(".png"):
                copies.append((images[stem], path))
                images[stem] = path
            else:
                copies.append((path, images[stem]))
    return images, masks, copies
