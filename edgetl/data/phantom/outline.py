"""The outline of a lesion: a radius for every direction, and with it how deep inside the lesion every pixel lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.data.phantom.classes import Traits
from edgetl.data.phantom.fields import Canvas, Field, noise, step

_DIRECTIONS = 4096  # table entries around the lesion: a pixel apart at 1,280 px
_LOBES = np.arange(3, 14)  # lobes and notches around the lesion


@dataclass(frozen=True)
class Outline:
    """A star-shaped outline around the canvas's centre.

    radii: radius in half fields of view for _DIRECTIONS directions, from -pi on.
    depth: float32 [side, side]: distance from the centre as a share of the outline's radius there; < 1 is the lesion.
    body: float32 [side, side]: how much a pixel belongs to the lesion, 0..1, soft across the border.
    """

    radii: NDArray[np.float64]
    depth: Field
    body: Field

    def at(self, angles: NDArray[np.float64], depths: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions [N, 2] at directions `angles` (radians) and `depths` (1 is on the outline)."""
        index = ((angles + np.pi) * (_DIRECTIONS / (2 * np.pi))).astype(int) % _DIRECTIONS
        reach = depths * self.radii[index]
        return np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)

    def scatter(self, rng: np.random.Generator, count: int, low: float, high: float) -> NDArray[np.float64]:
        """`count` positions [N, 2], evenly spread by area between the depths `low` and `high`."""
        angles = rng.uniform(-np.pi, np.pi, count)
        return self.at(angles, np.sqrt(rng.uniform(low * low, high * high, count)))


def outline(canvas: Canvas, traits: Traits, rng: np.random.Generator) -> Outline:
    """Draw an outline: an ellipse, pushed out of symmetry, with lobes and notches, and a rough border."""
    radii = _radii(traits, rng)
    index = ((canvas.direction + np.float32(np.pi)) * np.float32(_DIRECTIONS / (2 * np.pi))).astype(np.intp)
    depth: Field = canvas.distance * np.take((1 / radii).astype(np.float32), index, mode="wrap")
    depth += noise(canvas, rng, 18, 2) * np.float32(0.02 + 0.06 * traits.irregularity)
    return Outline(radii, depth, step(depth, 1 + traits.softness / 2, 1 - traits.softness / 2))


def _radii(traits: Traits, rng: np.random.Generator) -> NDArray[np.float64]:
    axis, bulge, notch = rng.uniform(-np.pi, np.pi, 3)
    squeeze = (1 - traits.elongation / 2) ** 2
    angle = np.linspace(-np.pi, np.pi, _DIRECTIONS, endpoint=False)
    ellipse = 1 / np.sqrt((squeeze + 1 / squeeze + (squeeze - 1 / squeeze) * np.cos(2 * (angle - axis))) / 2)
    # Bulge, notch and lobes are waves around the lesion, summed by one inverse transform.
    waves = np.zeros(_DIRECTIONS // 2 + 1, complex)
    lobes = rng.normal(0, 1, len(_LOBES)) * np.exp(1j * rng.uniform(0, 2 * np.pi, len(_LOBES)))
    waves[_LOBES] = lobes * (0.40 * traits.irregularity / _LOBES**1.1)
    waves[1:4] += traits.asymmetry * np.array([0.20, 0.12, 0.06]) * np.exp(1j * np.array([bulge, notch, 3 * bulge]))
    radii: NDArray[np.float64] = ellipse * (1 + np.fft.irfft(waves, _DIRECTIONS) * (_DIRECTIONS / 2))
    return np.clip(radii * traits.radius, 0.12, 1.15)
