"""How far a training goes and which of its epochs are validated: pure functions of the history, which is in the checkpoint.

A run that is taken up again plans what it would have planned without the stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.training.schedules import cooled, warmup_cosine

__all__ = ["Plan", "plan"]

_COOLDOWN = 5
"""A cooldown takes a fifth of the epochs before it."""
_LOOKS = 20
"""About so many validations are spread over a long training, before its last fifth."""


@dataclass(frozen=True)
class Plan:
    """Epochs, counted from 1.

    planned: how many were wanted.
    cools_after: the epoch after which the learning rate comes down to zero; None as long as it follows its cosine.
    """

    planned: int
    cools_after: int | None = None

    @property
    def end(self) -> int:
        """The last epoch."""
        return self.planned if self.cools_after is None else self.cools_after + _cooldown(self.cools_after)

    def cools(self, epoch: int) -> bool:
        """Whether the epoch belongs to a cooldown."""
        return self.cools_after is not None and epoch > self.cools_after

    def validates(self, epoch: int) -> bool:
        """Whether the network is validated after an epoch.

        A validation costs what it costs, however little an epoch teaches. Early in a long training it only says that the
        network still learns; each of the last epochs may be the one to keep.
        """
        every = -(-self.planned // _LOOKS)  # rounded up: 1 for up to 20 epochs
        return self.cools(epoch) or epoch % every == 0 or 5 * epoch > 4 * self.planned

    def rate(self, epoch: int, batch: int, batches: int, warmup: int) -> float:
        """Factor of the peak learning rate, in (0, 1].

        Args:
            epoch: up to `end`.
            batch: of the epoch, from 0.
            batches: of each epoch.
            warmup: steps until the peak.
        """
        step, steps = (epoch - 1) * batches + batch, self.planned * batches
        if self.cools_after is None or epoch <= self.cools_after:
            return warmup_cosine(step, steps, warmup)
        start = self.cools_after * batches
        return warmup_cosine(start, steps, warmup) * cooled(step - start, _cooldown(self.cools_after) * batches)


def plan(scores: Sequence[tuple[int, float]], planned: int, patience: int | None, frozen: int = 0) -> Plan:
    """What a training does from here on.

    A training that has not become better for `patience` epochs cools down; cut off there, at a high learning rate, it would
    be worse than one that was never meant to be longer. Where the cooldown would not end before the last planned epoch,
    the cosine is left to come down by itself.

    Args:
        scores: (epoch, score on validation) of the validated epochs so far, in their order. What comes after the
            beginning of a cooldown does not change it.
        planned: epochs wanted.
        patience: None goes to the planned end.
        frozen: epochs in which most of the network is held; waiting begins after them.
    """
    best, best_epoch = float("-inf"), 0
    for epoch, score in scores if patience is not None else ():
        if score > best:
            best, best_epoch = score, epoch
        waited = epoch - max(best_epoch, frozen)
        if patience is not None and waited >= patience and epoch + _cooldown(epoch) < planned:
            return Plan(planned, epoch)
    return Plan(planned)


def _cooldown(epochs: int) -> int:
    """How many epochs a cooldown takes after so many."""
    return max(1, epochs // _COOLDOWN)
