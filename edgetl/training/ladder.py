"""What a shorter schedule of the student costs, by our own study: a small table that `benchmarks` writes into `ladder.json`.

There it is measured on one data set with one network. For others it is a guide, and is never shown without both names.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgetl.config.strict import Epochs, Strict

__all__ = ["FILE", "Ladder", "Rung", "ladder"]

FILE = Path(__file__).with_name("ladder.json")
_Difference = Annotated[float, Field(ge=-1.0, le=1.0)]


class Rung(Strict):
    """A schedule, and its student's scores less those of the longest one, on the test images."""

    epochs: Epochs
    balanced_accuracy: _Difference
    auroc: _Difference


class Ladder(Strict):
    """The study."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    note: str
    """For whoever opens the file."""
    data: str
    """The data set, as people call it."""
    network: str
    """The student."""
    epochs: Epochs
    """Of the longest schedule."""
    commit: str | None
    """Of the code that measured; null as long as nothing is."""
    rows: tuple[Rung, ...]
    """The shorter ones, the longest of them first."""

    @model_validator(mode="after")
    def _measured_and_in_order(self) -> Ladder:
        if self.rows and not self.commit:
            raise ValueError("rows without the commit that measured them")
        lengths = [self.epochs, *(row.epochs for row in self.rows)]
        if any(after >= before for before, after in itertools.pairwise(lengths)):
            raise ValueError(f"got schedules of {lengths} epochs, expected each to be shorter than the one before")
        return self


def ladder(file: Path = FILE) -> Ladder | None:
    """The study's table; None where there is none, or it holds nothing yet."""
    if not file.exists():
        return None
    table = Ladder.model_validate_json(file.read_text(encoding="utf-8"))
    return table if table.rows else None
