"""Report: everything that the stages found, as report.json, report.html and, when no gate failed, the bundle.

It is put together anew whenever one of the stages' results changed, in seconds, so it is no entry of the store.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl import __version__
from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.devices.local import machine
from edgetl.errors import IntegrityError
from edgetl.files import write_whole
from edgetl.stages.common.networks import TEACHERS
from edgetl.stages.report.atomic_swap import aside, swap

if TYPE_CHECKING:
    from edgetl.stages.common.stage import Step

NAME = "report"
VERSION = 1
REPORT = "report.json"
PAGE = "report.html"
EXTRAS = "extras.json"
BUNDLE = "bundle"
_COPIED = ("models/", "golden/")

_TRAINING = (
    *("weights", "loss", "chosen_weight", "rule", "notes", "pruned", "taught_by", "teacher_weight"),
    *("best_epoch", "validation", "before_pruning", "after_pruning", "after_recovery", "seconds"),
)


def is_current(loaded: Loaded, steps: Sequence[Step], run: Path) -> bool:
    """Whether the run folder is what `write` would make of these stages."""
    return _is_current(run, _key(loaded, steps))


def failures(run: Path) -> list[str]:
    """What failed in a written run folder, a sentence a gate."""
    return _failures(_read(run / REPORT))


def write(loaded: Loaded, steps: Sequence[Step], run: Path) -> None:
    """Bring the run folder up to date with the stages: everything is written aside first, then put in its place.

    When a gate failed the bundle is left out, and an earlier one removed: it is of another build.
    """
    key = _key(loaded, steps)
    folders = {step.stage.name: step.entry.folder for step in steps if step.entry}
    report = _collect(loaded, steps, folders, key)
    failed = _failures(report)
    extras = _extras(steps, folders, report)
    texts = {EXTRAS: json.dumps(extras), PAGE: page(report, extras), REPORT: json.dumps(report, indent=1)}
    with aside(run) as new:
        if not failed:
            from edgetl.stages.report import bundle as bundles

            bundles.write(loaded, folders, report, new / BUNDLE)
            _require_copied(new / BUNDLE, steps)
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8")
        swap(new, run, (BUNDLE, EXTRAS, PAGE, REPORT))


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
    write_whole(run / PAGE, page(report, extras))
    return run / PAGE


def _key(loaded: Loaded, steps: Sequence[Step]) -> str:
    digests = {step.stage.name: step.entry.digest() for step in steps if step.entry}
    parts = {"version": VERSION, "edgetl": __version__, "recipe": _without_paths(loaded.recipe), "stages": digests}
    parts["environment"] = _environment()
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _is_current(run: Path, key: str) -> bool:
    try:
        report = json.loads((run / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    complete = (run / PAGE).is_file() and (bool(_failures(report)) or (run / BUNDLE / "bundle.json").is_file())
    return complete and any(stage["name"] == NAME and stage["key"] == key for stage in report["stages"])


def _require_copied(bundle: Path, steps: Sequence[Step]) -> None:
    """What a bundle holds of a stage's files is what the stage wrote: the manifest would bless any copy."""
    files = _read(bundle / "bundle.json")["files"]
    for step in steps:
        for name, (sha256, _) in step.entry.files.items() if step.entry else ():
            if name.startswith(_COPIED) and name in files and files[name] != sha256:
                raise IntegrityError(
                    f"is not what {step.stage.name} wrote: it changed while it was copied",
                    place=name,
                    hint="build again; if it happens again, look after the disk",
                )


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
    networks = _networks(steps)
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
            {
                **model,
                "training": _training(networks.get(model["name"])),
                "latency": latency["rows"].get(model["name"], []),
            }
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
    teachers = document["teacher"] or []
    for network in (*(teachers if isinstance(teachers, list) else [teachers]), document["student"]):
        network["weights"] = Path(network["weights"]).name
    document["targets"] = [Path(target).stem if "/" in target else target for target in document["targets"]]
    return document


def _networks(steps: Sequence[Step]) -> dict[str, Path]:
    """Result folders of the stages that make a network, by its name."""
    return {step.stage.network: step.entry.folder for step in steps if step.stage.network and step.entry}


def _training(folder: Path | None) -> dict[str, Any]:
    """How a network came about: the weights it started from, what was chosen on validation, what pruning kept.

    Nothing for the average of several teachers, which no stage trained.
    """
    if folder is None:
        return {}
    document = _read(folder / "training.json")
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


def _extras(steps: Sequence[Step], folders: Mapping[str, Path], report: Mapping[str, Any]) -> dict[str, Any]:
    """What only the page shows: training curves, and pictures as base64 of PNG."""
    from edgetl.stages.report import report_images

    return {
        "histories": _histories(_networks(steps)),
        "samples": report_images.samples(folders, report["data"]),
        "predictions": report_images.predictions(folders, report),
    }


def _histories(networks: Mapping[str, Path]) -> dict[str, Any]:
    training = {name: _read(folder / "training.json") for name, folder in networks.items()}
    histories = {name.replace("_", " "): training[name].get("history") for name in training if name in TEACHERS}
    for candidate in training["student"]["candidates"]:
        histories[f"student, teacher's weight {candidate['weight']:g}"] = candidate["history"]
    histories["pruned student"] = training["pruned"].get("history")
    return {name: history for name, history in histories.items() if history}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
