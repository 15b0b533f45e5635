"""One target's latency table: artefacts and baselines, interleaved."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgetl.config.target import Target
from edgetl.devices import DEVICES, Baseline, open_device, require
from edgetl.errors import DeviceError
from edgetl.results.latency import Latency, Machine, Unmeasured
from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.golden import known
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measurement import Measurement, Mode
from edgetl.runtime.measuring import measure
from edgetl.runtime.subjects import Failure
from edgetl.runtime.sustained import Sustained, sustain


@dataclass(frozen=True)
class Measured:
    """What the target is, rows by the artefact's or the baseline's name, and what has none on it or with some thread count."""

    machine: Machine
    rows: dict[str, list[Latency]] = field(default_factory=dict)
    unmeasured: list[Unmeasured] = field(default_factory=list)


def latency(
    target: Target,
    artifacts: Sequence[tuple[Path, Artifact]],
    baselines: Mapping[str, Sequence[Baseline]],
    mode: Mode,
    advance: Callable[[str, int, int], None],
    manifests: Mapping[Path, Manifest] | None = None,
    batches: Mapping[str, int] | None = None,
) -> Measured:
    """Measure everything at every thread count of a target.

    Threads are measured one count after the other, and within a count all workers are interleaved, so that rows of
    one count can be divided by each other. What fails costs its own row.

    Args:
        artifacts: each with the folder that its path starts from.
        baselines: by name, in every way in which they are measured (`edgetl.devices.baselines`).
        manifests: of the folders that are bundles: their artefacts' golden outputs are looked at before they are timed.
        batches: images of one call, by artefact, where it is not one.

    Raises:
        MissingAccelerator: the target is not there.
        DeviceError: the device is not there, or nothing of this can be measured on it.
    """
    effort, images = pkgutil.resolve_name(DEVICES[target.kind].efforts)[mode], batches or {}
    everything, beside = artifacts, any(baselines.values())
    able(target, artifacts, beside=beside)
    with closing(open_device(target)) as device:
        found = Measured(device.info())
        artifacts = able(target, artifacts, beside=beside)  # a device may tell more once it is there
        pushed = {folder: device.push(folder) for folder in dict.fromkeys(folder for folder, _ in artifacts)}
        found.unmeasured.extend(left_out(target, [artifact for _, artifact in everything]))
        for threads in device.threads():
            plan = [device.worker(pushed[folder], artifact, threads) for folder, artifact in artifacts]
            expected = {
                worker.name: known(folder, manifests[folder], artifact, pushed[folder])
                for worker, (folder, artifact) in zip(plan, artifacts, strict=True)
                if manifests and folder in manifests
            }
            others = [(name, start) for name, starts in baselines.items() for start in starts]
            plan += [start(f"{name}@{threads}", threads) for name, start in others]
            names = [*(artifact.name for _, artifact in artifacts), *(name for name, _ in others)]
            for name, result in zip(
                names, measure(plan, mode, advance=advance, effort=effort, known=expected), strict=True
            ):
                if isinstance(result, Failure):
                    found.unmeasured.append(unmeasured_on(target, result, name))
                else:
                    found.rows.setdefault(name, []).append(_row(target, result, images.get(name, result.batch)))
    return found


def left_out(target: Target, artifacts: Sequence[Artifact]) -> list[Unmeasured]:
    """Those of a format that cannot be measured on a target, as far as is known of it by now, and why."""
    without = require(target).without
    return [
        Unmeasured(artifact.name, target.name, 1, without[artifact.backend], disagrees=False, left_out=True)
        for artifact in artifacts
        if artifact.backend in without
    ]


def able(
    target: Target, artifacts: Sequence[tuple[Path, Artifact]], *, beside: bool = False
) -> list[tuple[Path, Artifact]]:
    """Those that can be measured on a target. beside: whether it is enough that something else can.

    Raises:
        MissingAccelerator: the target is not there.
        DeviceError: none can.
    """
    without = require(target).without
    able = [(folder, artifact) for folder, artifact in artifacts if artifact.backend not in without]
    if not able and not beside:
        raise DeviceError(
            "got no file that can be measured there, expected one at least",
            place=f"target {target.name}",
            hint="; ".join(f"{backend}: {reason}" for backend, reason in without.items()) or None,
        )
    return able


def sustained(
    target: Target,
    bundle: Path,
    manifest: Manifest,
    minutes: int,
    advance: Callable[[str, int, int], None],
) -> tuple[Sustained, list[Unmeasured]]:
    """Keep the artefacts of a bundle busy on a target for so many minutes, with the most threads that it has.

    Returns:
        What came of them, and those that are left out.

    Raises:
        DeviceError: the device is not there.
    """
    everything = [(bundle, artifact) for artifact in manifest.artifacts]
    able(target, everything)
    with closing(open_device(target)) as device:
        there, threads = device.push(bundle), max(device.threads())
        artifacts = [artifact for _, artifact in able(target, everything)]  # it may tell more once it is there
        plan = [device.worker(there, artifact, threads) for artifact in artifacts]
        expected = {
            worker.name: known(bundle, manifest, artifact, there)
            for worker, artifact in zip(plan, artifacts, strict=True)
        }
        names = [artifact.name for artifact in artifacts]
        without = left_out(target, manifest.artifacts)
        return sustain(plan, minutes, advance=advance, known=expected, names=names), without


def unmeasured_on(target: Target, failure: Failure, name: str) -> Unmeasured:
    """A failure as results have it. name: of the artefact or the baseline."""
    disagrees = failure.exit_code == IntegrityError.exit_code
    return Unmeasured(name, target.name, failure.threads, failure.reason, disagrees)


def _row(target: Target, measurement: Measurement, batch: int) -> Latency:
    """batch: said by who has the file: a phone or a page that measures it does not tell how many images it takes."""
    said = {"target": target.name, "origin": target.origin, "batch": batch, **measurement.described}
    values: dict[str, Any] = {
        each.name: said[each.name] if each.name in said else getattr(measurement, each.name) for each in fields(Latency)
    }
    return Latency(**values)
