"""One labelled image, whatever it was read from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

_WORDS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
}
_FURTHER = ("set", "data", "dataset", "split", "image", "images", "img", "imgs", "pictures", "photos")
_EVALUATION = ("eval", "evaluation")
_SPELLINGS: Mapping[str, Split] = {
    **_WORDS,
    **{
        f"{word}{between}{further}": split
        for word, split in _WORDS.items()
        for further in _FURTHER
        for between in ("", "_", "-", " ")
    },
}
"""How sources spell the splits, in lower case."""


def split_named(text: str) -> Split | None:
    """The split that a cell or a file's name spells, in any case of letters: train, Training, train_set, valid, TEST."""
    return _SPELLINGS.get(text.lower())


def splits_within(name: str) -> set[Split]:
    """The splits that single words of a name spell: {"train"} of `a. Training Set` and `ISIC2018_Task3_Training_GT`."""
    return {_SPELLINGS[word] for word in re.split("[^a-z]+", name.lower()) if word in _SPELLINGS}


def split_of(folder: str, beside: Collection[str] = ()) -> Split | None:
    """The split that a folder's name says, or None: as `split_named`, however its words are joined, and eval.

    An eval or evaluation is the test split, unless one of `beside`, the names of the source's other splits, is: then it
    is the validation.
    """
    plain = " ".join(folder.lower().replace("_", " ").replace("-", " ").split())
    if (split := split_named(plain)) is not None:
        return split
    first, _, further = plain.partition(" ")
    if first in _EVALUATION and further in ("", *_FURTHER):
        return "val" if any(split_of(name) == "test" for name in beside if name.lower() != folder.lower()) else "test"
    return None


class Metadata(Mapping[str, str]):
    """Further columns of a record; empty cells are not there.

    A dictionary for each of 100,000 records would take more memory than all else that is known of them.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        """`names` may be one object for a whole table."""
        assert len(names) == len(values), (names, values)
        self._names = names
        self._values = values

    def __getitem__(self, name: str) -> str:
        for known, value in zip(self._names, self._values, strict=True):
            if known == name and value:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, value in zip(self._names, self._values, strict=True) if value)

    def __len__(self) -> int:
        return sum(map(bool, self._values))

    def __repr__(self) -> str:
        return repr(dict(self))


class SharedMetadata:
    """Makes `Metadata` for a table whose rows have the same names: one object for rows that say the same."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._known: dict[tuple[str, ...], Metadata] = {}

    def __call__(self, values: tuple[str, ...]) -> Metadata:
        """The metadata of a row."""
        known = self._known.get(values)
        if known is None:
            known = Metadata(self._names, values)
            if len(self._known) < _MOST_KNOWN:  # beyond it, every row seems to be its own
                self._known[values] = known
        return known


_MOST_KNOWN = 10_000
_NOTHING = Metadata((), ())


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled image.

    image: path of the picture, relative to the data root, with forward slashes.
    label: class name.
    group: what must stay on one side of a split (lesion, patient); None when the source knows no groups.
    split: the split that the source prescribes, or None.
    mask: path of a segmentation mask, relative to the root, or None.
    metadata: further columns as text (age, sex, device, ...), for subgroup reports.
    """

    image: str
    label: str
    group: str | None = None
    split: Split | None = None
    mask: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def group_of(record: Record) -> str:
    """What the record moves with: its group, or itself where the source knows none."""
    return record.image if record.group is None else record.group


class Doubt(NamedTuple):
    """place: PATH:LINE of a row. said: what is wrong with its label, if nobody says otherwise."""

    place: str
    said: str


class Reading(NamedTuple):
    """What a reader makes of a root.

    records: in any order. cautions: what does not stop a build but its report must say, a sentence each.
    folder: that the paths are relative to; None where it is the root, or the folder of a root that is a file.
    doubts: image -> what is doubtful about its label, which is empty or several; only a recipe may say what becomes of it.
    columns: role -> column of a table as it is spelt, or columns for the label.
    """

    records: list[Record]
    cautions: Sequence[str] = ()
    folder: Path | None = None
    doubts: Mapping[str, Doubt] = MappingProxyType({})
    columns: Mapping[str, str | Sequence[str]] = MappingProxyType({})
