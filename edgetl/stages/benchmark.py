"""Benchmark: latency of every artefact and of PyTorch eager on each target, interleaved.

Writes `latency.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgetl.config.recipe import Recipe
from edgetl.devices.local import machine
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common.alone import alone_on
from edgetl.stages.common.files import targets
from edgetl.stages.common.networks import SHIPPED, TEACHER_NETWORKS, networks
from edgetl.stages.common.one_by_one import refusal
from edgetl.stages.common.stage import Context, Stage

NAME = "benchmark"


def _settings(recipe: Recipe) -> Any:
    # Latencies hold for one machine: another one measures again.
    what = {"artifacts": sorted(recipe.artifacts), "image_size": recipe.data.image_size}
    return {"targets": recipe.targets, **what, "machine": asdict(machine())}


def _run(context: Context) -> None:
    from edgetl.config import target as target_files
    from edgetl.devices import baselines
    from edgetl.devices.latency import latency
    from edgetl.results.artifacts import Calibration
    from edgetl.results.latency import Latency, LatencyTable, Machine, Unmeasured

    finished = [f"calibrate.{backend}" for backend in BACKENDS]
    folders = [context.inputs[name] for name in finished if name in context.inputs]
    calibrations = [(folder, Calibration.read(folder)) for folder in folders]
    artifacts = [
        (folder, each.artifact)
        for folder, calibration in calibrations
        for each in calibration.artifacts
        if each.artifact.name in context.recipe.artifacts
    ]
    if not artifacts:
        raise refusal(context.recipe, [each for _, calibration in calibrations for each in calibration.missing])
    size = context.recipe.data.image_size
    known = networks(context)
    machines: dict[str, Machine] = {}
    rows: dict[str, tuple[Latency, ...]] = {}
    unmeasured: list[Unmeasured] = []
    for name in context.recipe.targets:
        target = target_files.load(name, context.project)
        beside = {subject: baselines(target, folder, size) for subject, folder in known.items()}
        said = f" and {len(beside)} PyTorch networks" if any(beside.values()) else ""
        context.progress.say(f"  {target.name}: {len(artifacts)} artefacts{said}")
        with alone_on(target.find_machine(), target.name, context.progress):
            found = latency(target, artifacts, beside, "quick", context.progress.advance)
        machines[target.name] = found.machine
        for subject, measured in found.rows.items():
            rows[subject] = (*rows.get(subject, ()), *measured)
        for each in found.unmeasured:
            context.progress.warn(f"  NOT MEASURED {each.name} on {each.target}, {each.threads} threads: {each.reason}")
        unmeasured += found.unmeasured
    LatencyTable(machines, rows, tuple(unmeasured)).write(context.folder)


def stage(backends: Sequence[str]) -> Stage:
    """The benchmark of all artefacts of these backends."""
    needs = (*TEACHER_NETWORKS, *SHIPPED, *(f"calibrate.{backend}" for backend in backends))
    tools = ("numpy", "torch", "timm", *dict.fromkeys(BACKENDS[backend].distribution for backend in backends))
    return Stage(NAME, 6, needs, _settings, tools, _run, files=targets)
