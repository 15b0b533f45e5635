"""All that the next step of a training needs: what a checkpoint holds, and how it is taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgetl.training.checkpoint_schedule import SoFar
from edgetl.training.checkpoints import Snapshot, optimizer_tensors, restore_optimizer
from edgetl.training.ema import WeightAverage
from edgetl.training.threads import ThreadCount

_LOGITS = "logits"


@dataclass(frozen=True)
class Validated:
    """A network after an epoch: its weights by name, and what it says of the validation images, float32 [V, C]."""

    weights: dict[str, Tensor]
    logits: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a checkpoint."""
        return {f"network.{name}": value for name, value in self.weights.items()} | {_LOGITS: self.logits}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Validated:
        """What `tensors` gave."""
        return cls(_under("network.", tensors), tensors[_LOGITS])


@dataclass
class State:
    """The parts of a run that change with every step.

    average: None where the recipe wants none.
    scaler: of gradients, with fp16 alone.
    so_far: how far the epoch is.
    threads: that compute it; they decide the bits. Generators are no part of it: every step is seeded by its number.
    logits: of the judged network on the validation images, float32 [V, C], when it was last validated; None before.
    hints: what is learned beside the network and does not ship; None where nothing is.
    """

    network: nn.Module
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    scaler: Any
    so_far: SoFar
    threads: ThreadCount
    logits: Tensor | None = None
    hints: nn.Module | None = None

    def parameters(self) -> list[nn.Parameter]:
        """All that the optimizer learns: the network's, then those of the hints."""
        return [*self.network.parameters(), *(self.hints.parameters() if self.hints is not None else ())]

    def judged(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.network if self.average is None else self.average.network

    def validated(self) -> Validated:
        """The judged network as it was just validated."""
        assert self.logits is not None
        return Validated(self.judged().state_dict(), self.logits)

    def tensors(self) -> dict[str, Tensor]:
        """By name."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.network.state_dict().items()}
        if self.hints is not None:
            tensors |= {f"hints.{name}": value for name, value in self.hints.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        return tensors if self.logits is None else tensors | {_LOGITS: self.logits}

    def counters(self) -> dict[str, Any]:
        """What is not a tensor, as JSON."""
        return {
            "updates": 0 if self.average is None else self.average.updates,
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "so_far": asdict(self.so_far),
            "threads": asdict(self.threads),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take up what a checkpoint holds."""
        self.network.load_state_dict(_under("network.", snapshot.tensors))
        restore_optimizer(self.optimizer, _under("optimizer.", snapshot.tensors))
        if self.average is not None:
            self.average.network.load_state_dict(_under("average.", snapshot.tensors))
            self.average.updates = snapshot.notes["updates"]
        if self.hints is not None:
            self.hints.load_state_dict(_under("hints.", snapshot.tensors))
        self.logits = snapshot.tensors.get(_LOGITS)
        if self.scaler is not None and snapshot.notes["scaler"] is not None:
            self.scaler.load_state_dict(snapshot.notes["scaler"])
        if "so_far" in snapshot.notes:
            self.so_far = SoFar(**snapshot.notes["so_far"])
        if "threads" in snapshot.notes:
            self.threads = ThreadCount(**snapshot.notes["threads"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
