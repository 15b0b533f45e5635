"""Every picture decoded once, by the code that the device runs, into one file of pixels for training.

Training reads from here. Evaluation does not: it goes from the original files through `edgetl.runtime`.

Which split a picture is in is known only when all are decoded, because near duplicates are looked for in the pixels. So
`cache` writes one file of all, and `divide` makes of it SPLIT/pixels.npy, from which `open_images` reads by row.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from edgetl.console.progress import Progress
from edgetl.data.disk_space import require_room
from edgetl.data.parallel import each_picture
from edgetl.data.records import SPLITS, Split
from edgetl.data.table import DataTable
from edgetl.errors import DataError, IntegrityError
from edgetl.errors.wording import indented
from edgetl.files import replacing
from edgetl.runtime.preprocessing import Preprocessing, preprocess

__all__ = ["PIXELS", "Images", "all_unreadable", "cache", "divide", "open_cache", "open_images", "write_rows"]

PIXELS = "pixels.npy"
_AT_ONCE = 64
"""Pictures that are copied at once."""


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
    needed = 2 * int(np.prod(shape, dtype=np.int64))  # this file, and those that it is divided into
    require_room(path.parent, needed, "the decoded images", "free some space, or lower data.image_size")
    images = [record.image for record in table.records]
    # Written, not mapped: pages of a map count as this process's memory until the system wants them back.
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        _write_header(file, shape)

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


def divide(whole: Path, table: DataTable, folder: Path) -> None:
    """Write SPLIT/pixels.npy below `folder`, uint8 [n, H, W, 3] in row order, out of what `cache` wrote, which goes."""
    images = open_cache(whole)
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
        write_rows(images, table.rows(split), folder / split / PIXELS)
    whole.unlink()


def write_rows(images: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], path: Path) -> None:
    """Write some pictures of an open cache, in the order of `rows`, as a file that `open_cache` reads."""
    with path.open("wb") as file:
        _write_header(file, (len(rows), *images.shape[1:]))
        for start in range(0, len(rows), _AT_ONCE):
            file.write(images[rows[start : start + _AT_ONCE]].data)


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    file.flush()


class Images:
    """uint8 RGB pictures of some splits, by their row in the whole data set; a row of another split is an IndexError.

    shape: (pictures, H, W, 3).
    """

    def __init__(self, parts: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]]) -> None:
        """Parts are the ascending rows [n] and the pictures [n, H, W, 3] of a split each."""
        self._parts = [(rows, images) for rows, images in parts if len(rows)]
        height, width, channels = parts[0][1].shape[1:]
        self.shape = (sum(len(rows) for rows, _ in parts), height, width, channels)

    def __getitem__(self, row: int | npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """[H, W, 3] of one row, or [n, H, W, 3] of several, as a copy."""
        pixels = self._read(np.atleast_1d(row))
        return pixels if isinstance(row, np.ndarray) else np.asarray(pixels[0])

    def _read(self, wanted: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        pixels = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        missing = np.ones(len(wanted), dtype=bool)
        for rows, images in self._parts:
            places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
            here = rows[places] == wanted
            if here.any():
                pixels[here] = images[places[here]]
                missing &= ~here
        if missing.any():
            raise IndexError(f"row {wanted[missing][0]} is in none of the splits that are open")
        return pixels


def open_images(folder: Path, table: DataTable, splits: Sequence[Split]) -> Images:
    """The pictures of some splits, each file as it is with `open_cache`.

    Raises:
        IntegrityError: pictures and table do not go together.
    """
    parts = [(table.rows(split), open_cache(folder / split / PIXELS)) for split in splits]
    for split, (rows, images) in zip(splits, parts, strict=True):
        if len(rows) != len(images):
            place = str(folder / split / PIXELS)
            raise IntegrityError(f"got {len(images)} pictures, the table has {len(rows)}", place=place)
    return Images(parts)


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
