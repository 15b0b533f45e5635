"""What was measured of one worker, out of the times of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from .intervals import interval
from .surroundings import Surroundings
from .workers import Worker

Mode = Literal["quick", "full"]

SPREAD_LIMIT = 0.2
"""Noisy when the middle half of the runs spans more than this share of the median."""
DRIFT_LIMIT = 0.1
"""Noisy when the medians of the first and the last half of the rounds differ by more than this share of the median."""
STOLEN_LIMIT = 0.02
"""Noisy when a hypervisor gave more than this share of the usable cores' time to others."""
FOREIGN_LIMIT = 0.05
"""Noisy when other processes took more than this share of the usable cores' time: .09 of two moved medians by 5 to 9 %."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of one worker; times in ms of one call with `batch` images, memory in MB (10**6 bytes).

    noisy, noise: whether a limit was exceeded, and which; "" when quiet. attempts: how often everything was measured; the
        quietest is reported, for all workers the same.
    p50_low_ms to p99_high_ms: 95 % intervals (`intervals`); None where there are too few runs.
    first_ms: the first inference. load_ms: of the file, without the import of the runtime. cold_ms: from the start of a
        process to the answer of its first inference, median of `spawns` processes.
    preprocess_ms, postprocess_ms, whole_ms: medians of decoding and resizing a golden picture, of what follows the model,
        and of all three together; `picture` says what it is. None where the bundle is not beside the model.
    warm_up_s, steady: untimed runs before the first round, and whether they ended because two windows agreed.
    energy_mj: of one run, of the whole processor, what it takes idle included.
    stolen, foreign: shares of the usable cores' time; ran_on: cores that were seen under the main thread.
    golden_difference: largest difference of a golden output, None where none was looked at.
    cautions: what the device says that disturbs, such as a screen that is on.
    round_ms: median of each round; round i of all workers of one `measure` ran within the same moments.
    yardstick_ms: how long a fixed piece of work took beside each round, median; yardstick: what work that was (`yardstick`).
    described: runtime, version, compute_precision, accelerator, placement, as the worker says.
    delegated: share of the operators on the accelerator; None where nobody tells.
    """

    name: str
    mode: Mode
    batch: int
    threads: int
    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    first_ms: float
    load_ms: float
    peak_rss_mb: float | None
    noisy: bool
    noise: str
    round_ms: tuple[float, ...]
    described: dict[str, str]
    attempts: int = 1
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p90_low_ms: float | None = None
    p90_high_ms: float | None = None
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    cold_ms: float | None = None
    spawns: int = 0
    picture: str | None = None
    preprocess_ms: float | None = None
    postprocess_ms: float | None = None
    whole_ms: float | None = None
    warm_up_s: float | None = None
    steady: bool | None = None
    energy_mj: float | None = None
    stolen: float | None = None
    foreign: float | None = None
    ran_on: tuple[int, ...] = ()
    golden_difference: float | None = None
    before: Surroundings | None = None
    after: Surroundings | None = None
    cautions: tuple[str, ...] = ()
    delegated: float | None = None
    yardstick: str = ""
    yardstick_ms: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One flat object, `described` unpacked into it."""
        content = asdict(self)
        return {
            **content.pop("described"),
            **content,
            "round_ms": list(self.round_ms),
            "yardstick_ms": list(self.yardstick_ms),
            "ran_on": list(self.ran_on),
            "cautions": list(self.cautions),
        }


@dataclass
class Taken:
    """What one attempt took down of one worker."""

    rounds: list[list[float]] = field(default_factory=list)
    yardstick: str = ""
    yardsticks: list[float] = field(default_factory=list)
    """Medians beside the rounds."""
    warm_up_s: float = 0.0
    steady: bool = False
    around: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Measurement` that `states` found."""

    def noise(self) -> tuple[str, float]:
        """Which limits were exceeded, in words, and how far the runs vary, as a share of the median."""
        times, medians = np.concatenate(self.rounds), [float(np.median(turn)) for turn in self.rounds]
        low, middle, high = (float(value) for value in np.percentile(times, [25, 50, 75]))
        half = len(medians) // 2
        drift = abs(float(np.median(medians[half:]) - np.median(medians[:half]))) / middle if half else 0.0
        spread = (high - low) / middle
        before, after = self.around.get("before"), self.around.get("after")
        said = []
        if spread > SPREAD_LIMIT:
            said.append(f"the middle half of the runs spans {spread:.0%} of the median")
        if drift > DRIFT_LIMIT:
            said.append(f"the halves of the rounds differ by {drift:.0%} of the median")
        if (stolen := self.around.get("stolen") or 0.0) > STOLEN_LIMIT:
            said.append(f"the hypervisor took {stolen:.0%} of the cores")
        if (foreign := self.around.get("foreign") or 0.0) > FOREIGN_LIMIT:
            said.append(f"other processes took {foreign:.0%} of the cores")
        if before and after and (after.throttled or 0) > (before.throttled or 0):
            said.append("heat slowed the processor")
        return "; ".join(said), spread + drift


def summary(worker: Worker, mode: Mode, ready: Mapping[str, Any], taken: Taken, **more: Any) -> Measurement:
    """A measurement out of one attempt. more: the fields that no attempt changes."""
    times = np.concatenate(taken.rounds)
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    ends: dict[str, Any] = {}
    for percent in (50, 90, 99):
        low, high = interval(taken.rounds, percent) or (None, None)
        ends |= {f"p{percent}_low_ms": low, f"p{percent}_high_ms": high}
    noise, _ = taken.noise()
    own = ("ready", "load_ms", "first_ms", "cold_ms", "remote", "batch", "delegated")
    return Measurement(
        name=worker.name,
        mode=mode,
        batch=int(ready.get("batch", worker.batch)),
        threads=worker.threads,
        runs=len(times),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        first_ms=float(ready["first_ms"]),
        load_ms=float(ready["load_ms"]),
        noisy=bool(noise),
        noise=noise,
        round_ms=tuple(float(np.median(turn)) for turn in taken.rounds),
        described={key: str(value) for key, value in ready.items() if key not in own},
        warm_up_s=taken.warm_up_s,
        steady=taken.steady,
        yardstick=taken.yardstick,
        yardstick_ms=tuple(taken.yardsticks),
        delegated=ready.get("delegated"),
        **ends,
        **taken.around,
        **more,
    )
