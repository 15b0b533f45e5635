"""One target's latency table: artefacts and baselines, interleaved."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgetl.config.target import Target
from edgetl.devices import DEVICES, open_device
from edgetl.errors import DeviceError
from edgetl.results.latency import Latency, Unmeasured
from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.golden import known
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measurement import Measurement, Mode
from edgetl.runtime.measuring import measure
from edgetl.runtime.subjects import Failure
from edgetl.runtime.sustained import Sustained, sustain
from edgetl.runtime.workers import Worker

Baseline = Callable[[str, int], Worker]
"""(name to measure under, threads) -> worker, for what is no artefact, such as PyTorch eager."""


@dataclass(frozen=True)
class Measured:
    """Rows by the artefact's or the baseline's name, and what has none on this target or with some thread count."""

    rows: dict[str, list[Latency]] = field(default_factory=dict)
    unmeasured: list[Unmeasured] = field(default_factory=list)


def latency(
    target: Target,
    artifacts: Sequence[tuple[Path, Artifact]],
    baselines: Mapping[str, Baseline],
    mode: Mode,
    advance: Callable[[str, int, int], None],
    manifests: Mapping[Path, Manifest] | None = None,
) -> Measured:
    """Measure everything at every thread count of a target.

    Threads are measured one count after the other, and within a count all workers are interleaved, so that rows of
    one count can be divided by each other. What fails costs its own row.

    Args:
        artifacts: each with the folder that its path starts from.
        baselines: by name; they run on this machine, and are measured only where the target is this machine.
        manifests: of the folders that are bundles: their artefacts' golden outputs are looked at before they are timed.

    Raises:
        DeviceError: the device is not there.
    """
    kind = DEVICES[target.kind]
    if not kind.here:
        baselines = {}
    effort = pkgutil.resolve_name(kind.efforts)[mode]
    found = Measured()
    with closing(open_device(target)) as device:
        pushed = {folder: device.push(folder) for folder in dict.fromkeys(folder for folder, _ in artifacts)}
        found.unmeasured.extend(foreign(target, [artifact for _, artifact in artifacts]))
        artifacts = [(folder, artifact) for folder, artifact in artifacts if kind.takes(artifact.backend)]
        if not artifacts and not baselines:
            formats = " or ".join(kind.backends)
            raise DeviceError(
                f"got no {formats} file, expected one: {kind.about} runs no others", place=f"target {target.name}"
            )
        for threads in device.threads():
            plan = [device.worker(pushed[folder], artifact, threads) for folder, artifact in artifacts]
            expected = {
                worker.name: known(folder, manifests[folder], artifact, pushed[folder])
                for worker, (folder, artifact) in zip(plan, artifacts, strict=True)
                if manifests and folder in manifests
            }
            plan += [start(f"{name}@{threads}", threads) for name, start in baselines.items()]
            names = [*(artifact.name for _, artifact in artifacts), *baselines]
            for name, result in zip(
                names, measure(plan, mode, advance=advance, effort=effort, known=expected), strict=True
            ):
                if isinstance(result, Failure):
                    found.unmeasured.append(unmeasured_on(target, result, name))
                else:
                    found.rows.setdefault(name, []).append(_row(target, result))
    return found


def foreign(target: Target, artifacts: Sequence[Artifact]) -> list[Unmeasured]:
    """Those of a format that the target's kind of device does not run, said so."""
    kind = DEVICES[target.kind]
    why = f"{kind.about} runs {' and '.join(kind.backends)} files only"
    return [
        Unmeasured(artifact.name, target.name, 1, why, disagrees=False, foreign=True)
        for artifact in artifacts
        if not kind.takes(artifact.backend)
    ]


def sustained(
    target: Target,
    bundle: Path,
    manifest: Manifest,
    minutes: int,
    advance: Callable[[str, int, int], None],
) -> Sustained:
    """Keep the artefacts of a bundle busy on a target for so many minutes, with the most threads that it has.

    Raises:
        DeviceError: the device is not there.
    """
    with closing(open_device(target)) as device:
        there, threads = device.push(bundle), max(device.threads())
        artifacts = [each for each in manifest.artifacts if DEVICES[target.kind].takes(each.backend)]
        plan = [device.worker(there, artifact, threads) for artifact in artifacts]
        expected = {
            worker.name: known(bundle, manifest, artifact, there)
            for worker, artifact in zip(plan, artifacts, strict=True)
        }
        names = [artifact.name for artifact in artifacts]
        return sustain(plan, minutes, advance=advance, known=expected, names=names)


def unmeasured_on(target: Target, failure: Failure, name: str) -> Unmeasured:
    """A failure as results have it. name: of the artefact or the baseline."""
    disagrees = failure.exit_code == IntegrityError.exit_code
    return Unmeasured(name, target.name, failure.threads, failure.reason, disagrees)


def _row(target: Target, measurement: Measurement) -> Latency:
    said = {"target": target.name, "origin": "measured", **measurement.described}
    values: dict[str, Any] = {
        each.name: said[each.name] if each.name in said else getattr(measurement, each.name) for each in fields(Latency)
    }
    return Latency(**values)
