"""Pictures without labels: which there are in a folder, and which of them show a picture that is held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgetl.data.readers.endings import SUFFIXES, ending
from edgetl.data.readers.walking import walk
from edgetl.data.records import Record
from edgetl.errors import DataError

__all__ = ["pictures", "seen_before"]

Look = Callable[[int], npt.NDArray[np.uint8]]
"""Number of a picture -> uint8 [H, W, 3]."""


def pictures(folder: Path) -> list[str]:
    """Paths below the folder of every picture in it, at any depth, sorted.

    Raises:
        DataError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise DataError("data.unlabelled: expected a folder of pictures, and there is none", place=str(folder))
    found = [
        (parent / name).relative_to(folder).as_posix()
        for parent, names in walk(folder, folder)
        for name in names
        if ending(name) in SUFFIXES
    ]
    if not found:
        raise DataError("data.unlabelled: the folder holds no pictures", place=str(folder))
    return sorted(found)


def seen_before(
    ours: Mapping[str, str],
    look: Look,
    held_out: Mapping[str, str],
    look_held_out: Look,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> set[str]:
    """Those of our pictures that are held out too: the same file, or the same photograph saved again.

    Args:
        ours, held_out: sha256 by path.
        look, look_held_out: by the number of a picture, in the order of these.
        advance: told (done, total) pictures.
    """
    from edgetl.data.near_duplicates import duplicates, thumbnail

    # Pairs within a group are not looked for, and a path of one folder may be one of the other too.
    held = [Record(f"held out/{image}", "", group="held out") for image in held_out]
    records = [*held, *(Record(f"unlabelled/{image}", "", group="unlabelled") for image in ours)]
    digests = {f"held out/{image}": digest for image, digest in held_out.items()}
    digests |= {f"unlabelled/{image}": digest for image, digest in ours.items()}

    def small(number: int) -> npt.NDArray[np.uint8]:
        return thumbnail(look_held_out(number) if number < len(held) else look(number - len(held)))

    near: Sequence[Sequence[Record]] = duplicates(records, digests, small, advance)
    gone = {digests[record.image] for same in near for record in same} | set(held_out.values())
    return {image for image, digest in ours.items() if digest in gone}
