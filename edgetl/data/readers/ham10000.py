"""HAM10000 as it is downloaded: 10,015 dermatoscopic images of seven kinds of pigmented skin lesions.

Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Scientific Data 2018, https://doi.org/10.1038/sdata.2018.161

Several images show one lesion, so the lesion is the group. Mirrors differ in the spelling of the folders and in the
table's ending, and some hold every image twice under two spellings: images are found by their id, wherever they lie.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from edgetl.data.readers.columns import rows
from edgetl.data.records import DataWarning, Metadata, Record
from edgetl.errors import DataError

__all__ = ["read"]

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
TABLES = ("ham10000_metadata.csv", "ham10000_metadata.tab", "ham10000_metadata")
_METADATA = ("dx_type", "age", "sex", "localization")
_MASK_ENDING = "_segmentation"


def read(root: Path) -> list[Record]:
    """Records of every row of the metadata table, grouped by lesion; age, sex, site and kind of diagnosis are metadata.

    Raises:
        DataError: no metadata table, a row without its image, an image id twice, or an unknown diagnosis.
    """
    table = _table(root)
    images, masks, copies = _pictures(root)
    records: dict[str, Record] = {}
    missing: list[str] = []
    for line, row in rows(table, ("lesion_id", "image_id", "dx")):
        image_id, label = row["image_id"], row["dx"].lower()
        place = f"{table}:{line}"
        if label not in CLASSES:
            raise DataError(f"dx: got {label!r}, expected one of {', '.join(CLASSES)}", place=place)
        if not row["lesion_id"]:
            raise DataError("lesion_id: got nothing, expected the lesion that the image shows", place=place)
        if image_id in records:
            raise DataError(f"image_id: got {image_id} a second time", place=place)
        if image_id not in images:
            missing.append(image_id)
            continue
        records[image_id] = Record(
            image=images[image_id],
            label=label,
            group=row["lesion_id"],
            mask=masks.get(image_id),
            metadata=Metadata(_METADATA, tuple(row.get(name, "") for name in _METADATA)),
        )
    if missing:
        raise DataError(
            f"{len(missing)} rows have no image file: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}",
            place=str(table),
            hint="put both image parts under the root, or remove the rows",
        )
    _warn(len(images.keys() - records.keys()), copies)
    return list(records.values())


def _warn(extra: int, copies: int) -> None:
    if extra:
        warnings.warn(
            f"{extra} image files have no row in the metadata table and are ignored", DataWarning, stacklevel=3
        )
    if copies:
        warnings.warn(
            f"{copies} image files are further copies of an image id and are ignored", DataWarning, stacklevel=3
        )


def _table(root: Path) -> Path:
    found = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_file()}
    for name in TABLES:
        if name in found:
            return found[name]
    raise DataError(
        f"got no HAM10000_metadata.csv among {len(found)} files, expected it beside the image folders",
        place=str(root),
        hint="root is the folder that the HAM10000 download was unpacked into",
    )


def _pictures(root: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Image id -> relative path of the image, the same of its mask, and how many images are there a second time."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    copies = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        prefix = Path(folder).relative_to(root)
        for name in sorted(files):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - a Path for each of 20,000 names costs more than the walk
            if name.startswith(".") or ending.lower() not in (".jpg", ".jpeg", ".png"):
                continue
            path = (prefix / name).as_posix()
            if stem.endswith(_MASK_ENDING):
                masks.setdefault(stem.removesuffix(_MASK_ENDING), path)
            elif stem in images:
                copies += 1
            else:
                images[stem] = path
    return images, masks, copies
