"""Dots, ellipses and lines, drawn larger than needed and scaled down.

OpenCV's line widths are whole pixels; drawn on a raster of at least _FINE pixels a hair of one pixel at 160 and of
eight at 1,280 have the same width in the field of view.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.data.phantom.fields import Canvas, Field

Points = NDArray[np.float64]

_FINE = 400
_SHIFT = 4  # OpenCV's fixed point: positions in 1/16 pixel


class Sheet:
    """A transparent sheet over the canvas on which strokes are drawn; where they overlap, the strongest counts."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._scale = max(1, -(-_FINE // canvas.side))
        side = canvas.side * self._scale
        self._unit = canvas.density * self._scale  # pixels of the raster per half field of view
        self._raster: NDArray[np.uint8] = np.zeros((side, side), np.uint8)

    def dots(self, centres: Points, radii: NDArray[np.float64], strengths: NDArray[np.float64] | None = None) -> None:
        """Filled discs: centres [N, 2] and radii [N] in half fields of view, strengths [N] in 0..1."""
        values = np.full(len(radii), 255) if strengths is None else (strengths * 255).astype(int)
        for (x, y), radius, value in zip(self._fixed(centres), self._lengths(radii), values, strict=True):
            cv2.circle(self._raster, (x, y), radius, int(value), cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def ellipses(self, centres: Points, axes: Points, angles: NDArray[np.float64]) -> None:
        """Filled ellipses: centres [N, 2], half axes [N, 2], angles [N] in degrees."""
        for (x, y), (a, b), angle in zip(self._fixed(centres), self._lengths(axes), angles, strict=True):
            cv2.ellipse(self._raster, (x, y), (a, b), float(angle), 0, 360, 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def lines(self, paths: Iterable[Points], widths: Iterable[float], strength: float = 1.0) -> None:
        """Polylines: paths [N, 2], widths in half fields of view."""
        for path, width in zip(paths, widths, strict=True):
            points = np.asarray(self._fixed(path), np.int32).reshape(-1, 1, 2)
            thickness = max(1, round(width * self._unit))
            cv2.polylines(self._raster, [points], False, int(strength * 255), thickness, cv2.LINE_AA, _SHIFT)

    def field(self, blur: float = 0.0) -> Field:
        """What was drawn, float32 [side, side] in 0..1, blurred by a standard deviation in half fields of view."""
        side = self._canvas.side
        small: Any = self._raster
        if self._scale > 1:
            small = cv2.resize(small, (side, side), interpolation=cv2.INTER_AREA)
        values: Field = small.astype(np.float32) * np.float32(1 / 255)
        if blur * self._unit / self._scale > 0.2:
            values = cv2.GaussianBlur(values, (0, 0), blur * self._unit / self._scale)
        return values

    def _fixed(self, points: Points) -> list[list[int]]:
        pixels = (points + self._canvas.extent) * self._unit - 0.5
        fixed: list[list[int]] = np.round(pixels * (1 << _SHIFT)).astype(int).tolist()
        return fixed

    def _lengths(self, lengths: NDArray[np.float64]) -> Any:
        return np.maximum(1, np.round(lengths * self._unit * (1 << _SHIFT))).astype(int).tolist()


def wander(rng: np.random.Generator, start: Points, heading: float, length: float, bend: float, steps: int) -> Points:
    """A wandering path [steps + 1, 2] from `start` [2]: its heading (radians) drifts by `bend` in all."""
    turns = heading + np.cumsum(rng.normal(0, bend / np.sqrt(steps), steps))
    moves = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (length / steps)
    return np.concatenate([start[None, :], start[None, :] + np.cumsum(moves, axis=0)])
