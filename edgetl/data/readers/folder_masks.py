"""Which pictures of a class are masks of which others: by their own names, or by the folder that they lie in.

`NAME_mask.png` and `NAME_mask_1.png` beside NAME, as in BUSI (Al-Dhabyani et al., "Dataset of breast ultrasound images",
Data in Brief 2020, https://doi.org/10.1016/j.dib.2019.104863); `NAME-mask` and `NAME_segmentation` too, in any case of
letters. Or NAME in a folder of masks, as in the COVID-19 Radiography Database (Rahman et al., Computers in Biology and
Medicine 2021, https://doi.org/10.1016/j.compbiomed.2021.104319): CLASS/images/NAME.png and CLASS/masks/NAME.png.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgetl.data.readers.folder_names import holds_masks, says_nothing
from edgetl.data.readers.folder_tree import Folder

__all__ = ["Pictures", "stem", "told_apart"]

_MASK = re.compile(r"(?P<name>.+)[_-](mask|segmentation)(_\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Pictures:
    """A class's.

    images: paths. masks: path of an image without its ending -> path of its mask.
    lone: masks beside no picture of their name. folders: of masks, with at least one picture, how many are in them, and
        which of these are of no image.
    """

    images: list[str] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    lone: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    in_folders: int = 0
    lost: list[str] = field(default_factory=list)


def stem(path: str) -> str:
    """A path or a name without its ending."""
    head, _, _ = path.rpartition(".")
    return head or path


def told_apart(top: Folder) -> Pictures:
    """Images and masks of a class's folder; an image with several masks has the first by name."""
    images: list[str] = []
    masks: dict[str, str] = {}
    lone: list[str] = []
    folders: list[tuple[Folder, Folder]] = []
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        folders += [(folder, below) for below in folder.folders if holds_masks(below.name) and below.count]
        waiting.extend(below for below in reversed(folder.folders) if not holds_masks(below.name))
        stems = {stem(name) for name in folder.pictures}
        for name in folder.pictures:
            match = _MASK.fullmatch(stem(name))
            if match is None:
                images.append(folder.path(name))
            elif match["name"] in stems:
                masks.setdefault(folder.path(match["name"]), folder.path(name))
            else:
                lone.append(folder.path(name))
    lost: list[str] = []
    for holder, of_masks in folders:
        lost += _matched(holder, of_masks, masks)
    in_folders = sum(of_masks.count for _, of_masks in folders)
    return Pictures(images, masks, lone, [of_masks.place for _, of_masks in folders], in_folders, lost)


def _matched(holder: Folder, of_masks: Folder, masks: dict[str, str]) -> list[str]:
    """Give the images below `holder` their masks in `of_masks`; those of no image, or of one of several."""
    owners: dict[tuple[str, str] | str, str] = {}
    for folder, where in _images_below(holder):
        for name in folder.pictures:
            if _MASK.fullmatch(stem(name)) is None:
                owner = folder.path(stem(name))
                for key in ((where, stem(name)), stem(name)):
                    owners[key] = owner if owners.get(key, owner) == owner else ""
    lost = []
    for folder in of_masks.all():
        where = _telling(folder.place[len(of_masks.place) + 1 :])
        for name in folder.pictures:
            match = _MASK.fullmatch(stem(name))
            stems = [stem(name), *([match["name"]] if match else [])]
            keys = [key for each in stems for key in ((where, each), each)]
            found = next((owners[key] for key in keys if owners.get(key)), None)
            if found is None:
                lost.append(folder.path(name))
            else:
                masks.setdefault(found, folder.path(name))
    return lost


def _images_below(holder: Folder) -> Iterator[tuple[Folder, str]]:
    """Every folder at or below it that holds no masks, and how it is called from there."""
    waiting = [holder]
    while waiting:
        folder = waiting.pop()
        yield folder, _telling(folder.place[len(holder.place) + 1 :])
        waiting.extend(below for below in folder.folders if not holds_masks(below.name))


def _telling(place: str) -> str:
    """A path without the folders that say no more than that there are pictures."""
    return "/".join(part for part in place.split("/") if part and not says_nothing(part))
