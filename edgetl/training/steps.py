"""The steps of an epoch, one after another: what a training goes through, however they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from edgetl.training.batches import Pictures, Prefetched, epoch_batches
from edgetl.training.job import Job
from edgetl.training.step import Step

__all__ = ["HostSteps", "Rate", "Steps"]

Rate = Callable[[int], float]
"""Learning rate by the batch of an epoch, before the factors of the layers."""


class Steps(Protocol):
    """Learns from the batches of a job.

    pictures: what validation reads, by the rows of the job's data.
    waited: seconds for which the steps of this epoch had to wait for their batches.
    note: what a person should know of how they are computed; empty where there is nothing.
    """

    pictures: Pictures
    waited: float
    note: str

    def epoch(self, epoch: int, start: int, size: tuple[int, int] | None, rate: Rate) -> Iterator[tuple[float, float]]:
        """Take the steps of an epoch, each when it is asked for; label loss and distillation loss of each, zeros where they
        are not known yet.

        Args:
            epoch: counted from 1.
            start: the batch to begin with.
            size: (height, width) that pictures are made smaller to; None leaves them as they are.
            rate: of every step.
        """

    def settle(self) -> tuple[float, float]:
        """Wait for all steps that were taken: sums of the losses that were not yet told.

        Raises TrainingDiverged where one of them was not finite, naming its images.
        """

    def release(self) -> None:
        """Let go of what holds the network in its place."""


class HostSteps:
    """Batches are prepared on the host, and every step is looked at before the next one begins."""

    def __init__(self, job: Job, step: Step, share: tuple[int, int] = (0, 1)) -> None:
        """`share`: (index, of) of each batch for this process."""
        self.pictures, self.waited, self.note = job.data.images, 0.0, ""
        self._job, self._step, self._share = job, step, share

    def epoch(self, epoch: int, start: int, size: tuple[int, int] | None, rate: Rate) -> Iterator[tuple[float, float]]:
        """See `Steps`."""
        job = self._job
        batches = Prefetched(epoch_batches(job.data, job.batch_size, job.seed, epoch, start, self._share, size))
        for index, batch in enumerate(batches, start):
            losses = self._step(batch, epoch, index, rate(index))
            self.waited = batches.waited
            yield losses

    def settle(self) -> tuple[float, float]:
        """See `Steps`."""
        return 0.0, 0.0

    def release(self) -> None:
        """See `Steps`."""
