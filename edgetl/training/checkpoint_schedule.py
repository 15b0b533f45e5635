"""How far an epoch is, and when that is worth a checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass

SAVE_SECONDS = 45.0
"""Between two checkpoints within an epoch."""
_LARGEST_SHARE = 0.01
_SAVES = 20


@dataclass
class SoFar:
    """What an epoch has until now: JSON in a checkpoint.

    batches: how many are done; label_loss, distil_loss: summed over them.
    seconds: of training, those before a stop included; data_wait_seconds: of them without a batch to train on.
    """

    epoch: int
    batches: int = 0
    label_loss: float = 0.0
    distil_loss: float = 0.0
    seconds: float = 0.0
    data_wait_seconds: float = 0.0


class CheckpointSchedule:
    """Says when to save: every SAVE_SECONDS, and less often where saving takes long, so that it costs a hundredth."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._took = 0.0

    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._last >= max(SAVE_SECONDS, self._took / _LARGEST_SHARE)

    def worth_it(self) -> bool:
        """Whether what would be lost since the last save takes longer than some saves do."""
        return time.monotonic() - self._last >= _SAVES * self._took

    def saved(self, began: float) -> None:
        """Note a checkpoint that is now finished and was begun at `began` (time.monotonic)."""
        self._last = time.monotonic()
        self._took = self._last - began
