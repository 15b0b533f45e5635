"""What lies between the lens and the lesion: hair, gel bubbles, a ruler, the rim of the tube.

All are drawn in the picture's own frame, on linear light [3, size, size], in place.
"""

from __future__ import annotations

import numpy as np

from edgetl.data.phantom.colour import lay
from edgetl.data.phantom.fields import Canvas, Field, step
from edgetl.data.phantom.strokes import Points, Sheet, wander

_BLACK = np.array([0.02, 0.015, 0.01], np.float32)
_HAIR = (np.array([0.03, 0.02, 0.015], np.float32), np.array([0.16, 0.09, 0.04], np.float32))
_GLINT = np.array([1.0, 0.98, 0.95], np.float32)


def hair(picture: Field, frame: Canvas, rng: np.random.Generator) -> None:
    """None, some, or a lot of dark hairs that roughly share a direction."""
    low, high = ((0, 1), (2, 10), (12, 40))[rng.choice(3, p=[0.55, 0.36, 0.09])]
    count = int(rng.integers(low, high))
    if not count:
        return
    lie, bend = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 0.9)
    paths: list[Points] = []
    for start in rng.uniform(-1.3, 1.3, (count, 2)):
        paths.append(wander(rng, start, lie + rng.normal(0, 0.45), rng.uniform(0.7, 2.2), bend, 10))
    sheet = Sheet(frame)
    sheet.lines(paths, rng.uniform(0.006, 0.015, count))
    shade = rng.random()
    lay(picture, _HAIR[0] * np.float32(1 - shade) + _HAIR[1] * np.float32(shade), sheet.field() * np.float32(0.9))


def bubbles(picture: Field, frame: Canvas, rng: np.random.Generator) -> None:
    """Air in the contact gel: rings that are bright inside and dark outside, with a glint."""
    count = int(rng.integers(2, 12))
    centres, radii = rng.uniform(-1, 1, (count, 2)), np.exp(rng.uniform(np.log(0.012), np.log(0.07), count))
    outer, inner, glint = Sheet(frame), Sheet(frame), Sheet(frame)
    outer.dots(centres, radii)
    inner.dots(centres, radii * 0.78)
    glint.dots(centres - radii[:, None] * 0.35, radii * 0.2)
    disc, core = outer.field(0.003), inner.field(0.003)
    lay(picture, _BLACK, np.maximum(disc - core, 0) * np.float32(0.22))
    lay(picture, _GLINT, core * np.float32(0.10))
    lay(picture, _GLINT, glint.field(0.004) * np.float32(0.85))


def ruler(picture: Field, frame: Canvas, rng: np.random.Generator) -> None:
    """A printed scale along one edge."""
    at, pitch, side = rng.uniform(0.82, 0.94), rng.uniform(0.10, 0.16), rng.integers(4)
    marks = np.arange(-1.2, 1.2, pitch)
    lengths = np.where(np.arange(len(marks)) % 5 == 0, 0.12, 0.06)
    ticks = np.stack([np.stack([marks, np.full_like(marks, at)], 1), np.stack([marks, at + lengths], 1)], axis=1)
    angle = side * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    sheet = Sheet(frame)
    sheet.lines(ticks @ turn.T, [0.010] * len(marks))
    lay(picture, _BLACK, sheet.field(0.003) * np.float32(0.75))


def rim(picture: Field, frame: Canvas, rng: np.random.Generator) -> None:
    """The black tube around the field of view."""
    x, y = rng.normal(0, 0.03, 2)
    distance = np.hypot(frame.x - np.float32(x), frame.y - np.float32(y))
    reach = rng.uniform(1.08, 1.28)
    lay(picture, _BLACK, step(distance, reach - 0.025, reach + 0.025))
