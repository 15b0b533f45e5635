"""A picture file becomes uint8 RGB pixels, or an `UnreadableImage`: never a guess, never half a picture.

Pillow does the decoding and is needed only here, so a device that hands over pixels itself can do without it.
What is done to the pixels is exactly this, so that another language can do the same:

1. The orientation (EXIF tag 274; XMP `tiff:Orientation` where there is no EXIF) is applied. A damaged EXIF block or a
   value outside 1..8 counts as upright, as every viewer shows it. Colour profiles and gamma are not applied.
2. Grey is repeated into the three channels, palettes are looked up, CMYK becomes RGB as Pillow converts it.
3. Transparent pixels are seen on black: value = round(colour * alpha / 255). Alpha may be a channel, that of a palette's
   entry, or 0 of a PNG's key colour (tRNS) and 255 of all others; colour that was stored multiplied by it is used as it
   is. 16-bit colour has no key colour. Where alpha is 255 nothing changes.
4. Unsigned 16-bit grey is scaled to 8 bits as round(value * 255 / (2**bits - 1)), where `bits`, from 8 to 16, is the
   network's (`Preprocessing.bits`); a picture with a larger value is refused. What says itself what its white is, a
   TIFF's 12-bit grey (tag 258) and a PPM whose largest value is not 65535, is scaled by that.
5. In a TIFF whose photometric interpretation (tag 262) is 0, white is zero, so grey of every depth is inverted. 16-bit
   colour, and grey with alpha, keeps its high byte.

Integers of 32 bits, signed ones and floats have no fixed range from black to white, so such pictures are refused.

What cannot be seen: changed bytes in the middle of a picture that still decode. Hashes are for that.
"""

from __future__ import annotations

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .containers import container
from .depth import MOST_BITS
from .errors import MissingRuntime, UnreadableImage
from .jpeg import lacks_data
from .pixels import Facts, Pixels, Storage, facts, storage, to_rgb
from .png import lacks_rows

if TYPE_CHECKING:
    from PIL import Image

Found = TypeVar("Found")

# Pillow warns of damaged metadata, which counts as none, and of pictures beyond a limit that is not ours. Set once and
# not around each picture: `warnings.catch_warnings` changes what all threads see.
warnings.filterwarnings("ignore", module=r"PIL\.")

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decompressed."""

MAX_SIDE = 65_535
"""So are those with a longer side, as none that a JPEG can hold has."""

MAX_BYTES = 10 * MAX_PIXELS
"""Larger files are not even read: the most that a pixel takes is 8 bytes, with 16-bit colour and alpha."""

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


def decode(source: Path | str | bytes, bits: int = MOST_BITS) -> Pixels:
    """The pixels of one picture.

    Args:
        source: a path, or the bytes of the file.
        bits: that unsigned 16-bit grey uses, from 8 to 16: white is 2**bits - 1.

    Returns:
        uint8 [H, W, 3], RGB, upright, C-contiguous.

    Raises:
        UnreadableImage: missing, empty, damaged, truncated, animated or multi-page, of an unknown kind, of a pixel type
            without a fixed range, of 16-bit grey beyond `bits`, or larger than `MAX_PIXELS`, `MAX_SIDE` or `MAX_BYTES`.
        MissingRuntime: Pillow is not installed.
    """
    place = _place(source)
    return _loaded(source, lambda image, how: _upright(to_rgb(image, how, bits, place), _orientation(image)))


def examine(source: Path | str | bytes) -> Facts:
    """What a picture holds that needs a word, opened as `decode` does. Raises what that raises, but for its pixel type."""
    return _loaded(source, facts)


def _loaded(source: Path | str | bytes, use: Callable[[Image.Image, Storage], Found]) -> Found:
    """What `use` makes of a complete, safe picture; what it raises itself on a damaged one is an UnreadableImage too."""
    content = source if isinstance(source, bytes) else _read(Path(source))
    if not content:
        raise UnreadableImage("the file is empty (0 bytes), expected a picture", place=_place(source))
    return _decode(content, _place(source), use)


def _place(source: Path | str | bytes) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _read(path: Path) -> bytes:
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # to open it would wait for a writer
            raise UnreadableImage("is a pipe, expected a picture", place=str(path))
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= MAX_BYTES:
                return file.read()
    except OSError as exc:
        raise UnreadableImage(f"cannot be read: {exc.strerror or exc}", place=str(path)) from exc
    except ValueError as exc:  # no path at all: it has a NUL byte in it
        raise UnreadableImage(f"is no path: {exc}", place=ascii(str(path))) from exc
    raise UnreadableImage(
        f"has {size / 1e9:.1f} GB, more than any picture of {MAX_PIXELS // 1_000_000} million pixels", place=str(path)
    )


def _decode(content: bytes, place: str, use: Callable[[Image.Image, Storage], Found]) -> Found:
    try:
        from PIL import Image, ImageFile, UnidentifiedImageError
    except ImportError as exc:
        raise MissingRuntime(
            "decoding a picture needs Pillow, which is not installed",
            place=place,
            hint="pip install pillow, which is edgetl-runtime[images], or hand over decoded uint8 RGB pixels",
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
            how = storage(image)
            image.load()
            _refuse_incomplete(image, content, place)
            return use(image, how)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise UnreadableImage(_too_large(), place=place) from exc
    except UnidentifiedImageError as exc:
        known = container(content)
        raise UnreadableImage(
            known.what if known else "is not a picture that can be read, or its header is damaged",
            place=place,
            hint=known.hint if known else f"readable kinds: {', '.join(FORMATS)}",
        ) from exc
    except _DAMAGED as exc:
        raise UnreadableImage(f"is damaged or truncated: {exc}", place=place) from exc


def _too_large() -> str:
    return f"has more than {MAX_PIXELS // 1_000_000} million pixels: refused as a possible decompression bomb"


def _refuse_unsafe(image: Image.Image, place: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{image.width}x{image.height} {_too_large()}", place=place)
    if max(image.size) > MAX_SIDE:
        raise UnreadableImage(f"{image.width}x{image.height} has a side of more than {MAX_SIDE:,} pixels", place=place)
    frames = getattr(image, "n_frames", 1)
    # Phones append previews and depth maps to a JPEG; Pillow calls that MPO. Its first picture is the photograph.
    if frames > 1 and image.format != "MPO":
        raise UnreadableImage(
            f"holds {frames} frames or pages, expected one picture", place=place, hint="extract the frame that is meant"
        )


def _refuse_incomplete(image: Image.Image, content: bytes, place: str) -> None:
    from PIL import Image

    def unchanged(changed: bytes) -> bool:
        with Image.open(BytesIO(changed), formats=("JPEG",)) as again:
            return np.array_equal(np.asarray(again), np.asarray(image))

    width, height = image.size
    incomplete = False
    if image.format in {"JPEG", "MPO"}:
        last = image.crop((width - 1, height - 1, width, height)).tobytes()
        incomplete = lacks_data(content, last, bool(image.info.get("progressive")), unchanged)
    elif image.format == "PNG":
        incomplete = lacks_rows(content, not np.asarray(image.crop((0, height - 1, width, height))).any())
    if incomplete:
        raise UnreadableImage("is truncated: its data ends before the picture does", place=place)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """EXIF 2.3, tag 274: 5..8 swap the axes; then rows, columns or both are mirrored."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(turned[::rows, ::columns])
