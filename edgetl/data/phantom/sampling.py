"""Which lesion an image shows, and the random streams that paint it.

Everything is keyed, nothing is consumed in order: image 731 of seed 7 is the same picture whether or not image 730 was
ever made, on one thread or eight. Each concern (outline, colour, hair, ...) draws from a stream of its own, so that a
new structure in one file doesn't change the pictures of another.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from edgetl.data.phantom.classes import DECK

# Images of one block of lesions: 11 lesions seen 1 to 4 times make 20 images. Fixed per block and only shuffled,
# so that the lesion of an image is known without counting through all images before it.
_VIEWS = (1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4)
_BLOCK = sum(_VIEWS)


@dataclass(frozen=True)
class Place:
    """Where an image sits: which lesion it shows, and which view of it (0 is the first)."""

    lesion: int
    view: int


def stream(seed: int, name: str, *key: int) -> np.random.Generator:
    """An independent generator for one concern.

    Args:
        seed: seed of the whole set, >= 0.
        name: the concern, e.g. "hair".
        key: what it belongs to, e.g. lesion and view; >= 0.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode()), *key])))


def place(seed: int, index: int) -> Place:
    """The lesion and view that image `index` shows."""
    block, offset = divmod(index, _BLOCK)
    for slot, views in enumerate(stream(seed, "views", block).permutation(_VIEWS)):
        if offset < views:
            return Place(lesion=block * len(_VIEWS) + slot, view=int(offset))
        offset -= int(views)
    raise AssertionError("the views of a block sum to its size")


def label(seed: int, lesion: int) -> str:
    """Class of a lesion: dealt from a shuffled deck, so that even a small set holds every class in the right share."""
    deck, card = divmod(lesion, len(DECK))
    return DECK[int(stream(seed, "deck", deck).permutation(len(DECK))[card])]
