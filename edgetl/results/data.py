"""What the data stage found: classes, splits, leaks. The `data` of report.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgetl.data.leaks import Leaks
from edgetl.data.records import Split
from edgetl.results.document import Count, Document

__all__ = ["DataSummary", "Sample", "SplitSummary", "Splits"]


@dataclass(frozen=True)
class SplitSummary:
    """How many images and groups a split has, and how many images of each class."""

    images: Count
    groups: Count
    classes: Mapping[str, Count]


@dataclass(frozen=True)
class Splits:
    """The three splits."""

    train: SplitSummary
    val: SplitSummary
    test: SplitSummary

    def __iter__(self) -> Iterator[tuple[Split, SplitSummary]]:
        """Each with its name."""
        yield from (("train", self.train), ("val", self.val), ("test", self.test))


@dataclass(frozen=True)
class Sample:
    """A training image for the report to show: its row in images.npy, its label and its path."""

    row: Count
    label: str
    image: str


@dataclass(frozen=True)
class DataSummary(Document):
    """What there is to learn from.

    source: kind of the data set, as in the recipe.
    images: of all splits; classes: images of each class, in the order of the class numbers.
    has_groups: whether the source says which images belong together; without it, intervals are optimistic.
    warnings: sentences.
    """

    FILE: ClassVar[str] = "summary.json"

    source: str
    images: Count
    classes: Mapping[str, Count]
    has_groups: bool
    splits: Splits
    leaks: Leaks
    warnings: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        for name, split in self.splits:
            if list(split.classes) != list(self.classes):
                raise ValueError(f"splits.{name}.classes: got {list(split.classes)}, expected {list(self.classes)}")
