"""What a training minimizes on a batch: the loss against labels, and what the teacher says of the same images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from edgetl.tasks import classify
from edgetl.training.job import Job

Autocast = Callable[[], AbstractContextManager[Any]]
"""Mixed precision, around forward passes alone."""


class Losses(NamedTuple):
    """Scalars: what is minimized, the label loss, and the teacher's loss on the same images (0 without one)."""

    total: Tensor
    label: Tensor
    distil: Tensor


class Objective:
    """The losses of one job, for batches that lie on `device`. Nothing in them looks at a number of the device."""

    def __init__(self, job: Job, device: torch.device, autocast: Autocast) -> None:
        settings = job.settings
        self._distillation, self._autocast = job.distillation, autocast
        self._label_loss = classify.label_loss(
            settings.imbalance, job.data.counts(), settings.label_smoothing, device=device
        )

    def __call__(self, network: torch.nn.Module, images: Tensor, labels: Tensor) -> Losses:
        """Of a batch.

        Args:
            network: float [B, 3, H, W] in [-1, 1) -> logits [B, C].
            images: what it is given.
            labels: class indices int64 [B], or shares of the classes float [B, C].
        """
        with self._autocast():
            logits = network(images).float()
        label = self._label_loss(logits, labels)
        distillation = self._distillation
        if distillation is None:
            return Losses(label, label, torch.zeros_like(label))
        with torch.inference_mode(), self._autocast():
            targets = distillation.teacher(images).float()
        # A tensor made in inference mode cannot take part in a backward pass; its copy can.
        distil = distillation.loss(logits, targets.clone(), distillation.temperature, labels)
        return Losses(label + distillation.weight * distil, label, distil)
