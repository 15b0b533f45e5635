"""The report, put together from the documents of all stages."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl import __version__
from edgetl.config.delivery import parts_of
from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.devices.local import machine
from edgetl.evidence.gates import Gate, no_leaks
from edgetl.results.artifacts import CalibratedArtifact, Calibration, Missing, Verification, VerifiedArtifact
from edgetl.results.data import DataSummary
from edgetl.results.evaluation import Evaluation
from edgetl.results.extras import Extras
from edgetl.results.latency import Latency, LatencyTable, Machine
from edgetl.results.rehearsal import Rehearsal
from edgetl.results.report import (
    Environment,
    Report,
    ReportedArtifact,
    ReportedModel,
    StageRun,
    Training,
    Untrained,
)
from edgetl.results.training import DistilResult, Epoch, PruneResult, TeachResult, TrialResult
from edgetl.results.unlabelled import Unlabelled
from edgetl.stages.common.networks import TEACHERS
from edgetl.stages.common.tools import tool_versions
from edgetl.stages.report.predicted import predictions

if TYPE_CHECKING:
    from edgetl.stages.common.stage import Step

Folders = Mapping[str, Path]
"""Of the finished stages, by name."""


def report_of(
    loaded: Loaded, steps: Sequence[Step], folders: Folders, own: StageRun, rehearsal: Rehearsal | None = None
) -> Report:
    """Everything that the stages found.

    Args:
        own: the line of the report itself, which comes last.
        rehearsal: of this build, if one was made.
    """
    latency = LatencyTable.read(folders["benchmark"])
    evaluation = Evaluation.read(folders["evaluate"])
    data = DataSummary.read(folders["data"])
    networks = _networks(steps)
    verified = [Verification.read(folders[f"verify.{backend}"]) for backend in loaded.recipe.formats]
    pairs = [
        pair
        for backend, each in zip(loaded.recipe.formats, verified, strict=True)
        for pair in _artifacts(folders, backend, each)
    ]
    missing = missing_of(loaded.recipe, verified)
    names = set(loaded.recipe.artifacts) - {each.artifact for each in missing}
    artifacts = tuple(
        _artifact(calibrated, found, latency.rows.get(found.name, ()))
        for calibrated, found in pairs
        if found.name in names
    )
    return Report(
        edgetl=__version__,
        name=loaded.recipe.name,
        recipe=without_paths(loaded.recipe),
        stand_in=loaded.stand_in,
        environment=environment(loaded.recipe.formats, latency.targets),
        data=data,
        trial=TrialResult.read(folders["trial"]).trial,
        models=tuple(
            ReportedModel(
                **vars(model), training=_training(networks, model.name), latency=latency.rows.get(model.name, ())
            )
            for model in evaluation.models
        ),
        comparisons=evaluation.comparisons,
        artifacts=artifacts,
        gates=(_data_gate(data), *evaluation.gates, *(gate for _, verified in pairs for gate in verified.gates)),
        stages=(*_stages(steps), own),
        missing=missing,
        unlabelled=Unlabelled.read(folders["unlabelled"]) if "unlabelled" in folders else None,
        unmeasured=latency.unmeasured,
        foreseen=tuple(predictions(loaded, rehearsal, artifacts)),
    )


def extras_of(steps: Sequence[Step], folders: Folders, report: Report) -> Extras:
    """What only the page shows."""
    from edgetl.stages.report import report_images

    return Extras(
        histories=dict(_histories(folders["trial"], _networks(steps))),
        samples=tuple(report_images.samples(folders, report)),
        predictions=tuple(report_images.predictions(folders, report)),
    )


def _stages(steps: Sequence[Step]) -> Iterator[StageRun]:
    for step in steps:
        if step.entry:
            yield StageRun(
                name=step.stage.name,
                key=step.entry.key,
                seconds=step.entry.seconds,
                cached=step.cached,
                peak_rss_mb=step.entry.peak_rss_mb,
            )


def environment(backends: Sequence[str], targets: Mapping[str, Machine]) -> Environment:
    """This machine and the tools of these backends, beside the machines of the targets."""
    return Environment(
        **vars(machine()),
        python=platform.python_version(),
        tools=tool_versions(backends),
        targets=targets,
    )


def without_paths(recipe: Recipe) -> Mapping[str, Any]:
    """The recipe as JSON, fit to travel with a bundle: where files lay on this machine is left out."""
    document: dict[str, Any] = recipe.model_dump(mode="json", by_alias=True, exclude={"data": {"root"}})
    teachers = document["teacher"] or []
    for network in (*(teachers if isinstance(teachers, list) else [teachers]), document["student"]):
        network["weights"] = Path(network["weights"]).name
    if document["data"]["unlabelled"] is not None:
        document["data"]["unlabelled"] = Path(document["data"]["unlabelled"]).name
    if isinstance(document["data"]["exclude"], str):
        document["data"]["exclude"] = Path(document["data"]["exclude"]).name
    document["targets"] = [Path(target).stem if "/" in target else target for target in document["targets"]]
    return document


def _networks(steps: Sequence[Step]) -> Folders:
    """Result folders of the stages that make a network, by its name."""
    return {step.stage.network: step.entry.folder for step in steps if step.stage.network and step.entry}


def _training(networks: Folders, model: str) -> Training:
    """How a network came about: the weights it started from, who taught it, what pruning kept."""
    if model not in networks:
        return Untrained()  # the average of several teachers
    kinds: dict[str, type[DistilResult | PruneResult]] = {"student": DistilResult, "pruned": PruneResult}
    training = kinds.get(model, TeachResult).read(networks[model]).training
    assert training is not None, f"{model} has a network and no training"
    return training


def _artifacts(
    folders: Folders, backend: str, verification: Verification
) -> Iterator[tuple[CalibratedArtifact, VerifiedArtifact]]:
    verified = {each.name: each for each in verification.artifacts}
    for calibrated in Calibration.read(folders[f"calibrate.{backend}"]).artifacts:
        if found := verified.get(calibrated.artifact.name):
            yield calibrated, found


def missing_of(recipe: Recipe, verified: Sequence[Verification]) -> tuple[Missing, ...]:
    """What does not ship, in the order of the recipe: what stages left out and, with `incomplete: ship`, what a gate forbids.

    Where the gates leave nothing, they forbid the bundle as ever, and their files are no exceptions.
    """
    missing = {each.artifact: each for one in verified for each in one.missing}
    if recipe.incomplete == "refuse":
        return tuple(missing.values())
    forbidden = dict(missing)
    for found in (each for one in verified for each in one.artifacts):  # of each format fp32 comes first
        for gate in found.gates:
            if not gate.passed and gate.severity == "fail":
                forbidden[found.name] = Missing(found.name, "verify", f"failed {gate.name}: {gate.message}")
        backend, precision = parts_of(found.name)
        if precision == "int8" and f"{backend}-fp32" in forbidden and found.name not in forbidden:
            forbidden[found.name] = Missing(
                found.name, "verify", f"is held against {backend}-fp32, which failed a gate"
            )
    return tuple((forbidden if set(recipe.artifacts) - forbidden.keys() else missing).values())


def _artifact(
    calibrated: CalibratedArtifact, verified: VerifiedArtifact, latency: tuple[Latency, ...]
) -> ReportedArtifact:
    artifact = calibrated.artifact
    return ReportedArtifact(
        name=artifact.name,
        model=artifact.model,
        backend=artifact.backend,
        precision=artifact.precision,
        path=artifact.path,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        companions=artifact.companions,
        temperature=artifact.temperature,
        runtime_options=artifact.runtime_options,
        parity=verified.parity,
        metrics=verified.metrics,
        thresholds=verified.thresholds,
        confusion=verified.confusion,
        reliability=verified.reliability,
        latency=latency,
    )


def _data_gate(data: DataSummary) -> Gate:
    return no_leaks(len(data.leaks.groups), len(data.leaks.across))


def _histories(trial: Path, networks: Folders) -> Iterator[tuple[str, tuple[Epoch, ...]]]:
    """Name and epochs of each training, in the order of the pipeline."""
    for name in TEACHERS:
        if name in networks and (run := TeachResult.read(networks[name]).run):
            yield name.replace("_", " "), run.history
    tried = TrialResult.read(trial)
    for candidate, run in zip(tried.trial.candidates, tried.runs, strict=True):
        yield f"trial, teacher's weight {candidate.weight:g}", run.history
    if run := DistilResult.read(networks["student"]).run:
        yield "student", run.history
    if run := PruneResult.read(networks["pruned"]).run:
        yield "pruned student", run.history
