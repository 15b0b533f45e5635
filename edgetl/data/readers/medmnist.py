"""A folder that `edgetl.data.medmnist` unpacked a MedMNIST .npz into: labels.csv beside a folder for each split."""

from __future__ import annotations

from pathlib import Path

from edgetl.data.layout import AS_USUAL
from edgetl.data.readers import csv_table
from edgetl.data.records import Reading
from edgetl.errors import DataError

__all__ = ["TABLE", "read"]

TABLE = "labels.csv"


def read(root: Path) -> Reading:
    """Records of every image, with the split that the set prescribes; labels are numbers as text.

    Raises:
        DataError: no unpacked set.
    """
    if not (root / TABLE).is_file():
        raise DataError(
            "got no unpacked MedMNIST set, expected a .npz", place=str(root), hint="data.root names the .npz itself"
        )
    return csv_table.read(root / TABLE, AS_USUAL)
