"""One target's latency table: artefacts and baselines, interleaved."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edgetl.config.target import Target
from edgetl.devices import DEVICES, open_device
from edgetl.errors import IntegrityError
from edgetl.results.latency import Latency, Unmeasured
from edgetl.runtime.golden import known
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measuring import Measurement, Mode, measure
from edgetl.runtime.subjects import Failure
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
                    found.unmeasured.append(_unmeasured(name, target, result))
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


def _unmeasured(name: str, target: Target, failure: Failure) -> Unmeasured:
    disagrees = failure.exit_code == IntegrityError.exit_code
    return Unmeasured(name, target.name, failure.threads, failure.reason, disagrees)


def _row(target: Target, measurement: Measurement) -> Latency:
    described = measurement.described
    return Latency(
        target=target.name,
        origin="measured",
        mode=measurement.mode,
        batch=measurement.batch,
        threads=measurement.threads,
        runs=measurement.runs,
        noisy=measurement.noisy,
        noise=measurement.noise,
        p50_ms=measurement.p50_ms,
        p90_ms=measurement.p90_ms,
        p99_ms=measurement.p99_ms,
        first_ms=measurement.first_ms,
        load_ms=measurement.load_ms,
        peak_rss_mb=measurement.peak_rss_mb,
        round_ms=measurement.round_ms,
        runtime=described["runtime"],
        version=described["version"],
        compute_precision=described["compute_precision"],
        accelerator=described["accelerator"],
        placement=described["placement"],
    )
