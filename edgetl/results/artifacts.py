"""The finished files of one format: as they were calibrated, and what verifying them found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgetl.evidence.gates import Gate
from edgetl.evidence.parity import Parity
from edgetl.results.document import Document, Share
from edgetl.results.evaluation import Measures
from edgetl.runtime.manifest import Artifact

__all__ = ["CalibratedArtifact", "Calibration", "Verification", "VerifiedArtifact"]


@dataclass(frozen=True)
class CalibratedArtifact:
    """An artefact as the bundle's manifest has it.

    reference: name of the artefact that a quantized one is held against, null for one in floating point.
    thresholds: by class, chosen on validation.
    """

    artifact: Artifact
    reference: str | None
    thresholds: Mapping[str, Share]


@dataclass(frozen=True)
class Calibration(Document):
    """Of the calibrate stage of one format; paths start at its folder."""

    FILE: ClassVar[str] = "artifacts.json"

    artifacts: tuple[CalibratedArtifact, ...]


@dataclass(frozen=True)
class VerifiedArtifact(Measures):
    """An artefact in its own runtime on the test split; parity is against the PyTorch network it was made from."""

    parity: Parity
    gates: tuple[Gate, ...]


@dataclass(frozen=True)
class Verification(Document):
    """Of the verify stage of one format."""

    FILE: ClassVar[str] = "artifacts.json"

    artifacts: tuple[VerifiedArtifact, ...]
