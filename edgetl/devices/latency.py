"""One target's latency table: artefacts and baselines, interleaved."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgetl.config.target import Target
from edgetl.devices import DEVICES, open_device
from edgetl.results.latency import Latency
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Measurement, Mode, measure
from edgetl.runtime.workers import Worker

Baseline = Callable[[str, int], Worker]
"""(name to measure under, threads) -> worker, for what is no artefact, such as PyTorch eager."""


def latency(
    target: Target,
    artifacts: Sequence[tuple[Path, Artifact]],
    baselines: Mapping[str, Baseline],
    mode: Mode,
    advance: Callable[[str, int, int], None],
) -> dict[str, list[Latency]]:
    """Measure everything at every thread count of a target.

    Threads are measured one count after the other, and within a count all workers are interleaved, so that rows of
    one count can be divided by each other.

    Args:
        artifacts: each with the folder that its path starts from.
        baselines: by name; they run on this machine, and are measured only where the target is this machine.

    Returns:
        Rows by the artefact's or the baseline's name.

    Raises:
        WorkerError: a model could not be loaded or died.
    """
    device = open_device(target)
    if not DEVICES[target.kind].here:
        baselines = {}
    pushed = {folder: device.push(folder) for folder in dict.fromkeys(folder for folder, _ in artifacts)}
    effort = pkgutil.resolve_name(DEVICES[target.kind].efforts)[mode]
    rows: dict[str, list[Latency]] = {}
    for threads in device.threads():
        plan = [device.worker(pushed[folder], artifact, threads) for folder, artifact in artifacts]
        plan += [start(f"{name}@{threads}", threads) for name, start in baselines.items()]
        names = [*(artifact.name for _, artifact in artifacts), *baselines]
        for name, measurement in zip(names, measure(plan, mode, advance=advance, effort=effort), strict=True):
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
    )
