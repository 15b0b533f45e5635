"""What a MedMNIST .npz holds, read piece by piece and checked: the large versions reach 13 GB, and any file may be damaged."""

from __future__ import annotations

import errno
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgetl.data.records import SPLITS, Split
from edgetl.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Part", "opened", "parts", "pixels"]

_MAX_SIDE = 4096
# What zipfile and numpy's parser of headers are known to raise on damaged files, beside OSError.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,  # encrypted, or a compression that this Python lacks
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Part:
    """One split: its labels, and the shape of its images, [N, H, W], [N, H, W, 1] or [N, H, W, 3]."""

    split: Split
    labels: npt.NDArray[np.int64]
    shape: tuple[int, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """[H, W] or [H, W, 3], as a picture file has it."""
        return self.shape[1:3] if self.shape[3:] == (1,) else self.shape[1:]


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive; whatever shows in the block that it is damaged becomes a DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGED as exc:
        raise _damaged(exc, path) from exc
    except OSError as exc:
        if exc.errno in (None, errno.EINVAL):  # zipfile sought a place that no file has
            raise _damaged(exc, path) from exc
        if exc.filename == str(path):
            raise DataError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
        raise


def _damaged(exc: Exception, path: Path) -> DataError:
    return DataError(f"is no .npz or is damaged: {exc}", place=str(path), hint="download it again")


def parts(archive: zipfile.ZipFile, path: Path) -> list[Part]:
    """What the archive holds, from its headers and labels; `path` is its file, for errors.

    Raises:
        DataError: no MedMNIST set of 2-D images with one label each.
    """
    names = archive.namelist()
    wanted = [f"{split}_{what}.npy" for split in SPLITS for what in ("images", "labels")]
    missing = [name.removesuffix(".npy") for name in wanted if name not in names]
    if missing:
        got = ", ".join(name.removesuffix(".npy") for name in names[:8]) or "nothing"
        raise DataError(
            f"got arrays {got}; {', '.join(missing)} missing",
            place=str(path),
            hint="expected a MedMNIST .npz with images and labels of train, val and test",
        )
    return [Part(split, _labels(archive, split, path), _image_shape(archive, split, path)) for split in SPLITS]


def _header(file: IO[bytes], name: str, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array whose data comes next; nothing is unpickled."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        shape, fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError) as exc:
        raise DataError(f"{name}: is no array: {exc}", place=str(path)) from exc
    if dtype.hasobject:
        raise DataError(f"{name}: got pickled objects, expected numbers; they are never loaded", place=str(path))
    if fortran:
        raise DataError(f"{name}: got an array in Fortran order, expected C order", place=str(path))
    return shape, dtype


def _labels(archive: zipfile.ZipFile, split: str, path: Path) -> npt.NDArray[np.int64]:
    import numpy as np

    name = f"{split}_labels"
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _header(file, name, path)
        if len(shape) == 2 and shape[1] > 1:
            raise DataError(
                f"{name}: got {list(shape)}, several labels an image; only one label an image can be classified",
                place=str(path),
            )
        if len(shape) not in (1, 2) or 0 in shape or dtype.kind not in "iu":
            raise DataError(f"{name}: got {dtype} {list(shape)}, expected whole numbers [N, 1]", place=str(path))
        content = file.read(shape[0] * dtype.itemsize + 1)
    if len(content) != shape[0] * dtype.itemsize:
        raise DataError(f"{name}: got {len(content)} bytes, expected {shape[0] * dtype.itemsize}", place=str(path))
    return np.frombuffer(content, dtype).astype(np.int64)


def _image_shape(archive: zipfile.ZipFile, split: str, path: Path) -> tuple[int, ...]:
    name = f"{split}_images"
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _header(file, name, path)
        begin = file.tell()
    flat = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if not flat:
        what = ", volumes" if len(shape) in (4, 5) else ""
        raise DataError(
            f"{name}: got {list(shape)}{what}, expected [N, H, W], [N, H, W, 1] or [N, H, W, 3]", place=str(path)
        )
    if dtype != "uint8":
        raise DataError(f"{name}: got {dtype}, expected uint8", place=str(path))
    if not all(1 <= side <= _MAX_SIDE for side in shape[1:3]):
        raise DataError(f"{name}: got images of {shape[1]}x{shape[2]}, expected 1..{_MAX_SIDE}", place=str(path))
    with archive.open(f"{split}_labels.npy") as file:
        count = _header(file, f"{split}_labels", path)[0][0]
    if count != shape[0]:
        raise DataError(f"{name}: got {shape[0]} images and {count} labels, expected as many", place=str(path))
    if archive.getinfo(f"{name}.npy").file_size != begin + math.prod(shape):
        raise DataError(f"{name}: its size is not that of {list(shape)}", place=str(path), hint="download it again")
    return shape


def pixels(archive: zipfile.ZipFile, part: Part) -> Iterator[npt.NDArray[np.uint8]]:
    """The split's images one after the other, each uint8 of `part.image_shape`.

    Raises EOFError where they end early; in `opened`, that is a DataError.
    """
    import numpy as np

    name, shape = f"{part.split}_images", part.image_shape
    each = math.prod(shape)
    with archive.open(f"{name}.npy") as file:
        _header(file, name, Path(archive.filename or ""))
        for _ in range(part.shape[0]):
            content = file.read(each)
            if len(content) != each:
                raise EOFError(f"{name} ends early")
            yield np.frombuffer(content, np.uint8).reshape(shape)
        file.read(1)  # the end of the member, where its checksum is compared
