"""One labelled image, whatever it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class DataWarning(UserWarning):
    """Something about the data set that does not stop a build but that its report must say."""


@dataclass(frozen=True)
class Record:
    """One labelled image.

    image: path of the picture, relative to the data root, with forward slashes.
    label: class name.
    group: what must stay on one side of a split (lesion, patient); None when the source knows no groups.
    split: the split that the source prescribes, or None.
    mask: path of a segmentation mask, relative to the root, or None.
    metadata: further columns as text (age, sex, device, ...), for subgroup reports.
    """

    image: str
    label: str
    group: str | None = None
    split: Split | None = None
    mask: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def group_of(record: Record) -> str:
    """What the record moves with: its group, or itself where the source knows none."""
    return record.image if record.group is None else record.group
