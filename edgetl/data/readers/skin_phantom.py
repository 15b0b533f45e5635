"""A folder that the skin phantom rendered: metadata.csv beside images/ and masks/."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.readers.tables import rows
from edgetl.data.records import SPLITS, Reading, Record, SharedMetadata, Split
from edgetl.errors import DataError

__all__ = ["read"]

_METADATA = ("device", "skin_tone", "age", "sex", "localization")


def read(root: Path) -> Reading:
    """Records of every row; group is the lesion that the image shows.

    Raises:
        DataError: no metadata.csv, a row without its image or mask, an image twice, or an unknown split.
    """
    table = root / "metadata.csv"
    if not table.is_file():
        raise DataError("got no metadata.csv, expected a rendered phantom", place=str(root))
    records: dict[str, Record] = {}
    metadata = SharedMetadata(_METADATA)
    for line, row in rows(table, ("image", "label", "lesion", "mask", "split")):
        place = f"{table}:{line}"
        for column in ("image", "mask"):
            if row[column] and not (root / row[column]).is_file():
                raise DataError(f"{column}: {row[column]} is not there", place=place, hint="render the phantom again")
        if not row["image"] or not row["label"] or row["image"] in records:
            raise DataError("got a row without image or label, or an image a second time", place=place)
        records[row["image"]] = Record(
            image=row["image"],
            label=row["label"],
            group=row["lesion"] or None,
            split=_split(row["split"], place),
            mask=row["mask"] or None,
            metadata=metadata(tuple(row.get(name, "") for name in _METADATA)),
        )
    return Reading(list(records.values()))


def _split(text: str, place: str) -> Split | None:
    if not text:
        return None
    for split in SPLITS:
        if text == split:
            return split
    raise DataError(f"split: got {text!r}, expected {', '.join(SPLITS)} or nothing", place=place)
