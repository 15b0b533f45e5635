"""How much of this process's cores others take: other programs, and other machines on the same hardware."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil

__all__ = ["SHARED", "Contention", "OtherLoad", "core_numbers"]

SHARED = 0.5
"""Cores that others take from us, from which on a machine is shared.

A program that never pauses gets half a core or more from a thread that never does; what pauses often enough to stay below
disturbs little (a tenth to a third of a training's speed).
"""
_ALONE = 0.25
"""Cores below which a machine is not shared any more."""
_QUIET_LOOKS = 6
"""As many looks in a row must find it so: other programs pause too."""
_WORKING = ("user", "nice", "system", "irq", "softirq", "steal")
"""What psutil counts apart from idling; steal is what a hypervisor gave to others. Not every system has each of them."""


def core_numbers() -> frozenset[int]:
    """The cores that the calling thread may use; all of them where the system does not restrict threads."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


@dataclass(frozen=True)
class _Reading:
    """Seconds on clocks that only run forward: that passed, that this process computed, and that each core worked."""

    passed: float
    own: float
    worked: dict[int, float]


class OtherLoad:
    """Says how much others use the given cores."""

    def __init__(self, cores: Collection[int]) -> None:
        self._cores = cores
        self._before = self._read()

    def look(self, held: Collection[int]) -> dict[int, float]:
        """How much others used each core on average since the last look, the first one since this object was made.

        The sum is right; a single core's share holds where this process computed on the `held` cores alone, on each as
        much. The system counts in hundredths of a second: look every half second or less often.
        """
        now, before = self._read(), self._before
        self._before = now
        passed, own = max(now.passed - before.passed, 1e-3), (now.own - before.own) / len(held)
        return {
            core: (now.worked[core] - before.worked[core] - (own if core in held else 0.0)) / passed
            for core in self._cores
        }

    def _read(self) -> _Reading:
        every = psutil.cpu_times(percpu=True)
        # Cores are counted from 0 without those that are switched off: then the last ones are not seen.
        worked = {core: _worked(every[core]) if core < len(every) else 0.0 for core in self._cores}
        return _Reading(time.monotonic(), time.process_time(), worked)


def _worked(times: tuple[float, ...]) -> float:
    return sum(getattr(times, kind, 0.0) for kind in _WORKING)


class Contention:
    """Whether a machine is shared: at once when others take too much, no more after some quiet looks.

    threads: that want to compute, on so many cores.
    """

    def __init__(self, threads: int, cores: int) -> None:
        self._spare = cores - min(threads, cores)
        self._quiet, self._shared = 0, False

    def found(self, others: float) -> bool:
        """Take up how many cores others used since the last call; whether the machine is shared now."""
        taken = others - self._spare
        self._quiet = self._quiet + 1 if taken < _ALONE else 0
        self._shared = taken >= SHARED or (self._shared and self._quiet < _QUIET_LOOKS)
        return self._shared
