"""How threads that compute together get out of the way of other programs, without a change of any bit.

PyTorch's threads meet after every operator, thousands of times a second. Who comes first waits, and GNU's OpenMP waits by
spinning for some milliseconds. On cores of its own nothing is quicker. Where another program takes a core, the system lets
a spinning thread and the one that it waits for take turns on the other, and a training falls to a few hundredths of its
speed. Two things help together, and both can be switched in the middle of a step:

- threads sleep as soon as they wait. GNU's OpenMP spins 100 times instead of 300,000 while there are more of its threads
  than cores (https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html): another team, left idle, makes them more;
- all threads keep to the cores that others leave. Else each operator waits for a thread that waits for the other program.

As many threads as before then take turns on fewer cores, nearly as quickly as fewer threads would compute, which would give
another network (`benchmarks/shared_machine.py`). With another OpenMP (Intel's, LLVM's) the idle team changes nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from edgetl.training.contention import core_numbers

__all__ = ["SETTINGS", "Placement", "cores_left", "sleeping"]

SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")
"""Who sets one of these has decided how threads wait, or where they run."""
_TASKS = Path("/proc/self/task")
_PARALLEL = 2**17
"""Elements that PyTorch fills with several threads, not with one."""
_SLACK = 0.25
"""Of every further core others may use so much without its being left to them."""
_WORTH_MOVING = 0.3
"""By so many cores others must use another core less before we go there."""


@contextmanager
def sleeping(threads: int, cores: int) -> Iterator[None]:
    """While the block runs, the OpenMP threads of this process sleep soon after they begin to wait.

    threads: of the team that computes, at least 2. Each further team adds one less to what OpenMP counts; as many are
    started as bring the count above the number of cores.
    """
    teams = max(0, (cores - threads) // (threads - 1) + 1)
    ended = threading.Event()

    def lead() -> None:
        torch.empty(_PARALLEL).fill_(0.0)
        ended.wait()  # a team lives as long as the thread that began it

    leaders = [threading.Thread(target=lead, name="edgetl-idle-team", daemon=True) for _ in range(teams)]
    for leader in leaders:
        leader.start()
    try:
        yield
    finally:
        ended.set()
        for leader in leaders:
            leader.join()


def cores_left(others: Mapping[int, float], held: Collection[int]) -> frozenset[int]:
    """The cores to keep to: as many as others leave, at least one, and those that they use least.

    others: how much they use each core. held: the cores that we keep to now, which we leave only for clearly better ones;
        they stay while others use none, who may only pause.
    """
    taken = math.ceil(sum(others.values()) - _SLACK)
    if taken <= 0:
        return frozenset(held)
    ranked = sorted(others, key=lambda core: others[core] - (_WORTH_MOVING if core in held else 0.0))
    return frozenset(ranked[: max(1, len(others) - taken)])


class Placement:
    """Keeps all threads of this process to some cores, and gives each back the cores that it had.

    Where the system does not let threads be placed (all but Linux), nothing is done.

    Attributes:
        all: the cores that the thread which made this object may use.
        held: those that threads keep to now.
    """

    def __init__(self) -> None:
        self.all = self.held = core_numbers()
        self._before: dict[int, set[int]] = {}

    def keep_to(self, cores: frozenset[int]) -> None:
        """Place every thread; call it again for those that began since."""
        if not self._before:
            self._before = {thread: os.sched_getaffinity(thread) for thread in _threads()}
        for thread in _threads():
            _place(thread, cores)
        self.held = cores

    def release(self) -> None:
        """Give the cores back; threads that began meanwhile get all."""
        released: set[int] = set()
        while self._before and (left := set(_threads()) - released):  # one that is not yet released may begin another
            for thread in left:
                _place(thread, self._before.get(thread, self.all))
            released |= left
        self._before, self.held = {}, self.all


def _threads() -> list[int]:
    """Of this process; none where the system does not list them."""
    return [int(entry.name) for entry in _TASKS.iterdir()] if _TASKS.is_dir() else []


def _place(thread: int, cores: Collection[int]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.sched_setaffinity(thread, cores)
