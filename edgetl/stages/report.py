"""Report: everything that the stages found, as report.json, report.html and, when no gate failed, the bundle.

It is put together anew whenever one of the stages' results changed, in seconds, so it is no entry of the store.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl import __version__
from edgetl.devices.local import machine
from edgetl.errors import IntegrityError
from edgetl.loading import Loaded
from edgetl.progress import Progress
from edgetl.recipe import Recipe
from edgetl.stages.networks import STAGE_OF

if TYPE_CHECKING:
    from edgetl.pipeline import Step

NAME = "report"
VERSION = 1
REPORT = "report.json"
PAGE = "report.html"
EXTRAS = "extras.json"
BUNDLE = "bundle"

_TRAINING = (
    *("weights", "loss", "chosen_weight", "rule", "notes", "pruned", "taught_by", "teacher_weight"),
    *("best_epoch", "validation", "before_pruning", "after_pruning", "after_recovery", "seconds"),
)


def write(loaded: Loaded, steps: Sequence[Step], run: Path, progress: Progress) -> list[str]:
    """Bring the run folder up to date with the stages.

    Returns:
        What failed, a sentence a gate; the bundle is then left out (and an earlier one removed, it is of another build).
    """
    key = _key(loaded, steps)
    if _is_current(run, key):
        return _failures(json.loads((run / REPORT).read_text(encoding="utf-8")))
    progress.say(f"[{len(steps) + 1}] {NAME}")
    folders = {step.stage.name: step.entry.folder for step in steps if step.entry}
    report = _collect(loaded, steps, folders, key)
    failures = _failures(report)
    bundle, aside = run / BUNDLE, run / f".{BUNDLE}-{os.getpid()}"
    _remove(aside)
    try:
        if not failures:
            from edgetl.stages import bundle as bundles

            bundles.write(loaded, folders, report, aside)
        (run / REPORT).unlink(missing_ok=True)  # from here to its new version the run folder is unfinished, and says so
        _remove(bundle)
        if not failures:
            aside.rename(bundle)
    finally:
        _remove(aside)
    extras = _extras(folders, report)
    _write(run / EXTRAS, json.dumps(extras))
    _write(run / PAGE, page(report, extras))
    _write(run / REPORT, json.dumps(report, indent=1))
    return failures


def page(report: Mapping[str, Any], extras: Mapping[str, Any]) -> str:
    """report.html from what the run folder keeps."""
    from edgetl.report.render import render

    pictures = {
        kind: [{**item, "image": base64.b64decode(item["image"])} for item in extras[kind]]
        for kind in ("samples", "predictions")
    }
    return render(report, {"histories": extras["histories"], **pictures})  # type: ignore[typeddict-item]


def render_again(run: Path) -> Path:
    """Write report.html anew from a run folder's own files. Raises IntegrityError when they are not all there."""
    try:
        report, extras = (json.loads((run / name).read_text(encoding="utf-8")) for name in (REPORT, EXTRAS))
    except (OSError, ValueError) as exc:
        raise IntegrityError(
            f"is no finished run: {exc}", place=str(run), hint="edgetl build RECIPE makes one"
        ) from exc
    _write(run / PAGE, page(report, extras))
    return run / PAGE


