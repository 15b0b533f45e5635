"""report.html: one offline file made from report.json and the pictures and curves that only a page can show."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import jinja2

from edgetl.report import plots, view, words

__all__ = ["Extras", "Prediction", "Sample", "render"]

_FOLDER = Path(__file__).parent
_PICTURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


class Sample(TypedDict):
    """A picture of the data set: PNG or JPEG file content, and its label."""

    image: bytes
    label: str


class Prediction(TypedDict):
    """A test picture (PNG or JPEG file content), its true label, and what the headline artefact gives each class."""

    image: bytes
    label: str
    probabilities: Mapping[str, float]


class Extras(TypedDict, total=False):
    """What is not in report.json. Every part may be missing; its section is then left out.

    histories: name of a training run ("teacher", "student, weight 1.0") to its epochs: dicts with `epoch`, `label_loss`
        (or `loss`), `val_balanced_accuracy` and `val_auroc` (or without "val_"), as edgetl.training writes them.
    confusion: artefact name to counts [true][predicted] on test, in the order of the classes; an artefact's own
        `confusion` in report.json serves as well.
    reliability: artefact name to bins as from edgetl.evidence.calibration.reliability; likewise.
    samples, predictions: pictures to show. None of a patient unless their release is allowed.
    """

    histories: Mapping[str, Sequence[Mapping[str, float]]]
    confusion: Mapping[str, Sequence[Sequence[int]]]
    reliability: Mapping[str, Sequence[Mapping[str, float]]]
    samples: Sequence[Sample]
    predictions: Sequence[Prediction]


def render(report: Mapping[str, Any], extras: Extras) -> str:
    """The page as HTML that is also well-formed XML, with style, plots and pictures inside and no address of any kind.

    Args:
        report: the content of report.json.
        extras: see `Extras`.
    """
    artifact = view.headline(report)
    latency = artifact and (view.best_latency(artifact) or view.best_latency(artifact, None))
    return (
        _environment()
        .get_template("template.html")
        .render(
            report=report,
            recipe=report["recipe"],
            data=report["data"],
            style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
            story=view.story(report),
            grouping=view.grouping(report),
            failed=view.shortfalls(report, "fail"),
            warned=view.shortfalls(report, "warn"),
            headline=artifact,
            headline_reason=view.headline_reason(report),
            headline_latency=latency,
            headline_machine=latency and view.machine(report, latency["target"]),
            comparisons=report.get("comparisons", ()),
            comparison=_comparison(report, artifact),
            funnel=view.funnel(report),
            sensitivities=view.sensitivities(report, artifact) if artifact else [],
            confusion=_confusion(report, extras, artifact),
            histories=plots.series_colours(list(extras.get("histories", {}))),
            latencies=[(entry, row) for entry in _measured(report) for row in entry.get("latency") or []],
            samples=_by_label(report, extras.get("samples", ())),
            predictions=[_prediction(item) for item in extras.get("predictions", ())],
            limits=view.limits(report),
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
    environment.filters |= {"picture": _data_uri, "artifact_bytes": view.artifact_bytes}
    return environment


def _plots(report: Mapping[str, Any], extras: Extras, artifact: Mapping[str, Any] | None) -> dict[str, Any]:
    points = view.tradeoff_points(report)
    bins = _of(extras.get("reliability"), artifact, "reliability")
    with plots.session():
        return {
            "curves": plots.training_curves(extras.get("histories", {})),
            "tradeoff": plots.accuracy_latency(points) if points else None,
            "tradeoff_points": points,
            "reliability": plots.reliability_diagram(bins) if bins else None,
        }


def _of(given: Mapping[str, Any] | None, artifact: Mapping[str, Any] | None, key: str) -> Any:
    """The artefact's part of the extras, or what report.json itself says."""
    return None if artifact is None else (given or {}).get(artifact["name"]) or artifact.get(key)


def _confusion(
    report: Mapping[str, Any], extras: Extras, artifact: Mapping[str, Any] | None
) -> list[dict[str, Any]] | None:
    """Rows of the confusion matrix: the true label, and per predicted label its count and its share of the row."""
    counts = _of(extras.get("confusion"), artifact, "confusion")
    if counts is None:
        return None
    rows = []
    for label, row in zip(report["data"]["classes"], counts, strict=True):
        total = sum(row)
        cells = [{"count": count, "share": count / total if total else 0.0} for count in row]
        rows.append({"label": label, "cells": cells, "total": total})
    return rows


def _comparison(report: Mapping[str, Any], artifact: Mapping[str, Any] | None) -> dict[str, Any]:
    """The headline artefact against its own PyTorch network: how much smaller, how much quicker on the same target."""
    model = next((model for model in report["models"] if artifact and model["name"] == artifact["model"]), None)
    if artifact is None or model is None:
        return {}
    found: dict[str, Any] = {"smaller": 4 * model["parameters"] / view.artifact_bytes(artifact)}
    ours, eager = view.best_latency(artifact), view.best_latency(model)
    if ours and eager and (ours["target"], ours["origin"]) == (eager["target"], eager["origin"]):
        found["quicker"] = eager["p50_ms"] / ours["p50_ms"]
    return found


def _measured(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*report["artifacts"], *report["models"]]


def _by_label(report: Mapping[str, Any], samples: Sequence[Sample]) -> list[tuple[str, list[bytes]]]:
    labels = report["data"]["classes"]
    grouped = [(label, [item["image"] for item in samples if item["label"] == label]) for label in labels]
    return [(label, images) for label, images in grouped if images]


def _prediction(item: Prediction) -> dict[str, Any]:
    ranked = sorted(item["probabilities"].items(), key=lambda pair: -pair[1])
    return {"image": item["image"], "label": item["label"], "top": ranked[:3], "right": ranked[0][0] == item["label"]}


def _data_uri(content: bytes) -> str:
    """A PNG or JPEG file as an address that holds its content.

    Raises:
        ValueError: it is neither.
    """
    kind = next((kind for magic, kind in _PICTURES.items() if content.startswith(magic)), None)
    if kind is None:
        raise ValueError(f"a picture begins with {content[:8]!r}, expected a PNG or JPEG file")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
