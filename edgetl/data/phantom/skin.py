"""The skin around and under a lesion: its tone, mottling and furrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgetl.data.phantom.colour import Tissue
from edgetl.data.phantom.fields import Canvas, noise, step
from edgetl.data.phantom.strokes import Sheet


class Tone(NamedTuple):
    """A Fitzpatrick-like skin tone: melanin (optical depth) and how common it is in the set."""

    melanin: float
    share: float


# Paler tones are more common, as in the collections that such models are trained on.
TONES: Mapping[str, Tone] = {
    "I": Tone(0.10, 0.14),
    "II": Tone(0.18, 0.32),
    "III": Tone(0.28, 0.26),
    "IV": Tone(0.44, 0.15),
    "V": Tone(0.72, 0.08),
    "VI": Tone(1.15, 0.05),
}


def skin(canvas: Canvas, tone: str, age: int, rng: np.random.Generator) -> Tissue:
    """Skin of a tone; older skin is redder and more spotted."""
    weathered = np.clip((age - 30) / 50, 0, 1)
    melanin = TONES[tone].melanin * rng.uniform(0.85, 1.15)
    tissue = Tissue(canvas, melanin, rng.uniform(0.10, 0.22) + 0.08 * weathered * rng.random())
    tissue.melanin += noise(canvas, rng, 8, 2) * np.float32(0.02 + 0.07 * melanin)
    tissue.blood += noise(canvas, rng, 9, 2) * np.float32(0.025 + 0.03 * weathered)
    # Furrows run where a band of fine noise crosses zero; their plateaus carry the pigment.
    furrows = step(np.abs(noise(canvas, rng, 26)), 0.35, 0.0) * np.float32(rng.uniform(0.02, 0.09))
    tissue.melanin -= furrows * np.float32(0.3 + melanin)
    tissue.blood += furrows * np.float32(0.3)
    _freckles(canvas, tissue, int(weathered * rng.integers(0, 14)), rng)
    return tissue


def _freckles(canvas: Canvas, tissue: Tissue, count: int, rng: np.random.Generator) -> None:
    if count:
        sheet = Sheet(canvas)
        sheet.dots(rng.uniform(-1.2, 1.2, (count, 2)), rng.uniform(0.01, 0.05, count), rng.uniform(0.3, 1.0, count))
        tissue.melanin += sheet.field(blur=0.015) * np.float32(0.25)
