"""Near duplicates of a data set that is about to be split: found in its decoded pictures, and kept on one side."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetl.console.progress import Progress
from edgetl.data import leaks
from edgetl.data.records import Record
from edgetl.errors import UnreadableImage
from edgetl.errors.wording import some

__all__ = ["cautions", "find", "merge", "untie_broken"]

_LARGEST = 0.02
"""Share of the pictures beyond which a set is no photograph saved again but a kind of picture, such as blank frames."""
_ALWAYS = 20
"""Pictures that a set may have in any data set."""


def find(path: Path, records: Sequence[Record], digests: Mapping[str, str], progress: Progress) -> list[list[Record]]:
    """Sets of near duplicates in several groups, by the pictures in the cache at `path`, one row a record."""
    from edgetl.data.images import open_cache
    from edgetl.data.near_duplicates import duplicates, thumbnail

    images = open_cache(path)
    return duplicates(
        records,
        digests,
        lambda row: thumbnail(images[row]),
        lambda done, total: progress.advance("near duplicates", done, total),
    )


def untie_broken(digests: Mapping[str, str], root: Path) -> Mapping[str, str]:
    """The digests, with identical files that are no picture made different: two empty files show no one lesion twice."""
    from edgetl.runtime.decoding import decode

    images: defaultdict[str, list[str]] = defaultdict(list)
    for image, digest in digests.items():
        images[digest].append(image)
    broken: dict[str, str] = {}
    for same in images.values():
        if len(same) > 1:
            try:
                decode(root / same[0])
            except UnreadableImage:
                broken |= {image: image for image in same}
    return ChainMap(broken, digests) if broken else digests  # type: ignore[arg-type]  # it only reads


def merge(records: Sequence[Record], near: Sequence[Sequence[Record]]) -> list[Record]:
    """The same records, with the groups of each set made one, so that the split cannot part it.

    Sets that the source's own splits part are left, for those are kept; so are sets that are too large to be one
    photograph, or a whole class could end on one side.
    """
    most = max(_ALWAYS, int(_LARGEST * len(records)))
    return leaks.merge(
        records, [same for same in near if len(same) <= most and len({record.split for record in same}) == 1]
    )


def cautions(leaked: leaks.Leaks) -> list[str]:
    """For console and report."""
    if not leaked.near:
        return []
    count, apart = len(leaked.near), leaked.near_across
    sets = "1 set" if count == 1 else f"{count} sets"
    what = f"{sets} of pictures from different groups look like one photograph saved again (resized, cropped, mirrored)"
    named = "; ".join(some([_named(same) for same in apart or leaked.near], 3))
    if not apart:
        return [f"{what}; each was kept in one split: {named}"]
    return [f"{what}; {len(apart)} of them are in several splits: {named}; metrics on them are optimistic"]


def _named(same: leaks.Near) -> str:
    return " = ".join(some(same.images, 3))
