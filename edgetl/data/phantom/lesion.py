"""A lesion on its skin: outline, colour, then every structure it has, painted on one canvas."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edgetl.data.phantom import structures, vessels
from edgetl.data.phantom.cases import Case
from edgetl.data.phantom.fields import Field, canvas_for, noise
from edgetl.data.phantom.outline import outline
from edgetl.data.phantom.sampling import stream
from edgetl.data.phantom.skin import skin
from edgetl.data.phantom.structures import Lesion

Structure = Callable[[Lesion, float, np.random.Generator], None]

# In the order they lie in the skin: pigment first, what scatters light back last. Keys are names of traits.
_STRUCTURES: dict[str, Structure] = {
    "network": structures.network,
    "ridges": structures.ridges,
    "blotches": structures.blotches,
    "globules": structures.globules,
    "streaks": structures.streaks,
    "nests": vessels.nests,
    "lacunae": vessels.lacunae,
    "dotted": vessels.dotted,
    "ulcer": vessels.ulcer,
    "waxy": structures.waxy,
    "comedones": structures.comedones,
    "follicles": structures.follicles,
    "regression": structures.regression,
    "white_patch": structures.white_patch,
    "veil": structures.veil,
    "arborizing": vessels.arborizing,
    "scale": structures.scale,
    "milia": structures.milia,
}

_FAINT = 0.06  # a trait borrowed so weakly that painting it would cost time and show nothing


class Specimen(NamedTuple):
    """A painted lesion, ready to be photographed: linear RGB float32 [3, side, side] and depth float32 [side, side]."""

    colour: Field
    depth: Field


def paint(case: Case, size: int) -> Specimen:
    """Paint a case's lesion on a canvas fit for pictures of `size` pixels."""
    canvas = canvas_for(size)
    tissue = skin(canvas, case.skin_tone, case.years, stream(case.seed, "skin", case.lesion))
    lesion = Lesion(
        canvas, case.traits, outline(canvas, case.traits, stream(case.seed, "outline", case.lesion)), tissue
    )
    _pigment(lesion, stream(case.seed, "pigment", case.lesion))
    for name, structure in _STRUCTURES.items():
        strength: float = getattr(case.traits, name)
        if strength > _FAINT:
            structure(lesion, strength, stream(case.seed, name, case.lesion))
    return Specimen(tissue.reflectance(), lesion.outline.depth)


def _pigment(lesion: Lesion, rng: np.random.Generator) -> None:
    """The lesion's ground colour: uneven, darker on one side if asymmetric."""
    traits, body, canvas = lesion.traits, lesion.outline.body, lesion.canvas
    heading = rng.uniform(-np.pi, np.pi)
    slope = canvas.x * np.float32(np.cos(heading)) + canvas.y * np.float32(np.sin(heading))
    uneven = noise(canvas, rng, 5, 3) * np.float32(0.5 * traits.variegation)
    uneven += slope * np.float32(0.6 * traits.asymmetry)
    uneven += noise(canvas, rng, 48) * np.float32(0.13)  # no pigment is smooth
    lesion.tissue.melanin += body * np.maximum(1 + uneven, np.float32(0.15)) * np.float32(traits.melanin)
    lesion.tissue.blood += body * (1 + noise(canvas, rng, 6, 2) * np.float32(0.25)) * np.float32(traits.blood)
    lesion.tissue.deep += body * np.float32(traits.blue)
