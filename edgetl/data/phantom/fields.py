"""Scalar fields over the canvas that don't know its resolution.

A canvas of skin covers [-EXTENT, EXTENT] in both directions, in half fields of view. Random fields are drawn on a small
lattice of fixed size and interpolated by splines, analytic ones are functions of the coordinates: so a picture of 1,280
pixels, scaled down, looks like the one of 160.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

EXTENT = 1.3  # half side of the canvas: more than the field of view, so that it can be turned and shifted


@dataclass(frozen=True)
class Canvas:
    """A square raster: of the skin around a lesion (extent EXTENT), or of a picture (extent 1).

    side: pixels per side.
    extent: half the side in half fields of view.
    """

    side: int
    extent: float

    @property
    def density(self) -> float:
        """Pixels per half field of view."""
        return self.side / (2 * self.extent)

    @cached_property
    def x(self) -> Field:
        """Column positions, float32 [1, side], in half fields of view, 0 in the middle."""
        return ((np.arange(self.side) + 0.5) / self.density - self.extent).astype(np.float32)[None, :]

    @cached_property
    def y(self) -> Field:
        """Row positions, float32 [side, 1]."""
        return self.x.T

    @cached_property
    def distance(self) -> Field:
        """Distance from the middle, float32 [side, side], in half fields of view."""
        return np.hypot(self.x, self.y)

    @cached_property
    def direction(self) -> Field:
        """Direction from the middle, float32 [side, side], in radians from -pi to pi."""
        return np.arctan2(self.y, self.x)


@lru_cache(maxsize=2)
def canvas_for(size: int) -> Canvas:
    """The skin's canvas for pictures of `size` pixels: its pixels are as large as theirs at zoom 1.

    Kept, because its coordinates are the same for every lesion; nobody writes to them.
    """
    return Canvas(round(size * EXTENT), EXTENT)


def noise(canvas: Canvas, rng: np.random.Generator, cells: int, octaves: int = 1) -> Field:
    """Smooth noise, float32 [side, side], mean about 0 and standard deviation about 1.

    Args:
        canvas: where.
        rng: its stream.
        cells: bumps along one side of the canvas (of the coarsest octave).
        octaves: each further one has half the bump size and half the amplitude (fractal noise).
    """
    columns = []
    for octave in range(octaves):
        spline = _spline(canvas.side, cells << octave)
        knots = spline.shape[1]
        columns.append(spline @ rng.standard_normal((knots, knots), dtype=np.float32))
    total: Field = np.concatenate(columns, axis=1) @ _rows(canvas.side, cells, octaves)
    return total


@lru_cache(maxsize=64)
def _spline(side: int, cells: int) -> Field:
    """Uniform cubic B-splines, float32 [side, cells + 3]: spline @ lattice @ spline.T is the interpolated lattice."""
    at = (np.arange(side) + 0.5) * (cells / side)
    distance = np.abs(at[:, None] - (np.arange(cells + 3) - 1)[None, :])
    near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
    return _frozen(np.where(distance < 1, near, np.where(distance < 2, far, 0)))


@lru_cache(maxsize=64)
def _rows(side: int, cells: int, octaves: int) -> Field:
    """The right-hand factors of all octaves below each other, so that one product sums them; float32 [knots, side].

    Scaled so that the noise has unit variance: a B-spline of unit normals has, in the mean over its cell, a variance of
    151/315 per axis.
    """
    scale = 315 / 151 / np.sqrt(sum(0.25**octave for octave in range(octaves)))
    rows = [_spline(side, cells << octave).T * (scale * 0.5**octave) for octave in range(octaves)]
    return _frozen(np.concatenate(rows))


def _frozen(values: NDArray[np.floating]) -> Field:
    single = values.astype(np.float32)
    single.flags.writeable = False  # cached, so shared by all who ask
    return single


def mesh(canvas: Canvas, rng: np.random.Generator, pitch: float, warp: Field) -> Field:
    """A honeycomb, float32 [side, side]: -1 in the middle of its lines, up to 2 in the middle of its holes.

    Three plane waves at 60 degrees make the honeycomb, and a shift of their phases bends it.

    Args:
        canvas: where.
        rng: its stream (orientation and phases).
        pitch: distance of neighbouring holes in half fields of view.
        warp: phase shift in radians, float32 [side, side].
    """
    turn, first, last = rng.random(3) * 2 * np.pi
    # The wave vectors satisfy k0 - k1 + k2 = 0; unless phases and bends do too, the honeycomb turns into its negative.
    phases, bends = (first, first + last, last), (1.0, 0.3, -0.7)
    wave = 4 * np.pi / (np.sqrt(3) * pitch)
    total = np.zeros((canvas.side, canvas.side), np.float32)
    for arm, (phase, bend) in enumerate(zip(phases, bends, strict=True)):
        angle = turn + arm * np.pi / 3
        at = warp * np.float32(bend)
        at += canvas.x * np.float32(wave * np.cos(angle)) + np.float32(phase)
        at += canvas.y * np.float32(wave * np.sin(angle))
        total += np.cos(at, out=at)
    total *= np.float32(2 / 3)
    return total


def step(values: Field, low: float, high: float) -> Field:
    """Smooth step: 0 below `low`, 1 above `high`; falling when low > high."""
    t = (values - np.float32(low)) * np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    smooth: Field = t * t
    t *= -2
    t += 3
    smooth *= t
    return smooth
