"""What the page and the card show, derived from report.json alone: the headline, the funnel, the cautions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgetl.evidence.intervals import Interval
from edgetl.report.words import duration, listed, percent, size, title
from edgetl.results.latency import Latency
from edgetl.results.report import Report, ReportedArtifact, ReportedModel

__all__ = [
    "ClassRow",
    "Point",
    "Step",
    "best_latency",
    "funnel",
    "grouping",
    "headline",
    "headline_reason",
    "limits",
    "machine",
    "one_image_latency",
    "sensitivities",
    "story",
    "total_time",
    "tradeoff_points",
]

Entry = ReportedModel | ReportedArtifact

_FEW_IMAGES = 30


def best_latency(entry: Entry, threads: int | None = 1) -> Latency | None:
    """The quickest median with this many threads (any, when None); measured before emulated and estimated ones."""
    rows = [row for row in entry.latency if threads is None or row.threads == threads]
    return min(rows, key=lambda row: (row.origin != "measured", row.p50_ms)) if rows else None


def one_image_latency(artifact: ReportedArtifact) -> Latency | None:
    """What the page says first: with one thread, or with as many as were measured."""
    return best_latency(artifact) or best_latency(artifact, None)


def headline(report: Report) -> ReportedArtifact | None:
    """The artefact that the page leads with: the quickest int8 file that no failed gate names, else the quickest."""
    failed = {gate.subject for gate in report.not_passed("fail")}

    def rank(artifact: ReportedArtifact) -> tuple[bool, bool, float, int]:
        latency = one_image_latency(artifact)
        time = latency.p50_ms if latency else float("inf")
        return artifact.name in failed, artifact.precision != "int8", time, artifact.bytes

    return min(report.artifacts, key=rank, default=None)


def headline_reason(report: Report) -> str:
    """Why the page leads with this artefact, in words."""
    artifact = headline(report)
    if artifact is None:
        return ""
    if artifact.name in {gate.subject for gate in report.not_passed("fail")}:
        return "the quickest file; all of them failed a gate"
    if artifact.precision == "int8":
        return "the quickest int8 file without a failed gate"
    return "the quickest file without a failed gate, for want of such an int8 file"


def grouping(report: Report) -> str:
    """What keeps the splits apart, in one sentence."""
    if shared := len(report.data.leaks.groups):
        return f"{shared} lesions or patients have images in more than one split: every accuracy here is optimistic."
    if report.data.has_groups:
        return "Images of one lesion or patient are in one split only."
    return (
        "The source does not say which images show the same lesion or patient: the split may leak, and every accuracy "
        "and interval here is optimistic."
    )


def machine(report: Report, target: str) -> str:
    """The processor of a target, as far as the report knows it."""
    known = report.environment.targets.get(target)
    return known.processor if known else ""


def story(report: Report) -> list[str]:
    """What was built, in three sentences."""
    recipe, data = report.shown_recipe, report.data
    attention = recipe.student.attention
    network = recipe.student.backbone + (f" with {attention} attention" if attention not in (None, "none") else "")
    pixels = recipe.data.image_size
    of = f" of {sum(split.groups for _, split in data.splits):,} groups" if data.has_groups else ""
    first = (
        f"From {data.images:,} labelled images{of} this build made a classifier of {len(data.classes)} classes: "
        f"a {network} that looks at {pixels} × {pixels} pixels."
    )
    pruned = f", pruning kept about {percent(recipe.prune.macs, 0)} of its multiplications" if recipe.prune else ""
    formats = list(dict.fromkeys(title(artifact.backend) for artifact in report.artifacts))
    second = f"{_taught(recipe.teachers)}{pruned}, and it was exported to {listed(formats)}."
    return [first, second, _result(report)]


def _taught(teachers: Sequence[str]) -> str:
    if not teachers:
        return "It learned from the labels alone"
    names = listed(teachers)
    return f"A {names} taught it" if len(teachers) == 1 else f"The average of {names} taught it"


def _result(report: Report) -> str:
    artifact = headline(report)
    if artifact is None:
        return "No artefact was made."
    sentence = (
        f"On {report.data.splits.test.images:,} test images that no training saw, the file {artifact.name} "
        f"({size(artifact.bytes)}) reaches a balanced accuracy of "
        f"{percent(artifact.metrics['balanced_accuracy'].value)}"
    )
    latency = one_image_latency(artifact)
    if latency is None:
        return sentence + "; its latency was not measured."
    threads = "one thread" if latency.threads == 1 else f"{latency.threads} threads"
    time = f"{latency.p50_ms:.3g} ms for an image on {latency.target} with {threads}"
    return f"{sentence} and takes {time} ({latency.origin})."


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
    """Teacher, student, pruned and each artefact: size, work, balanced accuracy."""
    models = {model.name: model for model in report.models}
    most = max((model.macs for model in report.models), default=1)
    heaviest = max(map(_octets, report.entries), default=1)

    def step(entry: Entry) -> Step:
        model = models.get(entry.name if isinstance(entry, ReportedModel) else entry.model)
        return Step(
            name=entry.name,
            is_model=isinstance(entry, ReportedModel),
            parameters=model.parameters if model else None,
            macs=model.macs if model else None,
            bytes=_octets(entry),
            accuracy=entry.metrics["balanced_accuracy"],
            work=model.macs / most if model else 0.0,
            weight=_octets(entry) / heaviest,
        )

    return list(map(step, report.entries))


def _octets(entry: Entry) -> int:
    """Size; a network that is no file yet is counted with four bytes a parameter."""
    return 4 * entry.parameters if isinstance(entry, ReportedModel) else entry.bytes


@dataclass(frozen=True)
class Point:
    """Of the accuracy against latency plot; backend is pytorch for a network that is no file."""

    name: str
    backend: str
    precision: str
    p50_ms: float
    p90_ms: float
    accuracy: Interval


def tradeoff_points(report: Report) -> list[Point]:
    """All that was measured with one thread."""
    return [
        Point(
            name=entry.name,
            backend="pytorch" if isinstance(entry, ReportedModel) else entry.backend,
            precision="fp32" if isinstance(entry, ReportedModel) else entry.precision,
            p50_ms=latency.p50_ms,
            p90_ms=latency.p90_ms,
            accuracy=entry.metrics["balanced_accuracy"],
        )
        for entry in report.entries
        if (latency := best_latency(entry))
    ]


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


def limits(report: Report) -> list[str]:
    """What this evidence does not show, most important first."""
    data = report.data
    cautions = []
    if report.stand_in:
        cautions.append(
            f"The images are a stand-in ({report.stand_in}), drawn by a program: nothing here says how the model "
            "does on patients."
        )
    cautions.append(
        "Research software, not a medical device: it was not validated for diagnosis, and its probabilities are no "
        "medical advice."
    )
    cautions.append(
        "Training and test images come from the same source; another camera, clinic or population can be worse."
    )
    if not data.has_groups:
        cautions.append(
            "The source does not say which images show the same lesion or patient: accuracies and their intervals are "
            "optimistic."
        )
    few = [label for label, images in data.splits.test.classes.items() if images < _FEW_IMAGES]
    if few:
        cautions.append(
            f"The test split has fewer than {_FEW_IMAGES} images of {listed(few)}: intervals are wide there, and one "
            "image moves balanced accuracy visibly."
        )
    return [*cautions, *_latency_limits(report)]


def _latency_limits(report: Report) -> Iterator[str]:
    rows = [row for entry in report.entries for row in entry.latency]
    if not rows:
        yield "Latency was not measured."
        return
    if any(row.mode == "quick" for row in rows):
        yield "Latency was measured in quick mode (about a hundred runs each); edgetl bench repeats it at length."
    if other := sorted({row.origin for row in rows} - {"measured"}):
        yield f"Some latencies are {listed(other)}, not measured; they are marked so."
    if any(row.noisy for row in rows):
        yield "Latencies marked noisy varied while they were measured: compare them with care."
    yield "Latency holds for the named machine; phones differ from it and from each other."


def total_time(report: Report) -> str:
    """How long the stages took when they were computed, whether now or in an earlier build."""
    return duration(sum(stage.seconds for stage in report.stages))
