"""One target's latency table: artefacts and baselines, interleaved, as rows of report.json's `latency`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgetl.config.target import Target
from edgetl.devices import DEVICES
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Measurement, Mode, measure
from edgetl.runtime.workers import Worker

_FIELDS = (
    *("mode", "batch", "threads", "runs", "noisy", "noise", "p50_ms", "p90_ms", "p99_ms", "first_ms", "load_ms"),
    *("peak_rss_mb", "round_ms"),
)
_DESCRIBED = ("runtime", "version", "compute_precision", "accelerator", "placement")

Baseline = Callable[[str, int], Worker]
"""(name to measure under, threads) -> worker, for what is no artefact, such as PyTorch eager."""


def latency(
    target: Target,
    artifacts: Sequence[tuple[Path, Artifact]],
    baselines: Mapping[str, Baseline],
    mode: Mode,
    advance: Callable[[str, int, int], None],
) -> dict[str, list[dict[str, Any]]]:
    """Measure everything at every thread count of a target.

    Threads are measured one count after the other, and within a count all workers are interleaved, so that rows of
    one count can be divided by each other.

    Args:
        artifacts: each with the folder that its path starts from.
        baselines: by name; only for targets on this machine.

    Returns:
        Rows by the artefact's or the baseline's name.

    Raises:
        WorkerError: a model could not be loaded or died.
    """
    device = DEVICES[target.kind](target)
    rows: dict[str, list[dict[str, Any]]] = {}
    for threads in device.threads():
        pushed = {folder: device.push(folder) for folder, _ in artifacts}
        plan = [device.worker(pushed[folder], artifact, threads) for folder, artifact in artifacts]
        plan += [start(f"{name}@{threads}", threads) for name, start in baselines.items()]
        names = [*(artifact.name for _, artifact in artifacts), *baselines]
        for name, measurement in zip(names, measure(plan, mode, advance=advance), strict=True):
            rows.setdefault(name, []).append(_row(target, measurement))
    return rows


def _row(target: Target, measurement: Measurement) -> dict[str, Any]:
    content = measurement.to_json()
    kept = {name: content[name] for name in (*_FIELDS, *_DESCRIBED) if name in content}
    return {"target": target.name, "origin": "measured", **kept}
