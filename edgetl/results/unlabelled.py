"""What the stage of the unlabelled pictures found. The `unlabelled` of report.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgetl.results.document import Document, Positive

__all__ = ["Unlabelled"]


@dataclass(frozen=True)
class Unlabelled(Document):
    """Pictures of which the student learns what the teacher says.

    images: that are used. left_out: paths of those that show a picture of validation or test.
    """

    FILE: ClassVar[str] = "unlabelled.json"

    images: Positive
    left_out: tuple[str, ...]
