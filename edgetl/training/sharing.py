"""A training that shares its machine: looks who else uses the cores, and yields while somebody does (`yielding`)."""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import ExitStack
from types import TracebackType

from edgetl.console.progress import Progress
from edgetl.training.contention import Contention, OtherLoad
from edgetl.training.yielding import SETTINGS, Placement, cores_left, sleeping

__all__ = ["Noting", "Sharing"]

_LOOK_SECONDS = 0.5


class Sharing:
    """While the block runs, looks who else uses the cores, and yields while the machine is shared.

    threads: that compute; a single one waits for nobody, and need not yield.

    Attributes:
        cores: how many this training may use.
        others: how many cores others use on a shared machine; None on one that is not. Another thread sets it.
    """

    def __init__(self, threads: int) -> None:
        self._placement = Placement()
        self.cores = len(self._placement.all)
        self.others: float | None = None
        self._threads = threads
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="edgetl-sharing", daemon=True)

    def __enter__(self) -> Sharing:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._watch.join()

    def _look(self) -> None:
        contention = Contention(self._threads, self.cores)
        yields = self._threads > 1 and not any(os.environ.get(name) for name in SETTINGS)
        # Where the system tells nothing, or does not let threads be placed, the training goes on as on a machine of its own.
        with contextlib.suppress(OSError), ExitStack() as yielding:
            load, yielded = OtherLoad(self._placement.all), False
            while not self._ended.wait(_LOOK_SECONDS):
                by_core = load.look(self._placement.held)
                others = max(0.0, sum(by_core.values()))
                self.others = others if contention.found(others) else None
                if self.others is None:
                    yielding.close()
                    yielded = False
                elif yields:
                    if not yielded:
                        yielding.enter_context(sleeping(self._threads, self.cores))
                        yielding.callback(self._placement.release)
                        yielded = True
                    self._placement.keep_to(cores_left(by_core, self._placement.held))
        self.others = None  # nobody looks any more, so nothing is known any more


class Noting:
    """The same progress, whose steps also say that the machine is shared, and with a `shared` event when that changes."""

    def __init__(self, progress: Progress, sharing: Sharing) -> None:
        self._progress, self._sharing, self._shared = progress, sharing, False
        self.say, self.warn, self.event, self.stage = progress.say, progress.warn, progress.event, progress.stage

    def advance(self, label: str, done: int, total: int) -> None:
        """Pass the step on, with what there is to say."""
        others, cores = self._sharing.others, self._sharing.cores
        if self._shared != (others is not None):
            self._shared = others is not None
            self._progress.event("shared", shared=self._shared, others=others, cores=cores)
        note = "" if others is None else f", others use {others:.1f} of {cores} cores"
        self._progress.advance(label + note, done, total)
