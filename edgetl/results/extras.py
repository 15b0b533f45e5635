"""What only the page shows and report.json leaves out: training curves, and images that may be of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgetl.results.document import Document, Share
from edgetl.results.training import Epoch

__all__ = ["Extras", "Png", "Predicted", "Shown"]

Png = Annotated[str, Field(pattern="^iVBORw0KGgo[A-Za-z0-9+/]*={0,2}$")]
"""A PNG file in base64, as a page holds it."""


@dataclass(frozen=True)
class Shown:
    """An image as the network sees it, and its label."""

    image: Png
    label: str


@dataclass(frozen=True)
class Predicted:
    """A test image, its true label, and the probability that the headline artefact gives each class."""

    image: Png
    label: str
    probabilities: Mapping[str, Share]


@dataclass(frozen=True)
class Extras(Document):
    """Training runs by their names ("teacher", "trial, teacher's weight 1"), and images. Stays in the run folder."""

    FILE: ClassVar[str] = "extras.json"

    histories: Mapping[str, tuple[Epoch, ...]]
    samples: tuple[Shown, ...]
    predictions: tuple[Predicted, ...]
