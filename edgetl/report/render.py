"""report.html: one offline file made from report.json and the pictures and curves that only a page can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2

from edgetl.report import plots, story, view, words
from edgetl.report.places import Place, places
from edgetl.report.recommending import slower_int8
from edgetl.results.extras import Extras, Predicted, Shown
from edgetl.results.latency import Latency
from edgetl.results.report import Report, ReportedArtifact

__all__ = ["render"]

_FOLDER = Path(__file__).parent


def render(report: Report, extras: Extras) -> str:
    """The page as HTML that is also well-formed XML, with style, plots and pictures inside and no address of any kind.

    Args:
        extras: a part that is empty leaves its section out.
    """
    artifact = view.headline(report)
    latency = view.one_image_latency(report, artifact) if artifact else None
    return (
        _environment()
        .get_template("template.html")
        .render(
            report=report,
            data=report.data,
            splits=dict(report.data.splits),
            environment=asdict(report.environment),
            style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
            story=story.story(report),
            trial=story.trial(report),
            unpruned=story.unpruned(report),
            unlabelled=story.unlabelled(report),
            grouping=story.grouping(report),
            failed=report.not_passed("fail"),
            warned=report.not_passed("warn"),
            headline=artifact,
            headline_reason=story.headline_reason(report),
            headline_latency=latency,
            headline_machine=view.machine(report, latency.target) if latency else "",
            comparison=_comparison(report, artifact, latency),
            funnel=view.funnel(report),
            sensitivities=view.sensitivities(report, artifact) if artifact else [],
            confusion=_confusion(report, artifact) if artifact else [],
            histories=plots.series_colours(list(extras.histories)),
            samples=_by_label(report, extras.samples),
            predictions=list(map(_prediction, extras.predictions)),
            limits=story.limits(report),
            slow_int8=[pair.sentence() for pair in slower_int8(report)],
            trainings=story.trainings(report),
            total_time=view.total_time(report),
            **_plots(report, extras, artifact),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(words, name) for name in words.__all__}
    environment.tests["single"] = lambda parts: len(parts) <= 1
    return environment


def _plots(report: Report, extras: Extras, artifact: ReportedArtifact | None) -> Mapping[str, Any]:
    found = places(report)
    bins = artifact.reliability if artifact else ()
    with plots.session():
        return {
            "curves": plots.training_curves(extras.histories),
            "places": [_Speed(place, *_tradeoff(place, number)) for number, place in enumerate(found)],
            "reliability": plots.reliability_diagram(bins) if bins else None,
        }


@dataclass(frozen=True)
class _Speed:
    """A target with its plot, None without a point, and the styles of its backends."""

    place: Place
    plot: str | None
    styles: Mapping[str, plots.Style]


def _tradeoff(place: Place, number: int) -> tuple[str | None, Mapping[str, plots.Style]]:
    plot = plots.accuracy_latency(place, number) if place.points else None
    return plot, plots.styles(place.points)


@dataclass(frozen=True)
class _Cell:
    count: int
    share: float


@dataclass(frozen=True)
class _Row:
    label: str
    cells: Sequence[_Cell]


def _confusion(report: Report, artifact: ReportedArtifact) -> list[_Row]:
    """The confusion matrix: of each true label, per predicted label its count and its share of the row."""
    return [
        _Row(label, [_Cell(count, count / max(1, sum(counts))) for count in counts])
        for label, counts in zip(report.data.classes, artifact.confusion, strict=True)
    ]


@dataclass(frozen=True)
class _Comparison:
    smaller: float | None = None
    quicker: float | None = None


def _comparison(report: Report, artifact: ReportedArtifact | None, ours: Latency | None) -> _Comparison:
    """The headline artefact against its own PyTorch network: how much smaller, how much quicker there."""
    model = next((model for model in report.models if artifact and model.name == artifact.model), None)
    if artifact is None or model is None:
        return _Comparison()
    smaller = None if artifact.precision == "fp32" else 4 * model.parameters / artifact.bytes
    eager = [row for row in model.latency if view.plain(row) and ours and _alike(row, ours)]
    return _Comparison(smaller, min(row.p50_ms for row in eager) / ours.p50_ms if ours and eager else None)


def _alike(row: Latency, other: Latency) -> bool:
    return (row.target, row.origin, row.threads) == (other.target, other.origin, other.threads)


def _by_label(report: Report, samples: Sequence[Shown]) -> list[tuple[str, list[str]]]:
    grouped = [(label, [sample.image for sample in samples if sample.label == label]) for label in report.data.classes]
    return [(label, images) for label, images in grouped if images]


@dataclass(frozen=True)
class _Prediction:
    image: str
    label: str
    top: Sequence[tuple[str, float]]
    right: bool


def _prediction(predicted: Predicted) -> _Prediction:
    ranked = sorted(predicted.probabilities.items(), key=lambda pair: -pair[1])
    return _Prediction(predicted.image, predicted.label, ranked[:3], right=ranked[0][0] == predicted.label)
