"""From pigment to colour: a sheet of tissue as an absorbing filter over white dermis.

Light crosses epidermis and dermis twice; what melanin, blood and deep pigment don't absorb comes back (Beer and
Lambert; absorption after Jacques 2013, https://doi.org/10.1088/0031-9155/58/11/R37, reduced to three colours).
Working with optical depths instead of painted colours gives browns, reds and blue-greys that mix as they do in skin,
and lets one lesion appear on every skin tone. White structures scatter light back from above and are laid on top.
"""

from __future__ import annotations

import numpy as np

from edgetl.data.phantom.fields import Canvas, Field

# Absorption of a unit of each pigment for (red, green, blue); colours are linear light, not sRGB.
_MELANIN = (0.55, 0.98, 1.55)
_BLOOD = (0.16, 1.25, 1.00)
_DEEP = (1.45, 1.02, 0.62)  # melanin in the dermis: red goes deep and is lost, blue is scattered back before (Tyndall)
_ABSORPTION = np.array([_MELANIN, _BLOOD, _DEEP], np.float32).T  # [colour, pigment]

_DERMIS = np.array([0.97, 0.86, 0.76], np.float32)
_WHITE = np.array([0.86, 0.76, 0.72], np.float32)  # scars, shiny white structures
_KERATIN = np.array([0.88, 0.76, 0.47], np.float32)  # scale, milia
_HAZE = np.array([0.33, 0.40, 0.52], np.float32)  # the ground glass of a blue-white veil


class Tissue:
    """Pigments (optical depth >= 0) and scatterers (0..1) of every pixel of a canvas; all float32 [side, side]."""

    def __init__(self, canvas: Canvas, melanin: float, blood: float) -> None:
        """Even skin with that much melanin and blood."""
        shape = (canvas.side, canvas.side)
        self._pigments = np.zeros((3, *shape), np.float32)
        self.melanin, self.blood, self.deep = self._pigments
        self.melanin += np.float32(melanin)
        self.blood += np.float32(blood)
        self._scatterers: list[tuple[Field, Field]] = []

    def whiten(self, amount: Field) -> None:
        """Lay scar-white over the tissue."""
        self._scatterers.append((amount, _WHITE))

    def keratinize(self, amount: Field) -> None:
        """Lay yellowish keratin over the tissue."""
        self._scatterers.append((amount, _KERATIN))

    def veil(self, amount: Field) -> None:
        """Lay a blue-white haze over the tissue."""
        self._scatterers.append((amount, _HAZE))

    def reflectance(self) -> Field:
        """Linear red, green and blue, float32 [3, side, side] in 0..1, under white light."""
        # In place wherever possible, here and elsewhere: fresh pages cost more than the arithmetic on them.
        np.maximum(self._pigments, 0, out=self._pigments)
        colour: Field = (-_ABSORPTION @ self._pigments.reshape(3, -1)).reshape(self._pigments.shape)
        np.exp(colour, out=colour)
        colour *= _DERMIS[:, None, None]
        for amount, white in self._scatterers:
            lay(colour, white, np.clip(amount, 0, 1))
        return colour


def lay(picture: Field, colour: Field, amount: Field) -> None:
    """Cover a picture [3, H, W] in place with a colour [3], as much as `amount` [H, W] (0..1) says."""
    for plane, value in zip(picture, colour, strict=True):
        change = value - plane
        change *= amount
        plane += change
