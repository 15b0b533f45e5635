"""A MedMNIST .npz becomes a folder of PNG files, so that everything after it works on picture files as for other sets.

Yang et al., "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification",
Scientific Data 2023, https://doi.org/10.1038/s41597-022-01721-8. The large versions reach 13 GB: images are streamed out
of the archive, a few at a time.
"""

from __future__ import annotations

import csv
import errno
import lzma
import os
import shutil
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgetl.console.progress import Progress
from edgetl.data.disk_space import require_room
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.readers.medmnist import TABLE
from edgetl.data.records import SPLITS
from edgetl.errors import DataError, EnvironmentFault

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["VERSION", "identity", "unpack"]

VERSION = 1
"""Raised when the same .npz would unpack into other files."""

_BLOCK = 4096  # what a file takes on disk at least
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
class _Part:
    """One split: its labels, and the shape of its images, [N, H, W], [N, H, W, 1] or [N, H, W, 3]."""

    split: str
    labels: npt.NDArray[np.int64]
    shape: tuple[int, ...]


def identity(path: Path, index_path: Path) -> str:
    """What decides the unpacked files: the content of the .npz, and how it is unpacked.

    Raises:
        DataError: not a set that `unpack` takes.
    """
    with _archive(path) as archive:
        _parts(archive, path)
    digest = Fingerprints(index_path).digest(path.parent, [path.name])[path.name]
    return f"{VERSION}-{digest[:32]}"


def unpack(path: Path, folder: Path, progress: Progress) -> Path:
    """Write every image as a PNG into a folder below `folder`, named by the set's content; one that is there is kept.

    The folder appears under its name only when it is complete.

    Raises:
        DataError: no .npz of 2-D images with one label each, or a damaged one.
        EnvironmentFault: no room for the files.
    """
    target = folder / identity(path, folder / "files.sqlite")
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    unfinished = folder / f"{target.name}.part-{os.getpid()}"
    try:
        with _archive(path) as archive:
            parts = _parts(archive, path)
            needed = sum(part.shape[0] * max(_BLOCK, _volume(part.shape[1:])) for part in parts)
            hint = "free some space, or set EDGETL_STORE to a folder on another disk"
            require_room(folder, needed, "the unpacked images", hint)
            progress.say(f"unpacking {sum(len(part.labels) for part in parts)} images of {path.name}")
            _write(archive, parts, unfinished, progress)
        os.sync()  # or a power cut could leave a complete folder of empty files
        try:
            unfinished.rename(target)
        except OSError:  # another build was quicker
            if not target.is_dir():
                raise
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault("the disk is full", place=str(folder), hint="free some space") from exc
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
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


def _parts(archive: zipfile.ZipFile, path: Path) -> list[_Part]:
    """What the archive holds, from its headers and labels."""
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
    return [_Part(split, _labels(archive, split, path), _image_shape(archive, split, path)) for split in SPLITS]


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
    if archive.getinfo(f"{name}.npy").file_size != begin + _volume(shape):
        raise DataError(f"{name}: its size is not that of {list(shape)}", place=str(path), hint="download it again")
    return shape


def _write(archive: zipfile.ZipFile, parts: list[_Part], folder: Path, progress: Progress) -> None:
    total, done = sum(len(part.labels) for part in parts), 0
    folder.mkdir()
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "label", "split"))
        for part in parts:
            (folder / part.split).mkdir()
            for number, png in enumerate(_pngs(archive, part)):
                image = f"{part.split}/{number:06}.png"
                (folder / image).write_bytes(png)
                writer.writerow((image, int(part.labels[number]), part.split))
                done += 1
                if done % 256 == 0 or done == total:
                    progress.advance("unpack", done, total)


def _pngs(archive: zipfile.ZipFile, part: _Part) -> Iterator[bytes]:
    """The split's images as files, one after the other."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    shape = part.shape[1:3] if part.shape[3:] == (1,) else part.shape[1:]
    each = _volume(shape)
    with archive.open(f"{part.split}_images.npy") as file:
        _header(file, f"{part.split}_images", Path(archive.filename or ""))
        for _ in range(part.shape[0]):
            content = file.read(each)
            if len(content) != each:
                raise EOFError(f"{part.split}_images ends early")
            png = BytesIO()
            pixels = np.frombuffer(content, np.uint8).reshape(shape)
            Image.fromarray(pixels).save(png, "PNG", compress_level=1)
            yield png.getvalue()
        file.read(1)  # the end of the member, where its checksum is compared


def _volume(shape: tuple[int, ...]) -> int:
    volume = 1
    for side in shape:
        volume *= side
    return volume


def _sweep(folder: Path) -> None:
    """Remove what unpackings left that were killed."""
    import psutil

    for left in folder.glob("*.part-*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
