"""Dermatoscopic structures that come from blood (vessels, lacunae, ulcers), and the nests that keep them company.

The same form as in structures.py.
"""

from __future__ import annotations

import numpy as np

from edgetl.data.phantom.fields import noise, step
from edgetl.data.phantom.strokes import Points, Sheet, wander
from edgetl.data.phantom.structures import Lesion


def arborizing(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Arborizing vessels: sharp red stems that branch into ever finer twigs."""
    paths: list[Points] = []
    widths: list[float] = []
    for start in lesion.outline.scatter(rng, int(2 + 4 * strength), 0.55, 1.0):
        inward = float(np.arctan2(-start[1], -start[0])) + rng.normal(0, 0.6)
        _branch(lesion, start, inward, rng.uniform(0.024, 0.040), 3, rng, paths, widths)
    sheet = Sheet(lesion.canvas)
    sheet.lines(paths, widths)
    lesion.tissue.blood += sheet.field(blur=0.003) * np.float32(0.8 + 0.8 * strength)


def _branch(
    lesion: Lesion,
    start: Points,
    heading: float,
    width: float,
    generations: int,
    rng: np.random.Generator,
    paths: list[Points],
    widths: list[float],
) -> None:
    length = lesion.traits.radius * rng.uniform(0.45, 0.85) * 0.75 ** (3 - generations)
    path = wander(rng, start, heading, length, 0.9, 9)
    paths.append(path)
    widths.append(width)
    if generations > 1:
        for at, side in ((rng.integers(3, 7), 1), (rng.integers(4, 9), -1)):
            angle = heading + side * rng.uniform(0.4, 1.0)
            _branch(lesion, path[at], angle, width * 0.68, generations - 1, rng, paths, widths)


def dotted(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Dotted and glomerular vessels: many small red dots."""
    count = int(25 + 65 * strength)
    sheet = Sheet(lesion.canvas)
    sheet.dots(lesion.crowd(rng, count, lesion.traits.asymmetry), rng.uniform(0.010, 0.024, count))
    lesion.tissue.blood += sheet.field(blur=0.004) * np.float32(0.7 + 0.6 * strength)


def lacunae(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Lacunae: sharply bounded red, purple or blue clods side by side."""
    count = int(7 + rng.integers(6, 20) * strength)
    axes = lesion.traits.radius * rng.uniform(0.10, 0.27, count)
    sheet = Sheet(lesion.canvas)
    sheet.ellipses(
        lesion.outline.scatter(rng, count, 0.0, 0.88),
        np.stack([axes, axes * rng.uniform(0.65, 1.0, count)], axis=1),
        rng.uniform(0, 180, count),
    )
    clods = sheet.field(blur=0.008)
    lesion.tissue.blood += clods * np.float32(0.8 + 0.9 * strength)
    lesion.tissue.deep += clods * np.float32(rng.choice([0.05, 0.25, 0.7], p=[0.5, 0.3, 0.2]))


def nests(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """Blue-grey ovoid nests and leaf-like areas."""
    count = int(3 + rng.integers(2, 9) * strength)
    axes = rng.uniform(0.03, 0.11, count)
    sheet = Sheet(lesion.canvas)
    sheet.ellipses(
        lesion.crowd(rng, count, lesion.traits.asymmetry, high=0.9),
        np.stack([axes, axes * rng.uniform(0.45, 0.9, count)], axis=1),
        rng.uniform(0, 180, count),
    )
    lesion.tissue.deep += sheet.field(blur=0.010) * np.float32(0.5 + 0.6 * strength)


def ulcer(lesion: Lesion, strength: float, rng: np.random.Generator) -> None:
    """An ulcer: blood, and an orange-brown crust with a ragged edge."""
    area = lesion.patch(rng, 0.0, 0.5, rng.uniform(0.22, 0.42))
    crust = area * step(noise(lesion.canvas, rng, 22, 2), -0.6, 0.6)
    lesion.tissue.blood += area * np.float32(0.8 * strength)
    lesion.tissue.melanin += crust * np.float32(0.7 * strength)
