"""Dermatoscopic structures: pigmented ones (network, globules, streaks, ...) and white ones (milia, scars, scale).

Each structure is one function of the same form, called when a lesion has the trait of that name; strengths are 0..1.
Vocabulary: Kittler et al. 2016, https://doi.org/10.1016/j.jaad.2015.11.044.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.data.phantom.classes import Traits
from edgetl.data.phantom.colour import Tissue
from edgetl.data.phantom.fields import Canvas, Field, mesh, noise, step
from edgetl.data.phantom.outline import Outline
from edgetl.data.phantom.strokes import Points, Sheet


@dataclass(frozen=True)
class Lesion:
    """What every structure is painted into."""

    canvas: Canvas
    traits: Traits
    outline: Outline
    tissue: Tissue

    def patch(self, rng: np.random.Generator, low: float, high: float, size: float) -> Field:
        """An irregular area, 0..1: centred between the depths `low` and `high`, `size` radii wide."""
        (x, y), *_ = self.outline.scatter(rng, 1, low, high)
        reach = np.float32(size * self.traits.radius)
        distance = np.hypot(self.canvas.x - np.float32(x), self.canvas.y - np.float32(y)) / reach
        return step(distance + noise(self.canvas, rng, 10, 3) * np.float32(0.22), 1.25, 0.45) * self.outline.body

    def crowd(self, rng: np.random.Generator, count: int, lopsided: float, high: float = 0.95) -> Points:
        """Positions inside the lesion; with `lopsided` near 1 they crowd on one side."""
        angles = rng.uniform(-np.pi, np.pi) + rng.uniform(-np.pi, np.pi, count) * (1 - 0.65 * lopsided)
        return self.outline.at((angles + np.pi) % (2 * np.pi) - np.pi, np.sqrt(rng.uniform(0.0, high * high, count)))


def network(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """A brown honeycomb, even and fading at the border in a nevus, broken and thick in a melanoma."""
    disorder = lesion.traits.disorder
    warp = noise(lesion.canvas, rng, 8, 2) * np.float32(1.0 + 2.6 * disorder)
    width = noise(lesion.canvas, rng, 9, 2) * np.float32(0.25 + 0.8 * disorder)
    lines = step(mesh(lesion.canvas, rng, rng.uniform(0.09, 0.125), warp) + width, 0.4, -0.7)
    if disorder > 0.35:  # it breaks off where the noise is low
        lines = lines * step(noise(lesion.canvas, rng, 4), -0.9, 0.1)
    rim = step(lesion.outline.depth, 0.0, 0.55) if lesion.traits.white_patch else np.float32(1)
    lesion.tissue.melanin += (lines - np.float32(0.4)) * rim * lesion.outline.body * np.float32(0.9 * strength)


def globules(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Round brown clods: alike and everywhere in a nevus, of all sizes and on one side in a melanoma."""
    disorder = lesion.traits.disorder
    count = int(rng.integers(18, 55))
    radii = rng.uniform(0.022, 0.036) * np.exp(rng.normal(0, 0.1 + 0.6 * disorder, count))
    sheet = Sheet(lesion.canvas)
    sheet.dots(lesion.crowd(rng, count, disorder), np.clip(radii, 0.010, 0.07), rng.uniform(0.6, 1.0, count))
    lesion.tissue.melanin += sheet.field(blur=0.006) * np.float32(0.35 + 0.65 * strength)


