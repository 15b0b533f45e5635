"""Two small pictures laid over each other: how much they have in common once scale, shift and light are taken out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["registered"]

_SIDE = 64
_STEPS = 6
_FARTHEST = 0.2
"""Scale and shift, in half pictures, beyond which a registration has run away."""
_MIDDLE = 0.7
"""Radius, in half pictures, of what is compared once more: optics and frames draw their edges outside of it."""
_AGREES = 0.9
"""Least correlation of the slopes in there."""

Floats = npt.NDArray[np.float32]


def registered(fixed: npt.NDArray[np.uint8], moving: npt.NDArray[np.uint8]) -> Floats:
    """Correlation of the slopes of pairs [n, 64, 64] once the second was moved onto the first; 0 if their middles disagree.

    The edge of a round field of view is steeper than all else: two lesions in one dermatoscope correlate by 0.96.

    Gauss-Newton on scale and shift along both axes, with brightness and contrast free (Lucas and Kanade, "An Iterative
    Image Registration Technique", IJCAI 1981).
    """
    first, second = _smooth(fixed), _smooth(moving)
    place = ((np.arange(_SIDE) + 0.5) * (2.0 / _SIDE) - 1.0).astype(np.float32)
    scales, shifts = np.ones((2, len(first), 1), np.float32), np.zeros((2, len(first), 1), np.float32)
    for _ in range(_STEPS):
        warped, inside = _warped(second, scales * place + shifts)
        change = _change(first, warped, inside, place)
        shifts += scales * change[:, 1]
        scales *= 1.0 + change[:, 0]
    warped, inside = _warped(second, scales * place + shifts)
    ours, theirs = _slopes(first) * inside, _slopes(warped) * inside
    moved = np.abs(scales - 1.0).max((0, 2)) + np.abs(shifts).max((0, 2))
    middle = (np.hypot(place[:, None], place) <= _MIDDLE).astype(np.float32)
    one = (moved <= _FARTHEST) & _agree(ours * middle, theirs * middle, middle.sum())
    return np.asarray(np.where(one, _correlation(ours, theirs), 0.0), np.float32)


def _correlation(ours: Floats, theirs: Floats) -> Floats:
    """Of slopes [2 axes, n, 64, 64]: [n]."""
    lengths = np.sqrt((ours**2).sum((0, 2, 3)) * (theirs**2).sum((0, 2, 3)))
    return np.asarray((ours * theirs).sum((0, 2, 3)) / np.maximum(lengths, 1.0), np.float32)


def _agree(ours: Floats, theirs: Floats, cells: float) -> npt.NDArray[np.bool_]:
    """Whether slopes that are 0 outside so many cells are those of one picture; where both have none, nothing is against it."""
    steepest = np.maximum((ours**2).sum((0, 2, 3)), (theirs**2).sum((0, 2, 3)))
    plain = steepest < cells  # less than a grey level from cell to cell: rounding, and what JPEG leaves
    return np.asarray(plain | (_correlation(ours, theirs) >= _AGREES), np.bool_)


def _change(fixed: Floats, warped: Floats, inside: Floats, place: Floats) -> Floats:
    """One step towards `fixed`: float32 [2 axes, (scale, shift), n, 1]."""
    along_y, along_x = _slopes(warped) * (_SIDE / 2)
    basis = np.stack(
        [along_y * place[:, None], along_y, along_x * place, along_x, warped, np.ones_like(warped)], axis=1
    )
    basis = (basis * inside[:, None]).reshape(len(fixed), 6, -1)
    normal = basis @ basis.transpose(0, 2, 1)
    damping = 1e-4 * np.trace(normal, axis1=1, axis2=2) + 1.0  # also where nothing overlaps any more
    normal += damping[:, None, None] * np.eye(6, dtype=np.float32)
    solved = np.linalg.solve(normal, basis @ (fixed * inside).reshape(len(fixed), -1, 1))
    contrast = np.maximum(np.abs(solved[:, 4:5]), 0.1)
    change = np.clip(solved[:, :4] / contrast, -0.05, 0.05).astype(np.float32)
    return change.reshape(-1, 2, 2, 1).transpose(1, 2, 0, 3)


def _warped(pictures: Floats, places: Floats) -> tuple[Floats, Floats]:
    """Pictures [n, 64, 64] sampled linearly at places [2 axes, n, 64] in -1..1, and 1 where that is within them."""
    cells = (places + 1.0) * (_SIDE / 2) - 0.5
    inside = ((cells > -0.75) & (cells < _SIDE - 0.25)).astype(np.float32)
    low = np.clip(np.floor(cells), 0, _SIDE - 2).astype(np.int64)
    part = (cells - low).astype(np.float32)
    picture = np.arange(len(pictures))[:, None]
    rows = pictures[picture, low[0]] * (1 - part[0])[:, :, None] + pictures[picture, low[0] + 1] * part[0][:, :, None]
    lines = rows.transpose(0, 2, 1)
    lines = lines[picture, low[1]] * (1 - part[1])[:, :, None] + lines[picture, low[1] + 1] * part[1][:, :, None]
    return lines.transpose(0, 2, 1), inside[0][:, :, None] * inside[1][:, None, :]


def _smooth(pictures: npt.NDArray[np.uint8]) -> Floats:
    """[n, h, w] with 1 2 1 along both axes: a shift by a part of a cell changes the finest detail, so it goes."""
    padded = np.pad(pictures.astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16, np.float32)


def _slopes(pictures: Floats) -> Floats:
    """float32 [2 axes, n, 64, 64]: per cell, along y and along x."""
    return np.stack((np.gradient(pictures, axis=1), np.gradient(pictures, axis=2)))
