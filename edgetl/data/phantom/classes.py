"""The seven classes as distributions: what each class tends to look like, and whom it tends to befall.

Names follow HAM10000 (Tschandl et al. 2018, https://doi.org/10.1038/sdata.2018.161), criteria follow the usual
dermatoscopic ones (Kittler et al. 2016, https://doi.org/10.1016/j.jaad.2015.11.044): a nevus is even and round, a
melanoma asymmetric with several colours, basal cell carcinoma has branching vessels and blue nests, and so on.
Every class also has a look-alike from which a lesion borrows, because in the clinic the classes overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")

# 20 lesions of a deck: HAM10000's imbalance, softened (nv is 67 % there, df 1 %) so that small sets hold every class.
DECK = ("nv",) * 6 + ("mel",) * 3 + ("bkl",) * 3 + ("bcc",) * 2 + ("akiec",) * 2 + ("vasc",) * 2 + ("df",) * 2


class Span(NamedTuple):
    """A trait's distribution: uniform in [low, high] with probability `chance`, else 0 (the trait is absent)."""

    low: float
    high: float
    chance: float = 1.0


_ABSENT = Span(0.0, 0.0)


@dataclass(frozen=True)
class Traits:
    """What makes one lesion look as it does. Lengths in half fields of view, strengths 0..1 unless said."""

    # Outline
    radius: float
    elongation: float
    asymmetry: float
    irregularity: float
    softness: float
    # Colour: optical depths of pigment in the epidermis, of blood, and of pigment in the dermis (which looks blue-grey)
    melanin: float
    blood: float
    blue: float
    variegation: float
    # Structures, and the disorder of network and globules
    disorder: float
    network: float
    blotches: float
    globules: float
    streaks: float
    veil: float
    regression: float
    milia: float
    comedones: float
    ridges: float
    waxy: float
    arborizing: float
    dotted: float
    lacunae: float
    nests: float
    ulcer: float
    follicles: float
    scale: float
    white_patch: float


class People(NamedTuple):
    """Whom a class befalls: mean age in years, share of men, and weights of body sites."""

    age: float
    men: float
    sites: Mapping[str, float]


def _profile(**spans: tuple[float, ...]) -> Mapping[str, Span]:
    assert spans.keys() <= {field.name for field in fields(Traits)}
    return {name: Span(*span) for name, span in spans.items()}


# The distribution of every trait of a class; a trait that isn't listed is absent.
PROFILES: Mapping[str, Mapping[str, Span]] = {
    "akiec": _profile(
        radius=(0.40, 0.72), elongation=(0.0, 0.4), asymmetry=(0.15, 0.6), irregularity=(0.25, 0.6),
        softness=(0.20, 0.5), melanin=(0.05, 0.30), blood=(0.35, 0.75), variegation=(0.1, 0.4),
        dotted=(0.4, 1.0, 0.55), follicles=(0.4, 1.0, 0.6), scale=(0.35, 1.0, 0.8),
        ulcer=(0.2, 0.5, 0.15), network=(0.1, 0.3, 0.15), disorder=(0.3, 0.6),
    ),
    "bcc": _profile(
        radius=(0.38, 0.68), elongation=(0.0, 0.35), asymmetry=(0.1, 0.55), irregularity=(0.15, 0.45),
        softness=(0.12, 0.4), melanin=(0.05, 0.28), blood=(0.12, 0.36), disorder=(0.1, 0.3), blue=(0.0, 0.12),
        variegation=(0.1, 0.3), arborizing=(0.55, 1.0, 0.95), nests=(0.45, 1.0, 0.75),
        ulcer=(0.4, 1.0, 0.35), regression=(0.3, 0.7, 0.45), scale=(0.2, 0.4, 0.1),
    ),
    "bkl": _profile(
        radius=(0.40, 0.75), elongation=(0.0, 0.4), asymmetry=(0.05, 0.45), irregularity=(0.15, 0.5),
        softness=(0.03, 0.10), melanin=(0.35, 0.95), blood=(0.0, 0.15), blue=(0.0, 0.14),
        variegation=(0.1, 0.4), milia=(0.5, 1.0, 0.85), comedones=(0.4, 1.0, 0.65),
        waxy=(0.3, 0.8, 0.75), ridges=(0.5, 1.0, 0.8), network=(0.2, 0.4, 0.1), disorder=(0.2, 0.5),
        scale=(0.2, 0.6, 0.4),
    ),
    "df": _profile(
        radius=(0.28, 0.50), elongation=(0.0, 0.25), asymmetry=(0.0, 0.3), irregularity=(0.05, 0.22),
        softness=(0.25, 0.5), melanin=(0.28, 0.60), blood=(0.10, 0.38), variegation=(0.05, 0.2),
        white_patch=(0.5, 1.0, 0.9), network=(0.25, 0.6, 0.75), disorder=(0.05, 0.2),
        dotted=(0.2, 0.5, 0.2), globules=(0.2, 0.4, 0.15),
    ),
    "mel": _profile(
        radius=(0.48, 0.85), elongation=(0.05, 0.45), asymmetry=(0.4, 1.0), irregularity=(0.3, 0.8),
        softness=(0.06, 0.28), melanin=(0.7, 1.7), blood=(0.0, 0.3), blue=(0.0, 0.3),
        variegation=(0.35, 0.9), blotches=(0.4, 1.0, 0.75), network=(0.35, 1.0, 0.6),
        disorder=(0.4, 0.9), globules=(0.3, 1.0, 0.5), streaks=(0.4, 1.0, 0.5), veil=(0.4, 1.0, 0.65),
        regression=(0.3, 0.9, 0.45), dotted=(0.2, 0.6, 0.25), ulcer=(0.3, 0.6, 0.1),
    ),
    "nv": _profile(
        radius=(0.35, 0.68), elongation=(0.0, 0.35), asymmetry=(0.0, 0.25), irregularity=(0.03, 0.20),
        softness=(0.10, 0.32), melanin=(0.45, 1.25), blood=(0.0, 0.18), blue=(0.0, 0.06),
        variegation=(0.05, 0.35), network=(0.3, 0.9, 0.65), disorder=(0.05, 0.35),
        globules=(0.4, 1.0, 0.4), blotches=(0.15, 0.4, 0.15), milia=(0.2, 0.4, 0.08),
    ),
    "vasc": _profile(
        radius=(0.30, 0.62), elongation=(0.0, 0.35), asymmetry=(0.0, 0.4), irregularity=(0.1, 0.4),
        softness=(0.05, 0.25), melanin=(0.0, 0.22), blood=(0.55, 1.35), blue=(0.0, 0.35),
        variegation=(0.1, 0.4), lacunae=(0.5, 1.0, 0.92), veil=(0.2, 0.5, 0.2),
        dotted=(0.2, 0.6, 0.15), scale=(0.15, 0.35, 0.1),
    ),
}  # fmt: skip

