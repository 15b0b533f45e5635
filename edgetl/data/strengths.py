"""How much an augmented picture may differ from its original, by strength: one table for whoever computes it.

Everything is drawn uniformly and by itself. Named and measured as in albumentations 2.0.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["STRENGTHS", "Affine", "BrightnessContrast", "HueSaturationValue", "Limits", "Strength"]

Strength = Literal["light", "standard", "strong"]


@dataclass(frozen=True)
class Affine:
    """A turn, a magnification and a shift, in a share `p` of the pictures.

    rotate: largest angle to either side, in degrees.
    scale: least and largest magnification: 1.67 fills the frame with 0.6 of the picture's width.
    translate: largest shift to either side along an axis, as a share of the picture's side.
    balanced: magnified as often as made smaller, and the same along both axes. Otherwise uniform over all of the range, and
        drawn for each axis by itself.
    """

    p: float
    rotate: float
    scale: tuple[float, float]
    translate: float
    balanced: bool = False


@dataclass(frozen=True)
class BrightnessContrast:
    """Largest changes to either side in a share `p` of the pictures, as shares of 255 and of the contrast that there is."""

    p: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class HueSaturationValue:
    """Largest changes to either side in a share `p` of the pictures: hue in units of 2 degrees, the others in levels of 255."""

    p: float
    hue: float
    saturation: float
    value: float


@dataclass(frozen=True)
class Limits:
    """The changes in the order in which they are made; `mirrored` is the share of pictures that are, left to right."""

    mirrored: float
    affine: Affine
    light: BrightnessContrast
    colour: HueSaturationValue | None


STRENGTHS: dict[Strength, Limits] = {
    "light": Limits(
        mirrored=0.5,
        affine=Affine(p=0.7, rotate=8, scale=(0.95, 1.05), translate=0.03),
        light=BrightnessContrast(p=0.5, brightness=0.1, contrast=0.1),
        colour=None,
    ),
    "standard": Limits(
        mirrored=0.5,
        affine=Affine(p=1.0, rotate=180, scale=(0.85, 1.15), translate=0.06),
        light=BrightnessContrast(p=0.7, brightness=0.12, contrast=0.15),
        colour=HueSaturationValue(p=0.5, hue=6, saturation=16, value=8),
    ),
    "strong": Limits(
        mirrored=0.5,
        # Uniform over all of the range, four of five would be magnified; drawn for each axis by itself, a circle could
        # become twice as wide as high.
        affine=Affine(p=1.0, rotate=180, scale=(1 / 1.2, 1 / 0.6), translate=0.1, balanced=True),
        light=BrightnessContrast(p=0.7, brightness=0.192, contrast=0.24),
        colour=HueSaturationValue(p=0.5, hue=9.6, saturation=25.6, value=12.8),
    ),
}
