"""Pictures whose pixels need a word before they are decoded: 16-bit grey of which not all bits are used, and transparent ones.

Only headers tell which these may be, so a data set of ordinary pictures costs no decoding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgetl.console.progress import Progress
from edgetl.data.parallel import each_picture
from edgetl.runtime.decoding import FORMATS, examine
from edgetl.runtime.depth import FEWEST_BITS, MOST_BITS
from edgetl.runtime.pixels import Facts, may_be_transparent, storage

__all__ = ["PixelTypes", "look"]

_JPEG = b"\xff\xd8"
_LABEL = "pixel types"
_THREADS = 8
_AHEAD = 1024
"""Headers that are handed out: bounds how long Ctrl-C waits."""


@dataclass(frozen=True)
class PixelTypes:
    """What the pictures of a data set are, as far as it needs a word.

    grey: how many have unsigned 16-bit grey, 0 where it was not looked at; largest: the largest of their values.
    bits: that such grey uses: what the recipe says, or the fewest, from 8 to 16, that hold the largest value.
    transparent: how many have transparent pixels.
    """

    grey: int
    largest: int
    bits: int
    transparent: int

    def cautions(self) -> list[str]:
        """For console and report."""
        found = []
        if self.grey and self.bits < MOST_BITS:
            have = "picture has" if self.grey == 1 else "pictures have"
            found.append(
                f"{self.grey} {have} 16-bit grey, of which {self.bits} bits are used (largest value {self.largest}): "
                f"white is taken as {2**self.bits - 1} (data.bits sets another)"
            )
        if self.transparent:
            have = "picture has" if self.transparent == 1 else "pictures have"
            found.append(f"{self.transparent} {have} transparent pixels, which become black")
        return found


def look(
    root: Path, images: Sequence[str], unreadable: Collection[str], progress: Progress, bits: int | None = None
) -> PixelTypes:
    """What the pictures are. Those that cannot be decoded count as nothing: whoever decodes them says why.

    Args:
        images: paths below the root.
        unreadable: those that are not to be tried.
        bits: that 16-bit grey uses, as the recipe says; it is not looked at then. None measures.
    """
    doubtful = _doubtful(root, [image for image in images if image not in unreadable], grey=bits is None)
    found: list[Facts] = []
    each_picture(root, doubtful, lambda number: found.append(examine(root / doubtful[number])), {}, progress, _LABEL)
    transparent = sum(facts.transparent for facts in found)
    values = [facts.largest for facts in found if facts.largest is not None]
    if bits is not None or not values:
        return PixelTypes(0, 0, bits or MOST_BITS, transparent)
    return PixelTypes(len(values), max(values), max(FEWEST_BITS, max(values).bit_length()), transparent)


def _doubtful(root: Path, images: Sequence[str], *, grey: bool) -> list[str]:
    """Those that may need a word, by their headers."""
    found: list[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(images), _AHEAD):
            part = images[start : start + _AHEAD]
            needed = pool.map(lambda image: _needs_a_look(root / image, grey=grey), part)
            found += [image for image, needs in zip(part, needed, strict=True) if needs]
    return found


def _needs_a_look(path: Path, *, grey: bool) -> bool:
    with contextlib.suppress(Exception), path.open("rb") as file:
        if file.read(len(_JPEG)) == _JPEG:  # 8 bits, and opaque
            return False
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            return (grey and storage(image).deep) or may_be_transparent(image)
    return False
