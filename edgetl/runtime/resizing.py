"""Antialiased resizing in pure numpy, bit-equal with Pillow's on 8-bit pixels.

The arithmetic is Pillow's (libImaging/Resample.c): a separable filter widened by the scale, its weights rounded to 22
fractional bits, first along the rows, then along the columns, rounded to uint8 after each. Sums of integers below 2**53
are exact in float64 whatever the order, so BLAS may do them.

The order of the two passes is fixed here. Pillow up to 12 has the same one; Pillow 13 filters some tall pictures along
the columns first (https://github.com/python-pillow/Pillow/pull/9549), which moves pixels by a rounding. So a model's
input would depend on the version of Pillow beside it: one more reason why the resize is not left to Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from .records import dataclass

if TYPE_CHECKING:
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint8]"
_Floats: TypeAlias = "npt.NDArray[np.float64]"

_FRACTION_BITS = 22
_BAND = 2**19  # pixels that the first pass takes at once: whole, a picture of 100 million would need gigabytes
_BLOCK = 8  # outputs a matrix product makes at once: they share most of their inputs, and the copy stays small


@dataclass(frozen=True)
class Resize:
    """How a picture of any size becomes [height, width].

    mode:
        crop: scaled so that the target is covered, the middle cut out. The side that limits becomes exactly the target,
            the other one `floor(side * target / limiting side + 1/2)` pixels; the cut begins at
            `floor((scaled - target) / 2)`.
        stretch: both sides scaled to the target, whatever the aspect.
        pad: scaled so that it fits (rounded as above, at least 1 pixel), in the middle of black; the border begins with
            `floor((target - scaled) / 2)` pixels.
    kernel: bilinear (triangle) or bicubic (a = -0.5), widened when shrinking.
    height, width: pixels, at least 1.
    """

    mode: Literal["crop", "stretch", "pad"]
    kernel: Literal["bilinear", "bicubic"]
    height: int
    width: int


def resize(image: Pixels, how: Resize) -> Pixels:
    """Resize uint8 [h, w, 3] to uint8 [how.height, how.width, 3]; an image of that size already is given back itself."""
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise ValueError(
            f"got {image.dtype} {list(image.shape)}, expected uint8 [h, w, channels] without an empty side"
        )
    if image.shape[:2] == (how.height, how.width):  # whatever the mode: nothing is scaled, cut or padded
        return np.ascontiguousarray(image)
    height, width = _scaled(image.shape[0], image.shape[1], how)
    window = _window(width, how.width)
    rows = max(1, _BAND // image.shape[1])
    bands = [image[top : top + rows].swapaxes(0, 1) for top in range(0, image.shape[0], rows)]
    wide = np.concatenate([_resample(band, width, *window, how.kernel) for band in bands], axis=1)
    small = _resample(wide.swapaxes(0, 1), height, *_window(height, how.height), how.kernel)
    if small.shape[:2] == (how.height, how.width):
        return np.ascontiguousarray(small)
    canvas = np.zeros((how.height, how.width, image.shape[2]), np.uint8)
    top, left = (how.height - small.shape[0]) // 2, (how.width - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def _scaled(height: int, width: int, how: Resize) -> tuple[int, int]:
    """Size of the whole picture before it is cut or padded."""
    if how.mode == "stretch":
        return how.height, how.width
    wider = width * how.height >= how.width * height
    if wider == (how.mode == "crop"):  # the height decides
        return how.height, max(1, (2 * width * how.height + height) // (2 * height))
    return max(1, (2 * height * how.width + width) // (2 * width)), how.width


def _window(scaled: int, target: int) -> tuple[int, int]:
    """First and one-past-last of the scaled pixels that are kept: only these are computed."""
    first = max(0, scaled - target) // 2
    return first, first + min(scaled, target)


def _resample(rows: Pixels, size: int, first: int, last: int, kernel: str) -> Pixels:
    """Rows `first` to `last` of `rows` [n, m, C] resampled along its first axis to `size` rows."""
    count, *rest = rows.shape
    if count == size:  # as in Pillow: a side that keeps its size is not filtered
        return rows[first:last]
    starts, weights = _weights(count, size, first, last, kernel)
    taps = weights.shape[1]
    resampled = np.empty((last - first, *rest), np.uint8)
    for begin in range(0, last - first, _BLOCK):
        block = slice(begin, min(begin + _BLOCK, last - first))
        low, high = int(starts[block][0]), min(count, int(starts[block][-1]) + taps)
        matrix = np.zeros((block.stop - begin, high - low + taps))
        for line, start, values in zip(matrix, starts[block] - low, weights[block], strict=True):
            line[start : start + taps] = values
        source = rows[low:high].astype(np.float64, order="C").reshape(high - low, -1)
        sums = matrix[:, : high - low] @ source
        rounded = np.floor((sums + 2.0 ** (_FRACTION_BITS - 1)) * 2.0**-_FRACTION_BITS)
        resampled[block] = np.clip(rounded, 0.0, 255.0).reshape(-1, *rest).astype(np.uint8)
    return resampled


def _weights(count: int, size: int, first: int, last: int, kernel: str) -> tuple[npt.NDArray[np.int64], _Floats]:
    """Fixed-point weights: where the inputs of each output begin, and whole numbers [last - first, taps]."""
    function, radius = _KERNELS[kernel]
    scale = count / size
    widening = max(scale, 1.0)
    support = radius * widening
    taps = math.ceil(support) * 2 + 1
    centres = (np.arange(first, last) + 0.5) * scale
    starts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    stops = np.minimum((centres + support + 0.5).astype(np.int64), count)
    places = starts[:, None] + np.arange(taps)
    distances = np.abs((places - centres[:, None] + 0.5) * (1.0 / widening))
    weights = np.where(places < stops[:, None], function(distances), 0.0)
    # Added one after the other as in C: numpy's own sum would pair them up and round differently.
    totals = np.cumsum(weights, axis=1)[:, -1:]
    weights = np.divide(weights, totals, out=weights, where=totals != 0.0) * 2.0**_FRACTION_BITS
    return starts, np.trunc(weights + np.where(weights < 0.0, -0.5, 0.5))


def _bilinear(x: _Floats) -> _Floats:
    return np.where(x < 1.0, 1.0 - x, 0.0)


def _bicubic(x: _Floats) -> _Floats:
    """Keys (1981), https://doi.org/10.1109/TASSP.1981.1163711, with a = -0.5, in Pillow's order of operations."""
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_KERNELS: dict[str, tuple[Callable[[_Floats], _Floats], float]] = {
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
}
