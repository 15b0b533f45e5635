"""What networks are worth on the test split, and what each step cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgetl.evidence.calibration import Bin
from edgetl.evidence.gates import Gate
from edgetl.evidence.intervals import Interval
from edgetl.results.document import Count, Document, Factor, Positive, Share

__all__ = ["Comparison", "Evaluation", "Measures", "Model"]

_ALWAYS = ("accuracy", "balanced_accuracy")


@dataclass(frozen=True)
class Measures:
    """What one network's or file's predictions on the test split are worth.

    metrics: by the names of `edgetl.evidence.metrics.classify_metrics`, with 95 % intervals over groups.
    thresholds: by class, chosen on validation.
    confusion: images by [true class][most probable class].
    reliability: as from `edgetl.evidence.calibration.reliability`.
    """

    name: str
    metrics: Mapping[str, Interval]
    thresholds: Mapping[str, Share]
    confusion: tuple[tuple[Count, ...], ...]
    reliability: tuple[Bin, ...]

    def __post_init__(self) -> None:
        for name in _ALWAYS:
            if name not in self.metrics:
                raise ValueError(f"metrics.{name}: is missing")
        if any(len(row) != len(self.confusion) for row in self.confusion):
            raise ValueError(f"confusion: got rows of {[len(row) for row in self.confusion]}, expected a square")


@dataclass(frozen=True)
class Model(Measures):
    """A PyTorch network; macs: multiply-accumulates of one image; temperature: fitted on validation."""

    parameters: Positive
    macs: Positive
    temperature: Factor


@dataclass(frozen=True)
class Comparison:
    """`metric` of the candidate minus that of the reference, paired on the same test images."""

    candidate: str
    reference: str
    metric: str
    difference: Interval


@dataclass(frozen=True)
class Evaluation(Document):
    """Of the evaluate stage: the networks in the order of the pipeline."""

    FILE: ClassVar[str] = "models.json"

    models: tuple[Model, ...]
    comparisons: tuple[Comparison, ...]
    gates: tuple[Gate, ...]
