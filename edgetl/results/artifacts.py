"""The finished files of one format: as they were calibrated, and what verifying them found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from edgetl.evidence.gates import Gate
from edgetl.evidence.parity import Parity
from edgetl.results.document import Document, Share
from edgetl.results.evaluation import Measures
from edgetl.runtime.manifest import Artifact

__all__ = ["CalibratedArtifact", "Calibration", "LeftOut", "Missing", "Verification", "VerifiedArtifact"]


@dataclass(frozen=True)
class Missing:
    """An artefact that the bundle lacks: the step that went wrong, and what, in words. verify: its own gate failed, or that of
    the one it is held against."""

    artifact: str
    step: Literal["export", "quantize", "calibrate", "verify"]
    reason: str


@dataclass(frozen=True)
class LeftOut(Document):
    """Beside what an export or a quantize stage made: what it could not make. Only written where there is such."""

    FILE: ClassVar[str] = "missing.json"

    missing: tuple[Missing, ...]

    @classmethod
    def of(cls, folder: Path) -> tuple[Missing, ...]:
        """What is missing in a stage's folder; most often nothing."""
        return cls.read(folder).missing if (folder / cls.FILE).is_file() else ()


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
    """Of the calibrate stage of one format; paths start at its folder. missing: here or in an earlier stage."""

    FILE: ClassVar[str] = "artifacts.json"
    SCHEMA: ClassVar[int] = 2

    artifacts: tuple[CalibratedArtifact, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class VerifiedArtifact(Measures):
    """An artefact in its own runtime on the test split; parity is against the PyTorch network it was made from."""

    parity: Parity
    gates: tuple[Gate, ...]


@dataclass(frozen=True)
class Verification(Document):
    """Of the verify stage of one format. missing: here or in an earlier stage; a failed gate is not yet among them."""

    FILE: ClassVar[str] = "artifacts.json"
    SCHEMA: ClassVar[int] = 2

    artifacts: tuple[VerifiedArtifact, ...]
    missing: tuple[Missing, ...]
