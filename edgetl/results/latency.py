"""How long networks and artefacts take, on which machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgetl.results.document import Amount, Count, Document, Factor, Positive

__all__ = ["Latency", "LatencyTable", "Machine", "Unmeasured"]


@dataclass(frozen=True)
class Machine:
    """What latencies hold for; no host or user name. memory_gb: in units of 10**9 bytes."""

    processor: str
    cores: Positive
    memory_gb: Count
    system: str
    machine: str


@dataclass(frozen=True)
class Latency:
    """One row: times in ms of one call with `batch` images, memory in MB (10**6 bytes).

    origin: measured on the target itself; emulated and estimated ones are no measurements.
    mode: quick takes about 100 runs, full 1024 and a minute.
    noisy, noise: whether the runs varied too much to be compared, and how; "" when quiet.
    peak_rss_mb: of the process with its runtime; null where the system does not say.
    round_ms: median of each round; round i of all rows of one measurement ran within the same moments.
    runtime to placement: what really computed, as the runtime says.
    """

    target: str
    origin: Literal["measured", "emulated", "estimated"]
    mode: Literal["quick", "full"]
    batch: Positive
    threads: Positive
    runs: Positive
    noisy: bool
    noise: str
    p50_ms: Factor
    p90_ms: Factor
    p99_ms: Factor
    first_ms: Amount
    load_ms: Amount
    peak_rss_mb: Amount | None
    round_ms: tuple[Amount, ...]
    runtime: str
    version: str
    compute_precision: str
    accelerator: str
    placement: str


@dataclass(frozen=True)
class Unmeasured:
    """A model or an artefact that has no row, and why, in one line.

    disagrees: it computes something else on that device. foreign: devices of that kind run no such files; nothing failed.
    """

    name: str
    target: str
    threads: Positive
    reason: str
    disagrees: bool
    foreign: bool = False


@dataclass(frozen=True)
class LatencyTable(Document):
    """Of the benchmark stage: what each target is, the rows of each model and artefact by its name, and what has none."""

    FILE: ClassVar[str] = "latency.json"

    targets: Mapping[str, Machine]
    rows: Mapping[str, tuple[Latency, ...]]
    unmeasured: tuple[Unmeasured, ...] = ()
