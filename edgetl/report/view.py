"""What the page and the card show, derived from report.json alone: the headline, the funnel, the classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgetl.evidence.intervals import Interval
from edgetl.report.recommending import first_target, recommended, slow_files
from edgetl.report.words import duration
from edgetl.results.latency import Latency
from edgetl.results.report import Report, ReportedArtifact, ReportedModel

__all__ = [
    "ClassRow",
    "Entry",
    "Step",
    "funnel",
    "headline",
    "machine",
    "octets",
    "one_image_latency",
    "plain",
    "sensitivities",
    "shortened",
    "total_time",
    "way",
]

Entry = ReportedModel | ReportedArtifact


_SHORTENED = re.compile("tf32|bf16|float16|fp16")
_MODES = ("compile", "graph")
"""With which `Latency.placement` begins where PyTorch does not run a network eagerly: `edgetl.devices.pytorch.ways.Mode`."""


def shortened(row: Latency) -> bool:
    """Whether it computed in a shorter float than the float32 that accuracies are measured with."""
    return bool(_SHORTENED.search(row.compute_precision))


def way(row: Latency) -> list[str]:
    """In what a row is another than one image at a time in the precision of its accuracy, PyTorch eager."""
    found = [f"{row.batch} images"] if row.batch != 1 else []
    found += [row.compute_precision] if shortened(row) else []
    return found + [mode for mode in _MODES if row.runtime == "pytorch" and row.placement.startswith(mode)]


def plain(row: Latency) -> bool:
    """Whether it can stand beside an accuracy, and beside other rows, without a word more."""
    return not way(row)


def one_image_latency(report: Report, artifact: ReportedArtifact) -> Latency | None:
    """What the page says first: of the first target where it ran there, measured where it was, with the fewest threads."""
    rows = [row for row in artifact.latency if row.batch == 1]
    rows = [row for row in rows if row.target == first_target(report)] or rows
    return min(rows, key=lambda row: (row.origin != "measured", row.threads, row.p50_ms), default=None)


def headline(report: Report) -> ReportedArtifact | None:
    """The artefact that the page leads with: the recommended one, else the quickest that no failed gate names.

    It is no int8 file that is slower than its float32 twin, which there is whenever there is such a file.
    """
    if chosen := recommended(report):
        return chosen
    failed, slow = {gate.subject for gate in report.not_passed("fail")}, slow_files(report)

    def rank(artifact: ReportedArtifact) -> tuple[bool, bool, float, int]:
        latency = one_image_latency(report, artifact)
        time = latency.p50_ms if latency else float("inf")
        return artifact.name in slow, artifact.name in failed, time, artifact.bytes

    return min(report.artifacts, key=rank, default=None)


def machine(report: Report, target: str) -> str:
    """The processor of a target, as far as the report knows it."""
    known = report.environment.targets.get(target)
    return known.processor if known else ""


@dataclass(frozen=True)
class Step:
    """A network or a file on the way from the teacher to the phone.

    macs, parameters: None for a file of a network that the report does not know.
    work, weight: shares of the largest macs and bytes, for bars.
    """

    name: str
    is_model: bool
    parameters: int | None
    macs: int | None
    bytes: int
    accuracy: Interval
    work: float
    weight: float


def funnel(report: Report) -> list[Step]:
    """Teacher, student and pruned, as far as there are such, and each artefact: size, work, balanced accuracy."""
    models = {model.name: model for model in report.models}
    most = max((model.macs for model in report.models), default=1)
    heaviest = max(map(octets, report.entries), default=1)

    def step(entry: Entry) -> Step:
        model = models.get(entry.name if isinstance(entry, ReportedModel) else entry.model)
        return Step(
            name=entry.name,
            is_model=isinstance(entry, ReportedModel),
            parameters=model.parameters if model else None,
            macs=model.macs if model else None,
            bytes=octets(entry),
            accuracy=entry.metrics["balanced_accuracy"],
            work=model.macs / most if model else 0.0,
            weight=octets(entry) / heaviest,
        )

    return list(map(step, report.entries))


def octets(entry: Entry) -> int:
    """Size; a network that is no file yet is counted with four bytes a parameter."""
    return 4 * entry.parameters if isinstance(entry, ReportedModel) else entry.bytes


@dataclass(frozen=True)
class ClassRow:
    """A class on test: of the top class, and at the operating point; None without images of the class."""

    label: str
    images: int
    sensitivity: Interval | None
    specificity: Interval | None
    at_point: Interval | None
    specificity_at_point: Interval | None
    auroc: Interval | None


def sensitivities(report: Report, artifact: ReportedArtifact) -> list[ClassRow]:
    """How well an artefact finds each class."""
    metrics = artifact.metrics
    return [
        ClassRow(
            label=label,
            images=images,
            sensitivity=metrics.get(f"sensitivity.{label}"),
            specificity=metrics.get(f"specificity.{label}"),
            at_point=metrics.get(f"sensitivity.{label}@0.90"),
            specificity_at_point=metrics.get(f"specificity.{label}@0.90"),
            auroc=metrics.get(f"auroc.{label}"),
        )
        for label, images in report.data.splits.test.classes.items()
    ]


def total_time(report: Report) -> str:
    """How long the stages took when they were computed, whether now or in an earlier build."""
    return duration(sum(stage.seconds for stage in report.stages))
