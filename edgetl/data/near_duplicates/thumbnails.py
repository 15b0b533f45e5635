"""Pictures made small, grey and square: what near duplicates are looked for by."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE", "Thumbnails", "thumbnail", "turned"]

SIDE = 64
"""Height and width of a thumbnail."""

Thumbnails = npt.NDArray[np.uint8]


def thumbnail(pixels: npt.NDArray[np.uint8]) -> Thumbnails:
    """uint8 [h, w, 3] to grey uint8 [64, 64]: the mean of each cell, whatever the aspect.

    OpenCV's INTER_AREA is that mean only where both sides are at least 64: of 40 x 90 pixels it is 14 grey levels off.
    """
    # Not by matrix products: their threads would fight with those that decode.
    grey = np.einsum("yxc,c->yx", _means(pixels), np.array([0.299, 0.587, 0.114], np.float32))
    return np.asarray(np.rint(_means(grey.T).T), dtype=np.uint8)


def turned(picture: npt.NDArray[np.uint8], turn: int) -> npt.NDArray[np.uint8]:
    """One of the eight orientations of [64, 64]."""
    upright = picture.T if turn & 4 else picture
    return upright[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def _means(lines: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """[n, ...] to float32 [64, ...]: the mean of each 64th along the first axis; lines that it cuts count by their parts."""
    edges = np.arange(SIDE + 1) * (len(lines) / SIDE)
    whole = edges.astype(np.int64)
    part = (edges - whole).astype(np.float32)
    means = np.empty((SIDE, *lines.shape[1:]), np.float32)
    for cell, (first, last) in enumerate(pairwise(whole.tolist())):
        np.add.reduce(lines[first:last], axis=0, dtype=np.float32, out=means[cell])
        if part[cell]:
            means[cell] -= part[cell] * lines[first]
        if part[cell + 1]:
            means[cell] += part[cell + 1] * lines[last]
    means *= np.float32(SIDE / len(lines))
    return means
