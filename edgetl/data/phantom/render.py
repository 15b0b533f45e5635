"""From numbers to pictures: one image in memory, or a whole folder.

A folder holds `phantom.json` (what it is being made from, written first), `images/`, `masks/` and `metadata.csv`
(written last: a folder without it is unfinished). Each file appears under its name only when complete, so a killed
rendering goes on where it stopped, and a larger set of the same seed begins with the smaller one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from edgetl.data.phantom.camera import device_of, photograph
from edgetl.data.phantom.cases import Case, case
from edgetl.data.phantom.lesion import Specimen, paint
from edgetl.data.phantom.sampling import Place, place
from edgetl.errors import DataError, UsageError
from edgetl.files import sweep, write_whole

__all__ = ["SOURCE", "VERSION", "Rendered", "render", "render_image"]

SOURCE = "edgetl skin_phantom (synthetic)"
VERSION = 1  # raised when the same seed gives other pictures

_COLUMNS = ("image", "label", "lesion", "mask", "split", "device", "skin_tone", "age", "sex", "localization")
_SMALLEST = 32


@dataclass(frozen=True)
class Rendered:
    """One synthetic dermatoscopic picture and what is known about it.

    image: uint8 [size, size, 3], RGB. mask: bool [size, size], True on the lesion.
    name: file name. label: class. lesion: identity of the lesion, shared by all its images.
    age (years, "" where unknown), sex, localization, skin_tone ("I" to "VI") and device as text, as in metadata.csv.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    name: str
    label: str
    lesion: str
    device: str
    skin_tone: str
    age: str
    sex: str
    localization: str


def render_image(seed: int, index: int, size: int) -> Rendered:
    """Image number `index` of the set that `seed` defines; depends on nothing else.

    Args:
        seed: >= 0.
        index: >= 0. Neighbouring indices often show one lesion.
        size: side of the square picture in pixels, >= 32. It changes the resolution, not the picture.

    Raises:
        UsageError: an argument is out of range.
    """
    _check(seed, size)
    if index < 0:
        raise UsageError(f"got index {index}, expected 0 or more")
    at = place(seed, index)
    subject = case(seed, at.lesion)
    return _take(subject, paint(subject, size), at, index, size)


def render(folder: Path, images: int, size: int, seed: int) -> None:
    """Render the first `images` images of a set into `folder`, or finish what an earlier call began.

    Args:
        folder: made if missing; otherwise empty or of an earlier call with the same size and seed.
        images: how many, >= 1.
        size: side in pixels, >= 32.
        seed: >= 0.

    Raises:
        UsageError: an argument is out of range.
        DataError: the folder holds something else.
    """
    _check(seed, size)
    if images < 1:
        raise UsageError(f"got {images} images, expected at least 1")
    _claim(folder, {"source": SOURCE, "version": VERSION, "seed": seed, "size": size})
    table = folder / "metadata.csv"
    text = _table(seed, images)
    if table.is_file() and table.read_text(encoding="utf-8") == text:
        return
    table.unlink(missing_ok=True)
    for part in ("images", "masks"):
        (folder / part).mkdir(exist_ok=True)
        sweep(folder / part)
    lesions = [list(views) for _, views in groupby(range(images), key=lambda index: place(seed, index).lesion)]
    # Two threads: most of the time is spent in numpy, OpenCV and zlib, which let go of the interpreter's lock.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(partial(_render_lesion, folder, seed, size), lesions):
            pass
    write_whole(table, text)


def _check(seed: int, size: int) -> None:
    if seed < 0:
        raise UsageError(f"got seed {seed}, expected 0 or more")
    if size < _SMALLEST:
        raise UsageError(f"got size {size}, expected at least {_SMALLEST} pixels")


def _claim(folder: Path, settings: dict[str, str | int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    stamp, text = folder / "phantom.json", json.dumps(settings, indent=1) + "\n"
    if stamp.is_file():
        if stamp.read_text(encoding="utf-8") != text:
            message = f"got a folder of another rendering, expected seed {settings['seed']}, size {settings['size']}"
            raise DataError(message, place=str(folder), hint="choose another folder or delete this one")
    elif any(folder.iterdir()):
        message = "got a folder with other files, expected an empty one"
        raise DataError(message, place=str(folder), hint="choose another folder")
    else:
        write_whole(stamp, text)


def _render_lesion(folder: Path, seed: int, size: int, indices: list[int]) -> None:
    """Write the missing images of one lesion, painted once for all its views."""
    missing = [index for index in indices if not (folder / "images" / _name(index)).is_file()]
    if not missing:
        return
    subject = case(seed, place(seed, missing[0]).lesion)
    specimen = paint(subject, size)
    for index in missing:
        shot = _take(subject, specimen, place(seed, index), index, size)
        write_whole(folder / "masks" / shot.name, _png(shot.mask.astype(np.uint8) * 255))
        write_whole(
            folder / "images" / shot.name, _png(shot.image)
        )  # last, because it is what a resumed call looks for


def _take(subject: Case, specimen: Specimen, at: Place, index: int, size: int) -> Rendered:
    photo = photograph(specimen, size, subject.seed, at.lesion, at.view)
    return Rendered(photo.image, photo.mask, **_facts(subject, at, index))


def _facts(subject: Case, at: Place, index: int) -> dict[str, str]:
    return {
        "name": _name(index),
        "label": subject.label,
        "lesion": f"lesion_{at.lesion:06d}",
        "device": device_of(subject.seed, at.lesion, at.view),
        "skin_tone": subject.skin_tone,
        "age": subject.age,
        "sex": subject.sex,
        "localization": subject.localization,
    }


def _table(seed: int, images: int) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n", restval="")  # no split is prescribed
    writer.writeheader()
    for row in _rows(seed, images):
        writer.writerow(row)
    return text.getvalue()


def _rows(seed: int, images: int) -> Iterator[dict[str, str]]:
    subject: Case | None = None
    for index in range(images):
        at = place(seed, index)
        if subject is None or subject.lesion != at.lesion:
            subject = case(seed, at.lesion)
        facts = _facts(subject, at, index)
        name = facts.pop("name")
        yield {"image": f"images/{name}", "mask": f"masks/{name}", **facts}


def _name(index: int) -> str:
    return f"phantom_{index:06d}.png"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    marks = PngInfo()
    marks.add_text("Source", SOURCE)  # whoever finds the file alone must not take it for a patient's
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1, pnginfo=marks)
    return buffer.getvalue()
