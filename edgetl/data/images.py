"""Every picture decoded once, by the code that the device runs, into one memory-mapped file for training.

Training reads from here. Evaluation does not: it goes from the original files through `edgetl.runtime`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgetl.data.table import DataTable
from edgetl.errors import DataError, EnvironmentFault, UnreadableImage
from edgetl.progress import Progress
from edgetl.runtime.preprocessing import Preprocessing, preprocess

__all__ = ["all_unreadable", "cache", "open_cache"]

_THREADS = 8
_AHEAD = 256
"""Pictures in flight: bounds the memory, and how long Ctrl-C waits."""


def cache(table: DataTable, root: Path, preprocessing: Preprocessing, path: Path, progress: Progress) -> None:
    """Write uint8 [N, H, W, 3], RGB, rows in the table's order.

    Raises:
        DataError: some pictures cannot be read; all of them are named in one error, not one a run.
        EnvironmentFault: the disk has no room for it.
    """
    size = preprocessing.resize
    shape = (len(table.records), size.height, size.width, 3)
    _require_room(path.parent, int(np.prod(shape, dtype=np.int64)))
    unfinished = path.with_name(f"{path.name}.part")
    images = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
    files = [root / record.image for record in table.records]
    failures = _decode_into(images, files, preprocessing, progress)
    images.flush()
    del images
    if failures:
        unfinished.unlink()
        raise all_unreadable([f"{table.records[row].image}: {why.message}" for row, why in failures], root)
    unfinished.replace(path)


def _decode_into(
    images: npt.NDArray[np.uint8], files: Sequence[Path], preprocessing: Preprocessing, progress: Progress
) -> list[tuple[int, UnreadableImage]]:
    """Fill every row that can be; the rows that cannot, with the reason."""

    def fill(row: int) -> UnreadableImage | None:
        try:
            images[row] = preprocess(files[row], preprocessing)
        except UnreadableImage as exc:
            return exc
        return None

    failures = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(files), _AHEAD):
            rows = range(first, min(first + _AHEAD, len(files)))
            found = zip(rows, pool.map(fill, rows), strict=True)
            failures += [(row, failure) for row, failure in found if failure is not None]
            progress.advance("images", rows.stop, len(files))
    return failures


def open_cache(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W, 3], memory-mapped and read-only: picking rows reads only those."""
    images: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    assert images.dtype == np.uint8, images.dtype
    assert images.ndim == 4, images.shape
    return images


def _require_room(folder: Path, needed: int) -> None:
    """A memory map on a full disk dies of SIGBUS without a word, so ask before."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentFault(
            f"got {free / 1e9:.1f} GB of free disk, expected {needed / 1e9:.1f} GB for the decoded images",
            place=str(folder),
            hint="free some space, or lower data.image_size",
        )


def all_unreadable(reasons: list[str], root: Path) -> DataError:
    """One error for all pictures that cannot be read, each given as "path: reason"; ten are shown."""
    shown = "".join(f"\n  {reason}" for reason in reasons[:10])
    more = f"\n  ... and {len(reasons) - 10} more" if len(reasons) > 10 else ""
    return DataError(
        f"{len(reasons)} images cannot be read:{shown}{more}",
        place=str(root),
        hint="repair or remove them, together with their rows in a metadata table",
    )
