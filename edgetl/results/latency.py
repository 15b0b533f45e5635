"""How long networks and artefacts take, on which machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgetl.results.document import Amount, Count, Document, Factor, Positive, Share
from edgetl.runtime.surroundings import Surroundings

__all__ = ["Latency", "LatencyTable", "Machine", "Unmeasured", "partitions"]

_PARTITIONS = re.compile(r"(\d+) partition")


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
    mode: quick takes at least 100 runs, or as many as a slow model makes in 8 s; full at least 1024 and a minute.
    noisy, noise: whether the runs varied too much to be compared, or others disturbed them, and how; "" when quiet.
    peak_rss_mb: of the process with its runtime; null where the system does not say.
    round_ms: median of each round; round i of all rows of one measurement ran within the same moments.
    runtime to placement: what really computed, as the runtime says.

    The rest is missing in reports from before it was measured:
    delegated: share of the operators on the accelerator (of TFLite in the delegate); null where the runtime does not tell.
    attempts: how often all was measured because it was noisy; the quietest time is what the rows say.
    p50_low_ms to p99_high_ms: 95 % intervals; null where there are too few runs for one.
    cold_ms: from the start of a process to its first answer, median of `spawns` processes.
    preprocess_ms, postprocess_ms, whole_ms: medians of decoding and resizing one golden picture (`picture` says of what kind
    and size), of what follows the model, and of the whole call.
    warm_up_s, steady: untimed runs before, and whether they ended because two windows agreed within 2 %.
    energy_mj: of one run, of the whole processor package, idle consumption not subtracted.
    stolen, foreign: shares of the usable cores' time that a hypervisor and other processes took. ran_on: cores seen in use.
    golden_difference: largest difference of a golden output on this target, looked at before timing.
    yardstick_ms, yardstick: how long a fixed piece of work took beside each round, and what work: how quick the machine itself
    was. Empty where no Python ran.
    before, after: the machine then. cautions: what it says that disturbs, such as a phone's screen that is on.
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
    delegated: Share | None = None
    attempts: Positive = 1
    p50_low_ms: Amount | None = None
    p50_high_ms: Amount | None = None
    p90_low_ms: Amount | None = None
    p90_high_ms: Amount | None = None
    p99_low_ms: Amount | None = None
    p99_high_ms: Amount | None = None
    cold_ms: Amount | None = None
    spawns: Count = 0
    picture: str | None = None
    preprocess_ms: Amount | None = None
    postprocess_ms: Amount | None = None
    whole_ms: Amount | None = None
    warm_up_s: Amount | None = None
    steady: bool | None = None
    energy_mj: Amount | None = None
    stolen: Share | None = None
    foreign: Share | None = None
    ran_on: tuple[Count, ...] = ()
    golden_difference: Share | None = None
    before: Surroundings | None = None
    after: Surroundings | None = None
    cautions: tuple[str, ...] = ()
    yardstick: str = ""
    yardstick_ms: tuple[Amount, ...] = ()


@dataclass(frozen=True)
class Unmeasured:
    """A model or an artefact that has no row, and why, in one line.

    disagrees: it computes something else on that device. left_out: devices of that kind run no such files, or it could not be
    written for so many images at a time; nothing failed.
    """

    name: str
    target: str
    threads: Positive
    reason: str
    disagrees: bool
    left_out: bool = False


@dataclass(frozen=True)
class LatencyTable(Document):
    """Of the benchmark stage: what each target is, the rows of each model and artefact by its name, and what has none."""

    FILE: ClassVar[str] = "latency.json"

    targets: Mapping[str, Machine]
    rows: Mapping[str, tuple[Latency, ...]]
    unmeasured: tuple[Unmeasured, ...] = ()


def partitions(placement: str) -> int | None:
    """Into how many pieces a delegate took the graph, as `Latency.placement` says it; None where it does not."""
    found = _PARTITIONS.search(placement)
    return int(found[1]) if found else None
