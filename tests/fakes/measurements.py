"""Records of measurements that nobody made, with the spread that a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgetl.evidence.intervals import Interval
from edgetl.history import Record
from edgetl.results.latency import Machine

MACHINE = Machine(processor="fake", cores=2, memory_gb=25, system="Fake", machine="x86_64")
OLD, NEW = "a" * 64, "b" * 64


def record(
    p50: float = 10.0,
    *,
    run: str = "run",
    bundle: str = "tiny",
    bundle_sha256: str = OLD,
    artifact: str = "onnx-int8",
    content: str = "",
    label: str = "",
    machine: Machine = MACHINE,
    data: str = "",
    metrics: Mapping[str, Interval] | None = None,
    rounds: Sequence[float] | None = None,
    **row: Any,
) -> Record:
    """One row; what is not said is quiet, measured, quick, on one thread."""
    said = {
        **{"target": "desk", "origin": "measured", "mode": "quick", "batch": 1, "threads": 1, "accelerator": "cpu"},
        **{"runtime": "fake", "version": "1", "noisy": False, "noise": "", "p50_ms": p50, "p90_ms": 1.1 * p50},
        **{"p99_ms": 1.2 * p50, "first_ms": 20.0, "load_ms": 50.0, "peak_rss_mb": 70.0, "placement": "here"},
        "round_ms": list(rounds or np.linspace(0.99, 1.01, 10) * p50),
    }
    return Record(
        run=run,
        time="2026-01-02T03:04:05+00:00",
        source="bench",
        label=label,
        edgetl="0.1.0",
        bundle=bundle,
        bundle_sha256=bundle_sha256,
        artifact=artifact,
        sha256=content or bundle_sha256,
        content=content or bundle_sha256,
        model="student",
        backend="onnx",
        precision="int8",
        bytes=1000,
        machine=machine,
        data=data,
        metrics=metrics or {},
        row={**said, **row},
    )


def runs(count: int, spread: float, factor: float = 1.0, seed: int = 0, **of: Any) -> list[Record]:
    """Repeated measurements around 10 ms times `factor`, their logarithms normal with this deviation between runs."""
    generator = np.random.default_rng(seed)
    name = of.pop("run", f"{seed}-{of.get('bundle_sha256', OLD)[:1]}")
    times = 10.0 * factor * np.exp(generator.normal(0, spread, count))
    return [record(float(time), run=f"{name}-{number}", **of) for number, time in enumerate(times)]
