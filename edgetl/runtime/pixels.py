"""A picture that Pillow has opened becomes RGB: the rules 2 to 5 of `decoding`.

Some of what they need is known only between opening and loading: `storage` notes it. All else works on bands of rows: at
once, Pillow's conversions would need twice the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .depth import MOST_BITS
from .errors import UnreadableImage

if TYPE_CHECKING:
    from PIL import Image

Pixels = npt.NDArray[np.uint8]

_EIGHT_BIT = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_MULTIPLIED = frozenset({"La", "RGBa"})
_BAND = 2**20  # pixels that are converted at once

# TIFF 6.0
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2


class Storage(NamedTuple):
    """How a file holds its pixels.

    deep: as unsigned 16-bit grey that does not say how many of its bits are used.
    sample_bits: of a PNG, the bits of each sample, which Pillow widens or cuts to 8; of other files 8.
    """

    deep: bool
    sample_bits: int


class Facts(NamedTuple):
    """largest: value of unsigned 16-bit grey; None of other pictures. transparent: whether any pixel is, at least partly."""

    largest: int | None
    transparent: bool


def storage(image: Image.Image) -> Storage:
    """How a picture is stored that is opened and not loaded yet."""
    raw = getattr(image, "tile", None) or [("", None, 0, "")]
    how: Any = raw[0][3]  # of a PNG the raw mode, such as "L;4"; of a PPM that Pillow scales that and its largest value
    bits = {"L;2": 2, "L;4": 4, "RGB;16B": 16}.get(how, 8) if image.format == "PNG" and isinstance(how, str) else 8
    tags = _tags(image)
    if not _is_grey16(image) or _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        return Storage(deep=False, sample_bits=bits)
    if image.format == "PPM":
        return Storage(isinstance(how, str) or how[1] == 2**MOST_BITS - 1, bits)
    return Storage(tags.get(_BITS_PER_SAMPLE, (MOST_BITS,))[0] == MOST_BITS, bits)


def may_be_transparent(image: Image.Image) -> bool:
    """Whether an opened picture has what makes pixels transparent: alpha, a palette with it, or a key colour."""
    palette = image.palette if image.mode == "P" else None
    return image.mode in _ALPHA or "transparency" in image.info or (palette is not None and palette.mode.endswith("A"))


def facts(image: Image.Image, how: Storage) -> Facts:
    """What a loaded picture holds."""
    largest = _largest(image) if how.deep else None
    return Facts(largest, may_be_transparent(image) and any(_is_transparent(band, how) for _, band in _bands(image)))


def to_rgb(image: Image.Image, how: Storage, bits: int, place: str) -> Pixels:
    """uint8 [H, W, 3] of a loaded picture.

    Args:
        bits: that unsigned 16-bit grey uses, from 8 to 16.
        place: what errors call it.

    Raises:
        UnreadableImage: its pixels have no fixed range, or go beyond that of `bits`.
    """
    convert = _conversion(image, how, bits)
    if convert is None:
        raise UnreadableImage(
            f"has pixels of type {image.mode!r}, which have no fixed range from black to white, expected 8 or 16 unsigned bits",
            place=place,
            hint="apply a window and save 8-bit pixels",
        )
    if how.deep and bits < MOST_BITS:
        _require_range(_largest(image), bits, place)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, band in _bands(image):
        pixels[top : top + band.height] = convert(band)
    return pixels


def _largest(image: Image.Image) -> int:
    return max(int(np.asarray(band).max()) for _, band in _bands(image))


def _require_range(largest: int, bits: int, place: str) -> None:
    if largest >= 2**bits:
        raise UnreadableImage(
            f"has 16-bit grey with values up to {largest}, expected at most {2**bits - 1}: "
            f"the network is for grey of {bits} bits",
            place=place,
            hint=f"scale it as the pictures that the network is trained on, or train with data.bits: {largest.bit_length()}",
        )


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Its first row and each band."""
    width, height = image.size
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _conversion(image: Image.Image, how: Storage, bits: int) -> Callable[[Image.Image], Pixels] | None:
    """What makes RGB [h, w, 3], or grey [h, w, 1], of the picture's bands; None where they have no fixed range."""
    tags = _tags(image)
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        return None
    if image.mode in _EIGHT_BIT:
        return (lambda band: _over_black(band, how)) if may_be_transparent(image) else _opaque
    if _is_grey16(image):
        levels = _levels(bits if how.deep else tags.get(_BITS_PER_SAMPLE, (MOST_BITS,))[0])
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # which Pillow minds in 8 bits only
            levels = levels[::-1]
        return lambda band: _grey16(band, levels)
    return None


def _is_grey16(image: Image.Image) -> bool:
    # A PPM, or a PNG in older Pillow: 16 bits that Pillow keeps in 32. In a TIFF they are 32.
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format != "TIFF")


def _grey16(band: Image.Image, levels: Pixels) -> Pixels:
    values = np.asarray(band)
    pixels = np.asarray(levels[values][:, :, None])
    key = band.info.get("transparency")
    if isinstance(key, int):
        pixels[values == key] = 0
    return pixels


def _opaque(band: Image.Image) -> Pixels:
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))


def _over_black(band: Image.Image, how: Storage) -> Pixels:
    if band.mode in _MULTIPLIED:
        return np.asarray(band)[:, :, :-1]
    if band.mode == "P":
        band = band.convert("RGBA")
    alpha = _alpha(band, how)
    colour = np.asarray(band)[:, :, :-1] if band.mode in {"LA", "RGBA"} else _opaque(band)
    if alpha is None or alpha.min() == 255:
        return colour
    return np.asarray((colour * alpha[:, :, None].astype(np.uint16) + 127) // 255, dtype=np.uint8)


def _is_transparent(band: Image.Image, how: Storage) -> bool:
    alpha = _alpha(band.convert("RGBA") if band.mode == "P" else band, how)
    return alpha is not None and bool(alpha.min() < 255)


def _alpha(band: Image.Image, how: Storage) -> Pixels | None:
    """uint8 [h, w] of a band that is no palette; None where its key colour is none that its pixels can have."""
    if band.mode in _ALPHA:
        return np.asarray(band.getchannel(len(band.getbands()) - 1))
    key, values = band.info.get("transparency"), np.asarray(band)
    if band.mode == "1" and isinstance(key, int):
        hit = values == bool(key)
    elif band.mode == "L" and isinstance(key, int):
        most = 2**how.sample_bits - 1
        hit = values == (key & most) * (255 // most)
    elif band.mode == "RGB" and isinstance(key, tuple) and how.sample_bits == 8:
        hit = (values == np.array([part & 255 for part in key])).all(axis=2)
    elif isinstance(key, int):  # 16-bit grey
        hit = values == key
    else:  # of 16-bit colour the low bytes are lost, so nothing can be known to be equal
        return None
    return np.where(hit, 0, 255).astype(np.uint8)


@lru_cache
def _levels(bits: int) -> Pixels:
    """uint8 [2**bits]: what becomes of each value."""
    most = 2**bits - 1
    return np.asarray((np.arange(most + 1) * 255 + most // 2) // most, dtype=np.uint8)


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})  # of a TIFF