def _key(loaded: Loaded, steps: Sequence[Step]) -> str:
    digests = {step.stage.name: step.entry.digest() for step in steps if step.entry}
    recipe = loaded.recipe.model_dump(mode="json", exclude={"data": {"root"}})
    parts = {"version": VERSION, "edgetl": __version__, "recipe": recipe, "stages": digests}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _is_current(run: Path, key: str) -> bool:
    try:
        report = json.loads((run / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    complete = (run / PAGE).is_file() and (bool(_failures(report)) or (run / BUNDLE / "bundle.json").is_file())
    return complete and any(stage["name"] == NAME and stage["key"] == key for stage in report["stages"])


def _failures(report: Mapping[str, Any]) -> list[str]:
    return [
        f"{gate['name']} of {gate['subject']}: {gate['message']}"
        for gate in report["gates"]
        if not gate["passed"] and gate["severity"] == "fail"
    ]


def _collect(loaded: Loaded, steps: Sequence[Step], folders: Mapping[str, Path], key: str) -> dict[str, Any]:
    latency = _read(folders["benchmark"] / "latency.json")
    evaluated = _read(folders["evaluate"] / "models.json")
    data = _read(folders["data"] / "summary.json")
    artifacts = [
        artifact for backend in loaded.recipe.export for artifact in _artifacts(folders, backend, latency["rows"])
    ]
    stages = [
        {"name": step.stage.name, "key": step.key, "seconds": step.entry.seconds, "cached": step.cached}
        | {"peak_rss_mb": step.entry.peak_rss_mb}
        for step in steps
        if step.entry
    ]
    return {
        "schema": 1,
        "edgetl": __version__,
        "name": loaded.recipe.name,
        "recipe": _without_paths(loaded.recipe),
        "stand_in": loaded.stand_in,
        "environment": {**_environment(), "targets": latency["targets"]},
        "data": data,
        "models": [
            {**model, "training": _training(folders, model["name"]), "latency": latency["rows"][model["name"]]}
            for model in evaluated["models"]
        ],
        "comparisons": evaluated["comparisons"],
        "artifacts": artifacts,
        "gates": [*_data_gates(data), *evaluated["gates"], *(gate for one in artifacts for gate in one.pop("gates"))],
        "stages": [*stages, {"name": NAME, "key": key, "seconds": 0.0, "cached": False}],
    }


def _without_paths(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON, fit to travel with a bundle: where files lay on this machine is left out."""
    document: dict[str, Any] = recipe.model_dump(mode="json", by_alias=True, exclude={"data": {"root"}})
    for role in ("teacher", "student"):
        if document[role]:
            document[role]["weights"] = Path(document[role]["weights"]).name
    document["targets"] = [Path(target).stem if "/" in target else target for target in document["targets"]]
    return document


def _training(folders: Mapping[str, Path], model: str) -> dict[str, Any]:
    """How a network came about: the weights it started from, what was chosen on validation, what pruning kept."""
    document = _read(folders[STAGE_OF[model]] / "training.json")
    found = {name: document[name] for name in _TRAINING if name in document}
    if "candidates" in document:
        shown = ("weight", "chosen", "score", "behind", "standard_error", "validation")
        found["candidates"] = [{name: one[name] for name in shown} for one in document["candidates"]]
    return found


def _artifacts(folders: Mapping[str, Path], backend: str, rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    finished, verified = folders[f"calibrate.{backend}"], _read(folders[f"verify.{backend}"] / "artifacts.json")
    results = {result["name"]: result for result in verified}
    artifacts = []
    for artifact in _read(finished / "artifacts.json"):
        sizes = [(finished / path).stat().st_size for path in (artifact["path"], *artifact["companions"])]
        result = results[artifact["name"]]
        artifacts.append({**artifact, **result, "total_bytes": sum(sizes), "latency": rows[artifact["name"]]})
    return artifacts


def _data_gates(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    from edgetl.evidence.gates import no_leaks

    across = [same for same in data["leaks"]["identical"] if len(same["splits"]) > 1]
    return [no_leaks(len(data["leaks"]["groups"]), len(across)).to_json()]


def _environment() -> dict[str, Any]:
    tools = ("torch", "timm", "torch-pruning", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch")
    versions = {tool: metadata.version(tool) for tool in (*tools, "ai-edge-quantizer", "ai-edge-litert", "numpy")}
    return {**machine(), "python": platform.python_version(), "tools": versions}


def _extras(folders: Mapping[str, Path], report: Mapping[str, Any]) -> dict[str, Any]:
    """What only the page shows: training curves, and pictures as base64 of PNG."""
    from edgetl.stages import pictures

    return {
        "histories": _histories(folders),
        "samples": pictures.samples(folders, report["data"]),
        "predictions": pictures.predictions(folders, report),
    }


def _histories(folders: Mapping[str, Path]) -> dict[str, Any]:
    training = {stage: _read(folders[stage] / "training.json") for stage in ("teach", "distil", "prune")}
    found = {"teacher": training["teach"].get("history")}
    for candidate in training["distil"]["candidates"]:
        found[f"student, teacher's weight {candidate['weight']:g}"] = candidate["history"]
    found["pruned student"] = training["prune"].get("history")
    return {name: history for name, history in found.items() if history}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
