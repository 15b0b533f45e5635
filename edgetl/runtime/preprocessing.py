"""From a picture file to the tensor that every artefact takes: the one implementation, used in training and on devices.

What is left to do, `(x - offset) / divisor`, happens inside the graph, so nothing outside it can get it wrong.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np

from .depth import MOST_BITS
from .errors import UnreadableImage
from .records import dataclass
from .resizing import Resize, resize

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DIVISOR", "OFFSET", "InsideGraph", "Preprocessing", "Resize", "preprocess", "resize"]

OFFSET = 128
DIVISOR = 128
"""Every network sees `(x - OFFSET) / DIVISOR` of uint8 x: the bytes of the picture are then the tensor of int8."""


@dataclass(frozen=True)
class InsideGraph:
    """The affine `(x - offset) / divisor` that every artefact applies to its uint8 input itself."""

    offset: int = OFFSET
    divisor: int = DIVISOR


@dataclass(frozen=True)
class Preprocessing:
    """All that happens between a picture file and the first layer.

    resize: done outside the graph, by `preprocess`.
    inside_graph: done by the artefact.
    color: order of the channels.
    orientation: "exif" turns the picture upright first.
    bits: that unsigned 16-bit grey uses, from 8 to 16: white is 2**bits - 1, and a larger value is refused.
    """

    resize: Resize
    inside_graph: InsideGraph = InsideGraph()
    color: Literal["RGB"] = "RGB"
    orientation: Literal["exif"] = "exif"
    bits: int = MOST_BITS


def preprocess(
    source: os.PathLike[str] | str | bytes | npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> npt.NDArray[np.uint8]:
    """Decode, turn upright and resize one picture.

    Args:
        source: a path, the bytes of the file, or what a caller decoded itself: uint8 [H, W, 3], RGB, upright.
        preprocessing: what the artefact's manifest says.

    Returns:
        uint8 [H, W, 3], RGB; `[None]` makes it an artefact's input.

    Raises:
        UnreadableImage: the picture cannot be decoded completely and safely, or the array is none.
        MissingRuntime: Pillow is not installed.
    """
    return resize(_pixels(source, preprocessing.bits), preprocessing.resize)


def _pixels(source: object, bits: int) -> npt.NDArray[np.uint8]:
    if isinstance(source, np.ndarray):
        return _checked(source)
    if isinstance(source, str | bytes | os.PathLike):
        from .decoding import decode  # whoever hands over pixels does without

        return decode(source if isinstance(source, bytes) else os.fsdecode(source), bits)
    raise UnreadableImage(
        f"got an object of type {type(source).__name__}, expected a path, the bytes of a file, or uint8 [height, width, 3]",
        hint="numpy.asarray(...) of an image that another library opened, in RGB and upright",
    )


def _checked(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UnreadableImage(
            f"got an array {pixels.dtype.name} {list(pixels.shape)}, expected uint8 [height, width, 3]",
            hint="RGB, upright, from 0 for black to 255 for white",
        )
    return pixels
