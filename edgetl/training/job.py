"""What one training is: everything that decides its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from edgetl.config.training import Training
from edgetl.training.batches import TrainingData, batch_size_for
from edgetl.training.hints import Hints
from edgetl.training.losses import DistilLoss
from edgetl.training.plan import Plan, plan
from edgetl.training.schedules import small_epochs, small_side

History = Sequence[Mapping[str, float]]
"""Numbers of each epoch, from the first; `val_...` only of those that were validated."""


@dataclass(frozen=True)
class Distillation:
    """Labels and teacher: label_weight * label loss + weight * (loss of the logits + hints.weight * hints), on the same crop.

    hints: learned with the network, so that those of one training are of no other; None for logits alone.
    """

    teacher: nn.Module
    loss: DistilLoss
    weight: float
    temperature: float
    label_weight: float = 1.0
    hints: Hints | None = None


@dataclass(frozen=True)
class Job:
    """One training; `loop.fit` says what its arguments are."""

    network: nn.Module
    data: TrainingData
    settings: Training
    distillation: Distillation | None
    seed: int
    label: str

    def __post_init__(self) -> None:
        unlabelled = self.data.unlabelled
        if unlabelled is not None and (self.distillation is None or not unlabelled.shape[0]):
            # Nobody says anything of them, or there are none.
            object.__setattr__(self, "data", replace(self.data, unlabelled=None))

    @property
    def batch_size(self) -> int:
        """Images of a batch, those of all processes together."""
        return batch_size_for(self.data, self.settings.batch_size)

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return len(self.data.train) // self.batch_size

    @property
    def epochs(self) -> int:
        """How many are planned."""
        assert self.settings.epochs is not None, "whoever knows data and weights says how many epochs they need"
        return self.settings.epochs

    def plan(self, history: History) -> Plan:
        """How far it goes, after these epochs."""
        scores = [(int(entry["epoch"]), entry["val_score"]) for entry in history if "val_score" in entry]
        return plan(scores, self.epochs, self.settings.patience, self.settings.freeze_epochs)

    def learning_rate(self, epoch: int, batch: int, plan: Plan) -> float:
        """Of a step, before the factors of the layers; epochs count from 1, batches from 0."""
        warmup = round(self.settings.warmup_epochs * self.batches)
        return self.settings.learning_rate * plan.rate(epoch, batch, self.batches, warmup)

    def size(self, epoch: int, plan: Plan) -> tuple[int, int] | None:
        """(height, width) of an epoch's pictures where they are smaller than those that there are."""
        if plan.cools(epoch) or epoch > small_epochs(self.settings.progressive, self.epochs):
            return None
        height, width = self.data.images.shape[1:3]
        return small_side(height), small_side(width)

    def freezes(self, epoch: int) -> bool:
        """Whether the backbone stays as it is in this epoch, its BatchNorm included."""
        return epoch <= self.settings.freeze_epochs

    def identity(self) -> str:
        """What a checkpoint must agree on to be taken up: settings, seed, loss, data and the network's shape."""
        distillation = self.distillation
        parts: list[object] = [self.settings.model_dump_json(), self.seed]
        if distillation is not None:
            parts += [getattr(distillation.loss, "__name__", ""), distillation.weight, distillation.temperature]
            parts += [distillation.label_weight]
            if (hints := distillation.hints) is not None:
                parts += [hints.weight, [tuple(value.shape) for value in hints.parameters()]]
        parts += [(name, tuple(value.shape)) for name, value in self.network.state_dict().items()]
        digest = hashlib.sha256(repr(parts).encode())
        if self.data.unlabelled is not None:
            digest.update(repr(self.data.unlabelled.shape).encode())
        for array in (self.data.labels, self.data.train, self.data.val):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
