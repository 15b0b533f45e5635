"""Every picture decoded once, by the code that the device runs, into one file of pixels for training.

Training reads from here. Evaluation does not: it goes from the original files through `edgetl.runtime`.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetl.console.progress import Progress
from edgetl.data.disk_space import require_room
from edgetl.data.parallel import each_picture
from edgetl.data.table import DataTable
from edgetl.errors import DataError, IntegrityError
from edgetl.errors.wording import indented
from edgetl.files import replacing
from edgetl.runtime.preprocessing import Preprocessing, preprocess

__all__ = ["all_unreadable", "cache", "open_cache"]


def cache(
    table: DataTable,
    root: Path,
    preprocessing: Preprocessing,
    path: Path,
    progress: Progress,
    unreadable: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write uint8 [N, H, W, 3], RGB, rows in the table's order.

    Args:
        unreadable: pictures that are known to be, with the reason: they are not tried, but named with the others.

    Raises:
        DataError: some pictures cannot be read; all of them are named in one error, not one a run.
        EnvironmentFault: the disk has no room for it.
    """
    size = preprocessing.resize
    shape = (len(table.records), size.height, size.width, 3)
    needed = int(np.prod(shape, dtype=np.int64))
    require_room(path.parent, needed, "the decoded images", "free some space, or lower data.image_size")
    images = [record.image for record in table.records]
    # Written, not mapped: pages of a map count as this process's memory until the system wants them back.
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()

        def write(row: int) -> None:
            """Decode one picture into its place."""
            pixels = preprocess(root / images[row], preprocessing)
            written = os.pwrite(file.fileno(), pixels.data, start + row * pixels.nbytes)
            if written != pixels.nbytes:
                raise OSError(errno.ENOSPC, "no space left", str(unfinished))

        start = file.tell()
        failures = each_picture(root, images, write, unreadable, progress)
        if failures:
            raise all_unreadable([f"{images[row]}: {why}" for row, why in failures], root)


class _Cached(np.memmap[Any, np.dtype[np.uint8]]):
    """A memory map whose pictures are read from the file when they are picked by their rows.

    Reading costs no more than mapping, and the pages of a map would count as this process's memory: after an epoch, all
    of them. Everything else that an array can do works through the map.
    """

    _file: int | None = None

    def __getitem__(self, index: Any) -> Any:
        if self._file is None:
            return np.asarray(self)[index]
        if isinstance(index, int | np.integer):
            return self._read(np.array([index]))[0]
        if isinstance(index, np.ndarray) and index.ndim == 1 and index.dtype.kind in "iu":
            return self._read(index)
        return np.asarray(self)[index]

    def _read(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        assert self._file is not None
        pixels = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows.tolist()):
            if not -len(self) <= row < len(self):
                raise IndexError(f"row {row} of {len(self)}")
            at = self.offset + row % len(self) * pixels[place].nbytes
            if os.preadv(self._file, [pixels[place].data], at) != pixels[place].nbytes:
                raise IntegrityError("the file of decoded images ends early", place=str(self.filename))
        return pixels


def open_cache(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 [N, H, W, 3], read-only; picking rows, `images[row]` or `images[rows]`, reads only those, as a copy."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    assert mapped.dtype == np.uint8, mapped.dtype
    assert mapped.ndim == 4, mapped.shape
    images = _Cached(path, dtype=np.uint8, mode="r", offset=mapped.offset, shape=mapped.shape)
    images._file = os.open(path, os.O_RDONLY)
    weakref.finalize(images, os.close, images._file)
    return images


def all_unreadable(reasons: list[str], root: Path) -> DataError:
    """One error for all pictures that cannot be read, each given as "path: reason"; ten are shown."""
    return DataError(
        f"{len(reasons)} images cannot be read:{indented(reasons)}",
        place=str(root),
        hint="repair or remove them, together with their rows in a metadata table",
    )