# The classes a lesion may be mistaken for, with weights.
LOOK_ALIKES: Mapping[str, Mapping[str, float]] = {
    "akiec": {"bcc": 0.4, "bkl": 0.6},
    "bcc": {"akiec": 0.5, "nv": 0.2, "vasc": 0.3},
    "bkl": {"mel": 0.4, "nv": 0.3, "akiec": 0.3},
    "df": {"nv": 0.6, "bcc": 0.4},
    "mel": {"nv": 0.6, "bkl": 0.4},
    "nv": {"mel": 0.5, "df": 0.25, "bkl": 0.25},
    "vasc": {"bcc": 0.35, "mel": 0.65},
}

_TRUNK = {"back": 4.0, "abdomen": 2.0, "chest": 1.0}
_LIMBS = {"lower extremity": 4.0, "upper extremity": 2.5}
PEOPLE: Mapping[str, People] = {
    "akiec": People(67, 0.68, {"face": 5.0, "scalp": 2.0, "ear": 0.5, "hand": 1.0, **_LIMBS}),
    "bcc": People(67, 0.62, {"face": 5.0, "neck": 1.0, "ear": 0.7, **_TRUNK, "lower extremity": 2.0}),
    "bkl": People(64, 0.57, {"face": 4.0, "neck": 0.7, **_TRUNK, **_LIMBS}),
    "df": People(52, 0.45, {**_LIMBS, "back": 0.7}),
    "mel": People(61, 0.62, {**_TRUNK, **_LIMBS, "face": 1.5, "scalp": 0.5, "acral": 0.2}),
    "nv": People(44, 0.50, {**_TRUNK, **_LIMBS, "foot": 0.6, "neck": 0.3, "acral": 0.2}),
    "vasc": People(51, 0.48, {**_TRUNK, "lower extremity": 2.0, "face": 1.0, "scalp": 0.4}),
}

# How much of a look-alike a lesion takes on: _BORROWED * u ** _RARITY with u uniform in 0..1, so that most lesions are
# typical and a few are very deceptive. These two numbers set how hard the set is (benchmarks/phantom_difficulty.py).
_BORROWED = 0.28
_RARITY = 2.0


def draw(label: str, rng: np.random.Generator) -> Traits:
    """The traits of one lesion of class `label`, part of them taken from a look-alike."""
    others = LOOK_ALIKES[label]
    other = str(rng.choice(list(others), p=list(others.values())))
    share = _BORROWED * float(rng.random()) ** _RARITY
    own, foreign = _sample(PROFILES[label], rng), _sample(PROFILES[other], rng)
    return Traits(**{name: (1 - share) * value + share * foreign[name] for name, value in own.items()})


def _sample(profile: Mapping[str, Span], rng: np.random.Generator) -> dict[str, float]:
    traits = {}
    names = [field.name for field in fields(Traits)]
    # Drawn for absent traits too: editing one trait of a class leaves the others alone.
    for name, (present, value) in zip(names, rng.random((len(names), 2)), strict=True):
        low, high, chance = profile.get(name, _ABSENT)
        traits[name] = float(low + (high - low) * value) if present < chance else 0.0
    return traits
