"""How much of this process's cores others take: other programs, and other machines on the same hardware."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

from edgetl.runtime.cores import usable_cores

__all__ = ["SHARED", "OtherLoad", "Reading", "excess"]

SHARED = 0.25
"""Cores that are missing, from which on a machine counts as shared."""

_WORKING = ("user", "nice", "system", "irq", "softirq", "steal")
"""What psutil counts apart from idling; steal is what a hypervisor gave to others. Not every system has each of them."""


@dataclass(frozen=True)
class Reading:
    """Seconds on clocks that only run forward.

    wall: that pass. working: in which the usable cores did not idle, added up. own: that this process computed.
    """

    wall: float
    working: float
    own: float


class OtherLoad:
    """Says how many cores others used since the last look."""

    def __init__(self) -> None:
        self._before = _read()

    def cores(self) -> float:
        """Cores on average since the last look, the first one since this object was made; 0.0 up to all usable ones.

        The system counts in hundredths of a second: look every half second or less often.
        """
        now, before = _read(), self._before
        self._before = now
        passed = max(now.wall - before.wall, 1e-3)
        others = (now.working - before.working - (now.own - before.own)) / passed
        return min(max(others, 0.0), float(usable_cores()))


def excess(others: float, threads: int) -> float:
    """How many of the cores that `threads` of this process can use at once others take; negative where some are left."""
    cores = usable_cores()
    return others + min(threads, cores) - cores


def _read() -> Reading:
    every = psutil.cpu_times(percpu=True)
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(every))
    working = sum(getattr(every[core], kind, 0.0) for core in usable if core < len(every) for kind in _WORKING)
    return Reading(time.monotonic(), working, time.process_time())
