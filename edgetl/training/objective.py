"""What a training minimizes on a batch: the loss against labels, and what the teacher says of the same images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from edgetl.models.architecture import Network
from edgetl.tasks import classify
from edgetl.training.hints import heard, hint_loss
from edgetl.training.job import Distillation, Job
from edgetl.training.mixing import one_hot

Autocast = Callable[[], AbstractContextManager[Any]]
"""Mixed precision, around forward passes alone."""
Pairs = tuple[tuple[Tensor, Tensor], ...]
"""Feature maps of equal shape [B, C, H, W]: the student's projected one, and a teacher's; one for each teacher."""


class Losses(NamedTuple):
    """Scalars: what is minimized, the label loss, and the teacher's loss on the same images, hints included (0 without one)."""

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
            images: what it is given; with a teacher there may be more than labels, the last ones of which have none.
            labels: class indices int64, or shares of the classes float [..., C], of the first images.
        """
        distillation = self._distillation
        if distillation is None:
            with self._autocast():
                logits = network(images).float()
            label = self._label_loss(logits, labels)
            return Losses(label, label, torch.zeros_like(label))
        logits, targets, pairs = self._answers(network, images, distillation)
        label = self._label_loss(logits[: len(labels)], labels)
        distil = distillation.loss(logits, targets, distillation.temperature, _of_all(labels, targets))
        if distillation.hints is not None:
            distil = distil + distillation.hints.weight * hint_loss(pairs)
        return Losses(distillation.label_weight * label + distillation.weight * distil, label, distil)

    def _answers(
        self, network: torch.nn.Module, images: Tensor, distillation: Distillation
    ) -> tuple[Tensor, Tensor, Pairs]:
        """Logits of network and teacher, float32 [B, C], and the pairs of feature maps that the hints compare."""
        teacher, hints = distillation.teacher, distillation.hints
        # A tensor made in inference mode cannot take part in a backward pass; its copy can.
        if hints is None:
            with self._autocast():
                logits = network(images).float()
            with torch.inference_mode(), self._autocast():
                targets = teacher(images).float()
            return logits, targets.clone(), ()
        with torch.inference_mode(), self._autocast():
            targets, theirs = heard(teacher, images)
        with self._autocast():
            logits, ours = cast(Network, network).with_features(images)
            pairs = hints(ours, [features.clone() for features in theirs])
        return logits.float(), targets.float().clone(), pairs


def _of_all(labels: Tensor, targets: Tensor) -> Tensor:
    """The labels, and for the images after them the class that the teacher takes them for, in the same form.

    Args:
        labels: [L], or shares [L, C].
        targets: the teacher's logits [B, C], L <= B.
    """
    if len(labels) == len(targets):
        return labels
    taken_for = targets[len(labels) :].argmax(dim=1)
    return torch.cat([labels, taken_for if labels.ndim == 1 else one_hot(taken_for, targets.shape[1]).to(labels)])
