"""report.json: everything that the stages found. Programs rely on it: docs/report.schema.json is made from these types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Tag

from edgetl.evidence.gates import Gate, Severity
from edgetl.evidence.parity import Parity
from edgetl.results.artifacts import Missing
from edgetl.results.data import DataSummary
from edgetl.results.document import Amount, Digest, Document, Factor, Positive, validated
from edgetl.results.evaluation import Comparison, Measures, Model
from edgetl.results.foreseen import Foreseen
from edgetl.results.latency import Latency, Machine, Unmeasured
from edgetl.results.recipe import ShownRecipe
from edgetl.results.training import PrunedTraining, StudentTraining, TeacherTraining, Trial
from edgetl.results.unlabelled import Unlabelled

__all__ = ["Environment", "Report", "ReportedArtifact", "ReportedModel", "StageRun", "Untrained"]


@dataclass(frozen=True)
class Environment(Machine):
    """The machine that built, its tools with their versions, and the machines that the targets are."""

    python: str
    tools: Mapping[str, str]
    targets: Mapping[str, Machine]


@dataclass(frozen=True)
class Untrained:
    """The average of several teachers is no network of its own."""


def _kind_of_training(training: Any) -> str:
    names = training if isinstance(training, dict) else getattr(training, "__dict__", ())
    if "chosen_weight" in names:
        return "<student>"
    return "<pruned>" if "pruned" in names else "<teacher>" if names else "<untrained>"


Training = Annotated[
    Annotated[TeacherTraining, Tag("<teacher>")]
    | Annotated[StudentTraining, Tag("<student>")]
    | Annotated[PrunedTraining, Tag("<pruned>")]
    | Annotated[Untrained, Tag("<untrained>")],
    Discriminator(_kind_of_training),
]


@dataclass(frozen=True)
class ReportedModel(Model):
    """A network, how it came about, and the latency of PyTorch eager."""

    training: Training
    latency: tuple[Latency, ...]


@dataclass(frozen=True)
class ReportedArtifact(Measures):
    """A file of the bundle; see `edgetl.runtime.manifest.Artifact`. bytes: of all files that it needs."""

    model: str
    backend: str
    precision: str
    path: str
    sha256: Digest
    bytes: Positive
    companions: tuple[str, ...]
    temperature: Factor
    runtime_options: Mapping[str, str]
    parity: Parity
    latency: tuple[Latency, ...]


@dataclass(frozen=True)
class StageRun:
    """A stage of the build; seconds and peak_rss_mb are of when it was computed. The report's own are not known."""

    name: str
    key: str
    seconds: Amount
    cached: bool
    peak_rss_mb: Amount | None


@dataclass(frozen=True)
class Report(Document):
    """The whole of report.json.

    edgetl: version that wrote it. name: the recipe's. recipe: as JSON, without where files lay on this machine.
    stand_in: name of the data set that stood in for the real one, or null. trial: how much of the teacher is learned, and
    why. models: without the student where the recipe prunes and spares it. artifacts: the files that ship, or would if no gate
    forbade it. missing: files that were to ship and do not, or that those were held against; reports from before there was
    such a thing have no such field, and none is missing in them. unlabelled: pictures of which the student learned what the
    teacher says; null where there are none, and left out in reports from before there were any. unmeasured: models and
    artefacts that have no latency on a target, as their process failed there; none in reports from before that. foreseen: what
    the rehearsal's files said of each target, and what was measured; empty without a rehearsal.
    """

    FILE: ClassVar[str] = "report.json"
    SCHEMA: ClassVar[int] = 2

    edgetl: str
    name: str
    recipe: Mapping[str, Any]
    stand_in: str | None
    environment: Environment
    data: DataSummary
    trial: Trial
    models: tuple[ReportedModel, ...]
    comparisons: tuple[Comparison, ...]
    artifacts: tuple[ReportedArtifact, ...]
    gates: tuple[Gate, ...]
    stages: tuple[StageRun, ...]
    missing: tuple[Missing, ...] = ()
    unlabelled: Unlabelled | None = None
    unmeasured: tuple[Unmeasured, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.entries:
            if len(entry.confusion) != len(self.data.classes):
                raise ValueError(
                    f"confusion of {entry.name}: got {len(entry.confusion)} rows, expected {len(self.data.classes)}"
                )
        try:
            _ = self.shown_recipe
        except ValueError as exc:
            raise ValueError(f"recipe.{exc}") from exc

    @property
    def entries(self) -> tuple[ReportedModel | ReportedArtifact, ...]:
        """All that was measured: the models, then the artefacts."""
        return (*self.models, *self.artifacts)

    @cached_property
    def shown_recipe(self) -> ShownRecipe:
        """The part of the recipe that people read."""
        return validated(ShownRecipe, self.recipe)

    def not_passed(self, severity: Severity) -> tuple[Gate, ...]:
        """The gates of a severity that did not pass, but for those of files that are missing: these do not ship anyway."""
        missing = {each.artifact for each in self.missing}
        return tuple(
            gate for gate in self.gates if not gate.passed and gate.severity == severity and gate.subject not in missing
        )
