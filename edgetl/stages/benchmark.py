"""Benchmark: latency of every artefact and of PyTorch eager on each target, interleaved.

Writes `latency.json`: {"targets": {NAME: what it is}, "rows": {NAME of model or artefact: rows of `latency`}}.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.config.recipe import FORMATS, Recipe
from edgetl.devices.local import machine
from edgetl.stages.common.files import targets
from edgetl.stages.common.networks import TEACHER_NETWORKS, networks
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from edgetl.runtime.manifest import Artifact


def _settings(recipe: Recipe) -> Any:
    # Latencies hold for one machine: another one measures again.
    about = {"image_size": recipe.data.image_size, "pruned": recipe.prune is not None}
    return {"targets": recipe.targets, **about, "machine": machine()}


def _run(context: Context) -> None:
    from edgetl.config import target as target_files
    from edgetl.devices import DEVICES, eager
    from edgetl.devices.latency import latency

    finished = [f"calibrate.{backend}" for backend in FORMATS]
    folders = [context.inputs[name] for name in finished if name in context.inputs]
    artifacts = [(folder, artifact) for folder in folders for artifact in read_artifacts(folder)]
    size = context.recipe.data.image_size
    baselines = {
        name: functools.partial(eager.worker, network=folder, size=size) for name, folder in networks(context).items()
    }
    found: dict[str, Any] = {"targets": {}, "rows": {}}
    for name in context.recipe.targets:
        target = target_files.load(name, context.project)
        context.progress.say(f"  {target.name}: {len(artifacts)} artefacts and {len(baselines)} PyTorch networks")
        found["targets"][target.name] = DEVICES[target.kind](target).info()
        for subject, rows in latency(target, artifacts, baselines, "quick", context.progress.advance).items():
            found["rows"].setdefault(subject, []).extend(rows)
    (context.folder / "latency.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def read_artifacts(folder: Path) -> list[Artifact]:
    """The artefacts that a calibrate stage finished, as in the manifest."""
    from edgetl.runtime.manifest import Artifact

    found = []
    for document in json.loads((folder / "artifacts.json").read_text(encoding="utf-8")):
        del document["thresholds"]
        found.append(Artifact(**{**document, "companions": tuple(document["companions"])}))
    return found


_NEEDS = (*TEACHER_NETWORKS, "distil/network", "prune/network", *(f"calibrate.{backend}" for backend in FORMATS))
_TOOLS = ("numpy", "torch", "timm", "onnxruntime", "openvino", "ai-edge-litert")

STAGE = Stage("benchmark", 1, _NEEDS, _settings, _TOOLS, _run, files=targets)
