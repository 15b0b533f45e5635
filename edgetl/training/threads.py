"""How many threads compute a training.

Their number decides in which order sums are added, and so the bits of the network. It is what PyTorch takes by itself, or
what a person set, and never follows the load of the machine: a recipe gives the same network on an idle machine and on a
busy one (what the load changes is how the threads wait and where they run, see `yielding`). A checkpoint keeps the number,
and a training that is taken up where PyTorch would now take another one (fewer cores in a container, say) goes on with
that of the checkpoint. A person's own setting wins over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from edgetl.runtime.cores import usable_cores

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class ThreadCount:
    """JSON in a checkpoint.

    count: threads; source: why so many, such as "OMP_NUM_THREADS=1", or "8 cores" where PyTorch chose.
    """

    count: int
    source: str

    @classmethod
    def now(cls) -> ThreadCount:
        """What a training that begins now computes with."""
        settings = [f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name)]
        return cls(torch.get_num_threads(), " ".join(settings) or f"{usable_cores()} cores")

    def to_go_on_with(self) -> ThreadCount:
        """What a training that was begun with this one is taken up with.

        Where neither a variable is set nor the cores are others, PyTorch chooses what it chose before: another number was
        set by `torch.set_num_threads`, and is a person's wish like a variable.
        """
        now = ThreadCount.now()
        chosen = any(os.environ.get(name) for name in _VARIABLES) or now.source == self.source
        return now if chosen else self

    @contextmanager
    def used(self) -> Iterator[None]:
        """Compute with that many threads in the block, and with as many as before after it."""
        before = torch.get_num_threads()
        if before == self.count:
            yield
            return
        torch.set_num_threads(self.count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
