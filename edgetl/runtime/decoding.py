"""A picture file becomes uint8 RGB pixels, or an `UnreadableImage`: never a guess, never half a picture.

Pillow does the decoding and is needed only here, so a device that hands over pixels itself can do without it.
What is done to the pixels is exactly this, so that another language can do the same:

1. The orientation (EXIF tag 274; XMP `tiff:Orientation` where there is no EXIF) is applied. A damaged EXIF block or a
   value outside 1..8 counts as upright, as every viewer shows it. Colour profiles and gamma are not applied.
2. Grey is repeated into the three channels, palettes are looked up, CMYK becomes RGB as Pillow converts it.
3. Alpha is dropped: the stored colour counts, whatever is behind it.
4. 16-bit grey is scaled to 8 bits as round(value * 255 / 65535). 16-bit colour keeps its high byte.

What cannot be seen: changed bytes in the middle of a JPEG that still decode. Hashes are for that.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import MissingRuntime, UnreadableImage
from .jpeg import lacks_data

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decompressed."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of what is read; everything else it knows only widens what a hostile file can reach."""

# What Pillow's parsers are known to raise on damaged files, beside its own OSError.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    LookupError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
_EIGHT_BIT = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})


def decode(source: Path | str | bytes) -> npt.NDArray[np.uint8]:
    """The pixels of one picture.

    Args:
        source: a path, or the bytes of the file.

    Returns:
        uint8 [H, W, 3], RGB, upright, C-contiguous.

    Raises:
        UnreadableImage: missing, empty, damaged, truncated, animated or multi-page, of an unknown kind, of a pixel type
            without a fixed range, or larger than `MAX_PIXELS`.
        MissingRuntime: Pillow is not installed.
    """
    place = "image" if isinstance(source, bytes) else str(source)
    content = source if isinstance(source, bytes) else _read(Path(source))
    if not content:
        raise UnreadableImage("the file is empty (0 bytes), expected a picture", place=place)
    return _decode(content, place)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UnreadableImage(f"cannot be read: {exc.strerror or exc}", place=str(path)) from exc


def _decode(content: bytes, place: str) -> npt.NDArray[np.uint8]:
    try:
        from PIL import Image, ImageFile, UnidentifiedImageError
    except ImportError as exc:
        raise MissingRuntime(
            "decoding a picture needs Pillow, which is not installed",
            place=place,
            hint="pip install pillow, or hand over decoded uint8 RGB pixels",
        ) from exc
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # a process-wide switch that fills missing pixels with grey
        raise UnreadableImage(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is switched on in this process, so truncation cannot be seen",
            place=place,
            hint="set it back to False: edgetl never computes on invented pixels",
        )
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _refuse_unsafe(image, place)
            image.load()
            if image.format in {"JPEG", "MPO"}:
                _refuse_incomplete(image, content, place)
            return _upright(_to_rgb(image, place), _orientation(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise UnreadableImage(_too_large(), place=place) from exc
    except UnidentifiedImageError as exc:
        raise UnreadableImage(
            "is not a picture that can be read, or its header is damaged",
            place=place,
            hint=f"readable kinds: {', '.join(FORMATS)}",
        ) from exc
    except _DAMAGED as exc:
        raise UnreadableImage(f"is damaged or truncated: {exc}", place=place) from exc


def _too_large() -> str:
    return f"has more than {MAX_PIXELS // 1_000_000} million pixels: refused as a possible decompression bomb"


def _refuse_unsafe(image: Image.Image, place: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{image.width}x{image.height} {_too_large()}", place=place)
    frames = getattr(image, "n_frames", 1)
    # Phones append previews and depth maps to a JPEG; Pillow calls that MPO. Its first picture is the photograph.
    if frames > 1 and image.format != "MPO":
        raise UnreadableImage(
            f"holds {frames} frames or pages, expected one picture", place=place, hint="extract the frame that is meant"
        )


def _refuse_incomplete(image: Image.Image, content: bytes, place: str) -> None:
    def decode_again(changed: bytes) -> npt.NDArray[np.uint8]:
        from PIL import Image

        with Image.open(BytesIO(changed), formats=("JPEG",)) as again:
            return np.asarray(again)

    if lacks_data(content, np.asarray(image), bool(image.info.get("progressive")), decode_again):
        raise UnreadableImage("is truncated: its data ends before the picture does", place=place)


def _to_rgb(image: Image.Image, place: str) -> npt.NDArray[np.uint8]:
    if image.mode in _EIGHT_BIT:
        # La and RGBa are premultiplied and have no direct way to RGB.
        straight = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode]) if image.mode in {"La", "RGBa"} else image
        return np.asarray(straight.convert("RGB"))
    if image.mode == "I" or image.mode.startswith("I;16"):  # older Pillow opens 16-bit PNG as 32-bit "I"
        values = np.asarray(image).astype(np.int64)
        if values.min() >= 0 and values.max() <= 65535:
            grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
    raise UnreadableImage(
        f"has pixels of type {image.mode!r}, which have no fixed range from black to white, expected 8 or 16 bits",
        place=place,
        hint="apply a window and save 8-bit pixels",
    )


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """EXIF 2.3, tag 274: 5..8 swap the axes; then rows, columns or both are mirrored."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(turned[::rows, ::columns])
