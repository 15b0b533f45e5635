"""One optimizer step: the losses of a batch, their gradients over all processes, and a look at whether they are finite."""

from __future__ import annotations

import math

import numpy as np
import torch
from accelerate import Accelerator

from edgetl.training.batches import Batch, as_input
from edgetl.training.diagnostics import diverged, named, naming_memory
from edgetl.training.distributed import Processes
from edgetl.training.job import Job
from edgetl.training.mixing import mixed
from edgetl.training.objective import Losses, Objective
from edgetl.training.optimizer import set_learning_rate
from edgetl.training.state import State

CLIP_NORM = 5.0


class Step:
    """Steps of one job; each changes `state`, and depends on it, the job and the step's number alone."""

    def __init__(self, job: Job, state: State, accelerator: Accelerator, processes: Processes) -> None:
        self._job, self._state, self._accelerator, self._processes = job, state, accelerator, processes
        # The network itself is not prepared: gradients are averaged by edgetl.training.distributed, and autocast belongs
        # around the training's forward pass alone, not around that of the validation.
        self._optimizer = accelerator.prepare_optimizer(state.optimizer)
        self._objective = Objective(job, accelerator.device, accelerator.autocast)

    def __call__(self, batch: Batch, epoch: int, index: int, rate: float) -> tuple[float, float]:
        """Learn from a batch; its label loss, and its distillation loss (0.0 without a teacher).

        Args:
            batch: this process's share.
            epoch: counted from 1.
            index: of the batch in its epoch, from 0.
            rate: the learning rate, before the factors of the layers.
        """
        job, network, processes = self._job, self._state.network, self._processes
        parameters = self._state.parameters()
        set_learning_rate(self._state.optimizer, rate)
        seed_generators(job.seed, epoch, index, processes.index, self._accelerator.device)
        # Shares of a batch may differ by one image: weighed like this, their mean is that of the whole batch.
        share = len(batch.rows) * processes.count / job.batch_size
        with processes.together(), naming_memory(job.label, lambda: named(epoch, index, batch, job.data)):
            losses = self._losses(batch, epoch, index)
            self._accelerator.backward(losses.total * share)
        processes.average([p.grad for p in parameters if p.grad is not None])
        norm = self._accelerator.clip_grad_norm_(parameters, CLIP_NORM)
        # One look at the device for all numbers: each look waits for its last kernel.
        shares = torch.stack(losses).detach() * share
        ours: list[float] = torch.cat([shares, norm.detach().reshape(1).to(shares)]).tolist()
        total, label_loss, distil_loss, total_norm = processes.mean(ours)
        if not (math.isfinite(total) and math.isfinite(total_norm)):
            self._explain(batch, epoch, index, ours[0], total)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._state.average is not None:
            self._state.average.update(network)
        return label_loss, distil_loss

    def _losses(self, batch: Batch, epoch: int, index: int) -> Losses:
        job, device = self._job, self._accelerator.device
        images, labels = as_input(batch.images, device), torch.from_numpy(batch.labels).to(device)
        images, labels = mixed(images, labels, job.data.classes, job.settings, job.seed, epoch, index)
        if batch.unlabelled is not None:
            images = torch.cat([images, as_input(batch.unlabelled, device)])
        return self._objective(self._state.network, images, labels)

    def _explain(self, batch: Batch, epoch: int, index: int, ours: float, total: float) -> None:
        """Raise for a loss (of this process, over all) or a gradient that is not finite, naming its images.

        An infinite gradient alone may be an overflow, which the gradient scaler answers by skipping the step. It halves its
        scale each time. At one there is nothing left to overflow: the gradient itself is infinite.
        """
        job, processes, scaler = self._job, self._processes, self._accelerator.scaler
        if not math.isfinite(total):
            with processes.together():
                if not math.isfinite(ours):
                    raise diverged(job.label, epoch, index, batch.rows, job.data, ours)
        if scaler is None or scaler.get_scale() <= 1:
            with processes.together():  # whose gradient it was cannot be told once they are averaged
                rows = np.concatenate(processes.gathered(batch.rows))
                raise diverged(job.label, epoch, index, rows, job.data, total)


def seed_generators(seed: int, epoch: int, index: int, process: int, device: torch.device) -> None:
    """Dropout and stochastic depth draw from PyTorch's generators: seed them by the step, so none has a history."""
    words = np.random.SeedSequence((seed, epoch, index, 0, process)).generate_state(1)
    torch.default_generator.manual_seed(int(words[0]))
    if device.type == "cuda":
        torch.cuda.manual_seed(int(words[0]))
