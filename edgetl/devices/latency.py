"""One target's latency table: artefacts and baselines, interleaved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgetl.config.target import Target
from edgetl.devices import Baseline, open_device, require
from edgetl.errors import DeviceError
from edgetl.results.latency import Latency
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Measurement, Mode, measure


def latency(
    target: Target,
    artifacts: Sequence[tuple[Path, Artifact]],
    baselines: Mapping[str, Sequence[Baseline]],
    mode: Mode,
    advance: Callable[[str, int, int], None],
) -> dict[str, list[Latency]]:
    """Measure everything at every thread count of a target.

    Threads are measured one count after the other, and within a count all workers are interleaved, so that rows of
    one count can be divided by each other.

    Args:
        artifacts: each with the folder that its path starts from.
        baselines: by name, in every way in which they are measured (`edgetl.devices.baselines`).

    Returns:
        Rows by the artefact's or the baseline's name.

    Raises:
        MissingAccelerator: the target is not there.
        DeviceError: nothing of this can be measured there.
        WorkerError: a model could not be loaded or died.
    """
    without = require(target).without
    artifacts = [(folder, artifact) for folder, artifact in artifacts if artifact.backend not in without]
    if not artifacts and not any(baselines.values()):
        reasons = "; ".join(f"{backend}: {reason}" for backend, reason in without.items())
        raise DeviceError(
            "got no file that can be measured there, expected one at least", place=f"target {target.name}", hint=reasons
        )
    device = open_device(target)
    pushed = {folder: device.push(folder) for folder in dict.fromkeys(folder for folder, _ in artifacts)}
    rows: dict[str, list[Latency]] = {}
    for threads in device.threads():
        plan = [device.worker(pushed[folder], artifact, threads) for folder, artifact in artifacts]
        beside = [(name, start) for name, starts in baselines.items() for start in starts]
        plan += [start(f"{name}@{threads}", threads) for name, start in beside]
        names = [*(artifact.name for _, artifact in artifacts), *(name for name, _ in beside)]
        for name, measurement in zip(names, measure(plan, mode, advance=advance), strict=True):
            rows.setdefault(name, []).append(_row(target, measurement))
    return rows


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
        delegated=measurement.delegated,
    )
