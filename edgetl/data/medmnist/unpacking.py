"""A MedMNIST .npz as a folder of PNG files: images are streamed out of the archive, one at a time."""

from __future__ import annotations

import csv
import errno
import math
import os
import shutil
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.console.progress import Progress
from edgetl.data.disk_space import require_room
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.medmnist.archive import Part, opened, parts, pixels
from edgetl.data.readers.medmnist import TABLE
from edgetl.errors import EnvironmentFault

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["VERSION", "identity", "unpack"]

VERSION = 1
"""Raised when the same .npz would unpack into other files."""

_BLOCK = 4096  # what a file takes on disk at least


def identity(path: Path, index_path: Path) -> str:
    """What decides the unpacked files: the content of the .npz, and how it is unpacked.

    Raises:
        DataError: not a set that `unpack` takes.
    """
    with opened(path) as archive:
        parts(archive, path)
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
        with opened(path) as archive:
            splits = parts(archive, path)
            needed = sum(part.shape[0] * max(_BLOCK, math.prod(part.shape[1:])) for part in splits)
            hint = "free some space, or set EDGETL_STORE to a folder on another disk"
            require_room(folder, needed, "the unpacked images", hint)
            progress.say(f"unpacking {sum(len(part.labels) for part in splits)} images of {path.name}")
            _write(archive, splits, unfinished, progress)
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


def _write(archive: zipfile.ZipFile, splits: Sequence[Part], folder: Path, progress: Progress) -> None:
    total, done = sum(len(part.labels) for part in splits), 0
    folder.mkdir()
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("path", "label", "split"))
        for part in splits:
            (folder / part.split).mkdir()
            for number, picture in enumerate(pixels(archive, part)):
                image = f"{part.split}/{number:06}.png"
                (folder / image).write_bytes(_png(picture))
                writer.writerow((image, int(part.labels[number]), part.split))
                done += 1
                if done % 256 == 0 or done == total:
                    progress.advance("unpack", done, total)


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    content = BytesIO()
    Image.fromarray(picture).save(content, "PNG", compress_level=1)
    return content.getvalue()


def _sweep(folder: Path) -> None:
    """Remove what unpackings left that were killed."""
    import psutil

    for left in folder.glob("*.part-*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
