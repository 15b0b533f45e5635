"""Low frequencies of thumbnails, and what mirroring and turning a picture does to them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgetl.data.near_duplicates.thumbnails import SIDE

__all__ = ["BAND", "ORIENTATIONS", "bounding", "inside", "oriented", "spectra"]

BAND = 12
"""Frequencies along each axis."""
ORIENTATIONS = range(8)
"""Of a square: bit 0 mirrors columns, bit 1 rows, bit 2 swaps the axes before."""

Floats = npt.NDArray[np.float32]


@lru_cache(maxsize=1)
def _cosines() -> Floats:
    """float32 [12, 64]: the first rows of the orthonormal DCT-II."""
    angles = np.arange(BAND)[:, None] * (np.arange(SIDE) + 0.5) * (np.pi / SIDE)
    return np.asarray(
        np.cos(angles) * np.sqrt(2.0 / SIDE) * np.where(np.arange(BAND) == 0, 0.5**0.5, 1.0)[:, None], np.float32
    )


@lru_cache(maxsize=1)
def _weights() -> Floats:
    """float32 [12, 12]: the frequency, which evens out that pictures have less of the high ones; 0 outside the band."""
    frequency = np.hypot(*np.mgrid[:BAND, :BAND])
    return np.asarray(np.where(frequency < BAND, frequency, 0.0), dtype=np.float32)


def spectra(thumbnails: npt.NDArray[np.generic]) -> Floats:
    """[n, 64, 64] to float32 [n, 12, 12] of length 1; zeros for a picture without structure."""
    weighted = _cosines() @ thumbnails.astype(np.float32) @ _cosines().T * _weights()
    lengths = np.sqrt((weighted**2).sum((1, 2), keepdims=True))
    return np.where(lengths > 1.0, weighted / np.maximum(lengths, 1.0), np.float32(0.0))


def bounding(spectra: Floats) -> Floats:
    """float32 [n, 12, 12] whose products bound those of the spectra in any orientation."""
    absolute = np.abs(spectra)
    across = absolute.transpose(0, 2, 1)
    rows, columns = np.indices((BAND, BAND))
    return np.where(rows > columns, np.maximum(absolute, across), np.minimum(absolute, across))


def oriented(spectra: Floats, turn: int) -> Floats:
    """The spectra of pictures that `thumbnails.turned` turned."""
    odd = np.where(np.arange(BAND) % 2, np.float32(-1.0), np.float32(1.0))
    turned = spectra.transpose(0, 2, 1) if turn & 4 else spectra
    return turned * (odd[:, None] if turn & 2 else 1) * (odd if turn & 1 else 1)


def inside() -> npt.NDArray[np.bool_]:
    """bool [12, 12]: the frequencies that count."""
    return _weights() > 0
