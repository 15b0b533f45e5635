"""What happened in the steps since somebody looked, written down on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from edgetl.training.objective import Losses

__all__ = ["Record"]

_NONE = -1


class Record:
    """Sums of losses, and the first step whose loss or gradient was not finite."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._bad = torch.full((), _NONE, dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)

    @torch.no_grad()
    def note(self, losses: Losses, norm: Tensor, index: Tensor) -> None:
        """Write a step down. norm: of the gradient; index: of the step in its epoch, int64; all on the device."""
        self._sums += torch.stack([losses.label, losses.distil]).detach()
        first = (self._bad == _NONE) & ~torch.isfinite(losses.total.detach() + norm)
        self._bad.copy_(torch.where(first, index, self._bad))
        self._loss.copy_(torch.where(first, losses.total.detach().double(), self._loss))

    def read(self) -> tuple[float, float, tuple[int, float] | None]:
        """Sums of label and distillation losses, and number and loss of the first bad step, since the last look.

        Waits for the device.
        """
        label, distil, bad, loss = torch.cat([self._sums, self._bad.double()[None], self._loss[None]]).tolist()
        self._sums.zero_()
        self._bad.fill_(_NONE)
        return label, distil, None if bad == _NONE else (int(bad), loss)

    def tensors(self) -> list[Tensor]:
        """What a step changes."""
        return [self._sums, self._bad, self._loss]
