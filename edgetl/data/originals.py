"""What the files of a split were when the data stage looked at them: sha256 by path, in SPLIT/originals.json.

Whatever decodes original files later reads this first. So it depends on their content, and a file that changes while a build
runs is noticed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import SPLITS
from edgetl.errors import IntegrityError

if TYPE_CHECKING:
    from edgetl.data.table import DataTable

__all__ = ["ORIGINALS", "read", "write"]

ORIGINALS = "originals.json"
_AT_ONCE = 1024


def write(folder: Path, root: Path, table: DataTable, index: Fingerprints) -> None:
    """Write SPLIT/originals.json below `folder` for each split: {path below the data root: sha256}.

    Raises:
        DataError: files are gone.
        EnvironmentFault: the index cannot be written.
    """
    for split in SPLITS:
        images = [record.image for record in table.of(split)]
        (folder / split).mkdir(parents=True, exist_ok=True)
        with (folder / split / ORIGINALS).open("w", encoding="utf-8") as file:
            # A part at a time: the digests of 100,000 files take more memory than all that is known of them.
            for start in range(0, max(1, len(images)), _AT_ONCE):
                digests = index.digest(root, images[start : start + _AT_ONCE])
                lines = [f"{json.dumps(image, ensure_ascii=False)}: {json.dumps(digests[image])}" for image in digests]
                file.write(("{\n" if start == 0 else ",\n") + ",\n".join(lines))
            file.write("\n}\n")


def read(folder: Path, *splits: str) -> dict[str, str]:
    """sha256 by path of the files of some splits. Raises IntegrityError where that was not written."""
    digests: dict[str, str] = {}
    for split in splits:
        path = folder / split / ORIGINALS
        try:
            digests |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise IntegrityError(f"is no list of files: {exc}", place=str(path)) from exc
    return digests
