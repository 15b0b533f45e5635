"""Benchmark: latency of every artefact and of PyTorch eager on each target, interleaved.

Writes `latency.json`.
"""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

from edgetl.config.recipe import FORMATS, Recipe
from edgetl.devices.local import machine
from edgetl.stages.common.files import targets
from edgetl.stages.common.networks import TEACHER_NETWORKS, networks
from edgetl.stages.common.stage import Context, Stage


def _settings(recipe: Recipe) -> Any:
    # Latencies hold for one machine: another one measures again.
    about = {"image_size": recipe.data.image_size, "pruned": recipe.prune is not None}
    return {"targets": recipe.targets, **about, "machine": asdict(machine())}


def _run(context: Context) -> None:
    from edgetl.config import target as target_files
    from edgetl.devices import DEVICES, eager
    from edgetl.devices.latency import latency
    from edgetl.results.artifacts import Calibration
    from edgetl.results.latency import Latency, LatencyTable, Machine

    finished = [f"calibrate.{backend}" for backend in FORMATS]
    folders = [context.inputs[name] for name in finished if name in context.inputs]
    artifacts = [(folder, each.artifact) for folder in folders for each in Calibration.read(folder).artifacts]
    size = context.recipe.data.image_size
    baselines = {
        name: functools.partial(eager.worker, network=folder, size=size) for name, folder in networks(context).items()
    }
    machines: dict[str, Machine] = {}
    rows: dict[str, tuple[Latency, ...]] = {}
    for name in context.recipe.targets:
        target = target_files.load(name, context.project)
        context.progress.say(f"  {target.name}: {len(artifacts)} artefacts and {len(baselines)} PyTorch networks")
        machines[target.name] = DEVICES[target.kind](target).info()
        for subject, measured in latency(target, artifacts, baselines, "quick", context.progress.advance).items():
            rows[subject] = (*rows.get(subject, ()), *measured)
    LatencyTable(machines, rows).write(context.folder)


_NEEDS = (*TEACHER_NETWORKS, "distil/network", "prune/network", *(f"calibrate.{backend}" for backend in FORMATS))
_TOOLS = ("numpy", "torch", "timm", "onnxruntime", "openvino", "ai-edge-litert")

STAGE = Stage("benchmark", 2, _NEEDS, _settings, _TOOLS, _run, files=targets)
