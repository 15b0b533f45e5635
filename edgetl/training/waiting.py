"""How the threads of a training wait for each other on a machine that is shared.

PyTorch's threads meet after every operator, thousands of times a second. Who comes first waits, and GNU's OpenMP waits by
spinning for some milliseconds. On cores of its own nothing is quicker. Where another program takes a core, the spinning
thread keeps the one that it waits for from computing, and a training falls to a few hundredths of its speed. Sleeping at
once instead loses little there, but a fifth or more of the speed of an undisturbed machine. So neither is right for both:
`Waiting` looks at what others use, and switches.

The switch changes no bit, can be thrown in the middle of a step, and needs no setting from before torch was loaded: GNU's
OpenMP spins 100 times instead of 300,000 while there are more of its threads than cores
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html). So another team of threads is started, and left idle.
Fewer threads do hardly better beside one busy program (`benchmarks/shared_machine.py`), and would give another network.

With another OpenMP (Intel's, LLVM's) the idle team changes nothing; that the machine is shared is said all the same.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import torch

from edgetl.console.progress import Progress
from edgetl.runtime.cores import usable_cores
from edgetl.training.contention import SHARED, OtherLoad, excess

__all__ = ["Noting", "Sharing", "Waiting", "sleeping"]

_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Who sets one of these has decided how threads wait."""
_LOOK_SECONDS = 0.5
_ALONE = 0.1
"""Missing cores below which a machine is not shared any more."""
_QUIET_LOOKS = 6
"""As many looks in a row must find it so: other programs pause too."""
_PARALLEL = 2**17
"""Elements that PyTorch fills with several threads, not with one."""


@contextmanager
def sleeping(threads: int) -> Iterator[None]:
    """While the block runs, the OpenMP threads of this process sleep soon after they begin to wait.

    threads: of the team that computes, at least 2. Each further team adds one less to what OpenMP counts; as many are
    started as bring the count above the number of cores.
    """
    teams = max(0, (usable_cores() - threads) // (threads - 1) + 1)
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


class Sharing:
    """Whether a machine counts as shared: at once when others leave too few cores, no more after some quiet looks.

    threads: that want to compute.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._quiet, self._shared = threads, 0, False

    def judge(self, others: float) -> bool:
        """Take up how many cores others used since the last call; whether the machine is shared now."""
        missing = excess(others, self._threads)
        self._quiet = self._quiet + 1 if missing < _ALONE else 0
        self._shared = missing >= SHARED or (self._shared and self._quiet < _QUIET_LOOKS)
        return self._shared


class Waiting:
    """While the block runs, looks who else uses the cores, and lets the threads wait accordingly.

    threads: that compute; a single one waits for nobody, and nothing is switched.

    Attributes:
        others: cores that others use on a shared machine, None on one that is not; changes between any two looks at it.
    """

    def __init__(self, threads: int) -> None:
        self.others: float | None = None
        self._threads = threads
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="edgetl-waiting", daemon=True)

    def __enter__(self) -> Waiting:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watch.join()

    def _look(self) -> None:
        sharing, asleep = Sharing(self._threads), False
        switches = self._threads > 1 and not any(os.environ.get(name) for name in _SETTINGS)
        with contextlib.suppress(OSError), ExitStack() as teams:  # a system that does not tell is taken for undisturbed
            load = OtherLoad()
            while not self._ended.wait(_LOOK_SECONDS):
                others = load.cores()
                self.others = others if sharing.judge(others) else None
                if self.others is None:
                    teams.close()
                    asleep = False
                elif switches and not asleep:
                    teams.enter_context(sleeping(self._threads))
                    asleep = True


class Noting:
    """The same progress, whose steps also say that the machine is shared, and with a `shared` event when that changes."""

    def __init__(self, progress: Progress, waiting: Waiting) -> None:
        self._progress, self._waiting, self._shared = progress, waiting, False
        self.say, self.warn, self.event, self.stage = progress.say, progress.warn, progress.event, progress.stage

    def advance(self, label: str, done: int, total: int) -> None:
        """Pass the step on, with what there is to say."""
        others = self._waiting.others
        if self._shared != (others is not None):
            self._shared = others is not None
            self._progress.event("shared", shared=self._shared, others=others, cores=usable_cores())
        note = "" if others is None else f", others use {others:.1f} of {usable_cores()} cores"
        self._progress.advance(label + note, done, total)