def streaks(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Radial lines and pseudopods that leave the border over part of the circumference."""
    centre, reach = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.6)
    angles = (centre + rng.uniform(-reach, reach, int(8 + 16 * strength)) + np.pi) % (2 * np.pi) - np.pi
    starts = lesion.outline.at(angles, rng.uniform(0.75, 0.9, len(angles)))
    ends = lesion.outline.at(angles + rng.normal(0, 0.05, len(angles)), rng.uniform(1.05, 1.28, len(angles)))
    sheet = Sheet(lesion.canvas)
    sheet.lines(np.stack([starts, ends], axis=1), rng.uniform(0.014, 0.034, len(angles)))
    sheet.dots(ends, rng.uniform(0.009, 0.018, len(angles)))
    lesion.tissue.melanin += sheet.field(blur=0.006) * np.float32(0.4 + 0.5 * strength)


def blotches(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """One to three dark, structureless areas away from the centre."""
    for _ in range(int(rng.integers(1, 4))):
        dark = lesion.patch(rng, 0.2, 0.75, rng.uniform(0.25, 0.5))
        lesion.tissue.melanin += dark * np.float32(1.3 * strength)


def veil(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """A blue-white veil: deep pigment under a ground-glass haze."""
    area = lesion.patch(rng, 0.0, 0.6, rng.uniform(0.4, 0.75))
    lesion.tissue.deep += area * np.float32(0.9 * strength)
    lesion.tissue.veil(area * np.float32(0.42 * strength))


def regression(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """A scar-like white area with grey peppering."""
    area = lesion.patch(rng, 0.2, 0.75, rng.uniform(0.3, 0.6))
    lesion.tissue.melanin -= area * lesion.tissue.melanin * np.float32(0.75 * strength)
    lesion.tissue.whiten(area * np.float32(0.45 * strength))
    pepper = step(noise(lesion.canvas, rng, 75), 0.6, 1.8)
    lesion.tissue.deep += pepper * area * np.float32(0.8)


def milia(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Milia-like cysts: small, bright, blurred dots."""
    count = int(4 + rng.integers(4, 22) * strength)
    sheet = Sheet(lesion.canvas)
    sheet.dots(lesion.outline.scatter(rng, count, 0.0, 0.92), rng.uniform(0.016, 0.042, count))
    lesion.tissue.keratinize(sheet.field(blur=0.008) * np.float32(0.45 + 0.45 * strength))


def comedones(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Comedo-like openings: sharp, round, brown-black plugs."""
    count = int(3 + rng.integers(3, 14) * strength)
    radii = rng.uniform(0.026, 0.064, count)
    sheet = Sheet(lesion.canvas)
    sheet.ellipses(
        lesion.outline.scatter(rng, count, 0.0, 0.9),
        np.stack([radii, radii * rng.uniform(0.6, 1, count)], axis=1),
        rng.uniform(0, 180, count),
    )
    lesion.tissue.melanin += sheet.field(blur=0.003) * np.float32(0.7 + 0.9 * strength)


def ridges(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Fissures and ridges, like gyri of a brain: contour lines of a smooth field."""
    gyri = np.cos(noise(lesion.canvas, rng, 6, 2) * np.float32(rng.uniform(3.5, 5.5)))
    lesion.tissue.melanin += step(gyri, 0.2, 1.0) * lesion.outline.body * np.float32(0.75 * strength)
    lesion.tissue.melanin -= step(gyri, -0.3, -1.0) * lesion.outline.body * np.float32(0.2 * strength)


def waxy(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """The dull, stuck-on look: a thin, uneven sheet of keratin over the whole lesion."""
    sheet = 1 + noise(lesion.canvas, rng, 10, 2) * np.float32(0.35)
    lesion.tissue.keratinize(sheet * lesion.outline.body * np.float32(0.32 * strength))


def follicles(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """The strawberry pattern: red between follicles that are yellow-white, each with a pale halo."""
    warp = noise(lesion.canvas, rng, 10, 2) * np.float32(1.3)
    holes = mesh(lesion.canvas, rng, rng.uniform(0.15, 0.22), warp)
    lesion.tissue.blood += step(holes, 0.3, -0.6) * lesion.outline.body * np.float32(0.45 * strength)
    plugs: NDArray[np.float32] = step(holes, 1.15, 1.75) * lesion.outline.body
    lesion.tissue.keratinize(plugs * np.float32(0.6 * strength))


def scale(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Flaking surface scale: ragged white-yellow patches."""
    flakes = step(noise(lesion.canvas, rng, 16, 3), 0.75, 1.25) * step(noise(lesion.canvas, rng, 4), -0.5, 0.5)
    lesion.tissue.keratinize(flakes * lesion.outline.body * np.float32(0.75 * strength))


def white_patch(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """A central white, scar-like patch."""
    area = step(lesion.outline.depth + noise(lesion.canvas, rng, 8, 2) * np.float32(0.12), 0.62, 0.25)
    lesion.tissue.melanin -= area * lesion.tissue.melanin * np.float32(0.6 * strength)
    lesion.tissue.whiten(area * np.float32(0.55 * strength))
