"""The moving parts of one training run: network, average, optimizer, teacher, and one epoch over them."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edgetl.config.recipe import Training
from edgetl.console.progress import Progress
from edgetl.tasks import classify
from edgetl.training.accelerator import processes_of
from edgetl.training.batches import (
    Batch,
    Prefetched,
    TrainingData,
    as_input,
    batch_size_for,
    epoch_batches,
    plain_batches,
)
from edgetl.training.checkpoint_schedule import CheckpointSchedule, SoFar
from edgetl.training.checkpoints import Snapshot
from edgetl.training.diagnostics import diverged, diverged_outputs, named, naming_memory
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.interrupts import held_back
from edgetl.training.losses import DistilLoss
from edgetl.training.mixing import mixed
from edgetl.training.optimizer import adamw, hold_backbone, set_learning_rate
from edgetl.training.schedules import warmup_cosine
from edgetl.training.state import State
from edgetl.training.validation import validation_logits

RECALIBRATION_IMAGES = 1000
_CLIP_NORM = 5.0


@dataclass(frozen=True)
class Distillation:
    """The teacher's part of the loss: label loss + weight * loss(student, teacher, temperature), on the same crop."""

    teacher: nn.Module
    loss: DistilLoss
    weight: float
    temperature: float


class Run:
    """The moving parts of one training run.

    Attributes:
        processes: those that train together.
        state: what a checkpoint holds.
    """

    def __init__(
        self,
        network: nn.Module,
        data: TrainingData,
        settings: Training,
        distillation: Distillation | None,
        seed: int,
        accelerator: Accelerator,
        progress: Progress,
        label: str,
    ) -> None:
        self._data, self._settings, self._distillation, self._seed = data, settings, distillation, seed
        self._accelerator, self._progress, self._label = accelerator, progress, label
        self._network = network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = WeightAverage(self._network, settings.ema) if settings.ema > 0 else None
        self.state = State(self._network, average, adamw(self._network, settings), accelerator.scaler, SoFar(epoch=1))
        # The network itself is not prepared: gradients are averaged by edgetl.training.distributed, and autocast belongs
        # around the training's forward pass alone, not around that of the validation.
        self._optimizer = accelerator.prepare_optimizer(self.state.optimizer)
        if distillation is not None:
            distillation.teacher.to(accelerator.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._label_loss = classify.label_loss(settings.imbalance, data.counts(), settings.label_smoothing)
        self._batch_size = batch_size_for(data, settings.batch_size)
        self._batches = len(data.train) // self._batch_size
        self.processes = processes_of(accelerator, self._batch_size, len(data.val))

    def identity(self) -> str:
        """What a checkpoint must agree on to be taken up: settings, seed, loss, data and the network's shape."""
        distillation = self._distillation
        parts: list[object] = [self._settings.model_dump_json(), self._seed]
        if distillation is not None:
            parts += [getattr(distillation.loss, "__name__", ""), distillation.weight, distillation.temperature]
        parts += [(name, tuple(value.shape)) for name, value in self._network.state_dict().items()]
        digest = hashlib.sha256(repr(parts).encode())
        for array in (self._data.labels, self._data.train, self._data.val):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def epoch(self, epoch: int, keep: Callable[[], None], pace: CheckpointSchedule) -> dict[str, float]:
        """Train one epoch, or what is left of it, and validate; its numbers.

        Args:
            epoch: counted from 1.
            keep: saves the state; called between two steps when `pace` says so, and on Ctrl-C.
            pace: when to save.
        """
        if self.state.so_far.epoch != epoch:
            self.state.so_far = SoFar(epoch)
        self._train(epoch, keep, pace)
        began, so_far = time.perf_counter(), self.state.so_far
        numbers: dict[str, float] = {"epoch": epoch, "label_loss": so_far.label_loss / self._batches}
        if self._distillation is not None:
            numbers["distil_loss"] = so_far.distil_loss / self._batches
        try:
            numbers |= {f"val_{name}": value for name, value in self._validate(epoch).items()}
        except KeyboardInterrupt:
            keep()
            raise
        seconds = so_far.seconds + time.perf_counter() - began
        return numbers | {"seconds": seconds, "data_wait_seconds": so_far.data_wait_seconds}

    def _train(self, epoch: int, keep: Callable[[], None], pace: CheckpointSchedule) -> None:
        """The steps of an epoch from where it stands to its end."""
        so_far, processes, settings = self.state.so_far, self.processes, self._settings
        self._network.train()
        hold_backbone(self._network, self._frozen(epoch))
        share = (processes.index, processes.count)
        batches = Prefetched(
            epoch_batches(self._data, self._batch_size, self._seed, epoch, start=so_far.batches, share=share)
        )
        began, seconds, waited = time.perf_counter(), so_far.seconds, so_far.data_wait_seconds
        with held_back() as pressed:
            for index, batch in enumerate(batches, so_far.batches):
                label_loss, distil_loss = self._step(batch, epoch, index)
                so_far.batches += 1
                so_far.label_loss += label_loss
                so_far.distil_loss += distil_loss
                so_far.seconds = seconds + time.perf_counter() - began
                so_far.data_wait_seconds = waited + batches.waited
                done = (epoch - 1) * self._batches + so_far.batches
                what = f"{self._label}: epoch {epoch}/{settings.epochs}"
                self._progress.advance(what, done, settings.epochs * self._batches)
                stop, save = processes.mean([float(pressed()), float(processes.first and pace.due())])
                if stop or save:
                    with processes.together():
                        keep()
                if stop:
                    raise KeyboardInterrupt

    def restore(self, snapshot: Snapshot) -> list[dict[str, float]]:
        """Take up the state of a checkpoint; the history until then, without an epoch that has only begun."""
        self.state.restore(snapshot)
        history: list[dict[str, float]] = snapshot.notes["history"]
        return history

    def where(self, history: list[dict[str, float]]) -> str:
        """Where a run that was taken up again goes on."""
        after = f"after epoch {len(history)} of {self._settings.epochs}"
        if self.state.so_far.epoch != len(history) + 1 or not self.state.so_far.batches:
            return after
        return f"in epoch {self.state.so_far.epoch} of {self._settings.epochs}, after batch {self.state.so_far.batches}"

    def release(self, weights: Mapping[str, Tensor]) -> None:
        """Give the network back as a plain one on the CPU, with these weights."""
        self._accelerator.free_memory()
        self._network.to("cpu", memory_format=torch.contiguous_format)
        self._network.load_state_dict(weights)
        hold_backbone(self._network, False)
        self._network.eval()

    def _step(self, batch: Batch, epoch: int, index: int) -> tuple[float, float]:
        """One optimizer step; label loss and distillation loss of the batch."""
        step = (epoch - 1) * self._batches + index
        warmup = round(self._settings.warmup_epochs * self._batches)
        factor = warmup_cosine(step, self._settings.epochs * self._batches, warmup)
        set_learning_rate(self.state.optimizer, self._settings.learning_rate * factor)
        self._seed_step(epoch, index)
        # Shares of a batch may differ by one image: weighed like this, their mean is that of the whole batch.
        weight = len(batch.rows) * self.processes.count / self._batch_size
        with self.processes.together(), naming_memory(self._label, lambda: named(epoch, index, batch, self._data)):
            label_loss, distil_loss = self._losses(batch, epoch, index)
            loss = label_loss if distil_loss is None else label_loss + self._weight() * distil_loss
            self._accelerator.backward(loss * weight)
        self.processes.average([p.grad for p in self._network.parameters() if p.grad is not None])
        norm = self._accelerator.clip_grad_norm_(self._network.parameters(), _CLIP_NORM)
        # One look at the device for all numbers: each look waits for its last kernel.
        none = torch.zeros_like(label_loss)
        losses = torch.stack([loss, label_loss, none if distil_loss is None else distil_loss]).detach() * weight
        ours: list[float] = torch.cat([losses, norm.detach().reshape(1).to(losses)]).tolist()
        total, *both, norm_ = self.processes.mean(ours)
        if not math.isfinite(total):
            with self.processes.together():
                if not math.isfinite(ours[0]):
                    raise diverged(self._label, epoch, index, batch.rows, self._data, ours[0])
        if not math.isfinite(norm_) and not self._skips():
            with self.processes.together():  # whose gradient it was cannot be told once they are averaged
                rows = np.concatenate(self.processes.gathered(batch.rows))
                raise diverged(self._label, epoch, index, rows, self._data, total)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self.state.average is not None:
            self.state.average.update(self._network)
        return both[0], both[1]

    def _skips(self) -> bool:
        """Whether an infinite gradient is an overflow, which the gradient scaler answers by skipping the step.

        It halves its scale each time. At one there is nothing left to overflow: the gradient itself is infinite.
        """
        scaler = self._accelerator.scaler
        return scaler is not None and scaler.get_scale() > 1

    def _seed_step(self, epoch: int, index: int) -> None:
        """Dropout and stochastic depth draw from PyTorch's generators: seed them by the step, so none has a history."""
        words = np.random.SeedSequence((self._seed, epoch, index, 0, self.processes.index)).generate_state(1)
        torch.default_generator.manual_seed(int(words[0]))
        if self._accelerator.device.type == "cuda":
            torch.cuda.manual_seed(int(words[0]))

    def _losses(self, batch: Batch, epoch: int, index: int) -> tuple[Tensor, Tensor | None]:
        """Label loss, and the teacher's loss on the same images."""
        images = as_input(batch.images, self._accelerator.device)
        labels = torch.from_numpy(batch.labels).to(images.device)
        images, labels = mixed(images, labels, self._data.classes, self._settings, self._seed, epoch, index)
        with self._accelerator.autocast():
            logits = self._network(images).float()
        label_loss = self._label_loss(logits, labels)
        distillation = self._distillation
        if distillation is None:
            return label_loss, None
        with torch.inference_mode(), self._accelerator.autocast():
            targets = distillation.teacher(images).float()
        # A tensor made in inference mode cannot take part in a backward pass; its copy can.
        return label_loss, distillation.loss(logits, targets.clone(), distillation.temperature)

    def _weight(self) -> float:
        return 0.0 if self._distillation is None else self._distillation.weight

    def _frozen(self, epoch: int) -> bool:
        """Whether the backbone stays as it is in this epoch, its BatchNorm included."""
        return epoch <= self._settings.freeze_epochs

    def _validate(self, epoch: int) -> dict[str, float]:
        """Scores of the judged network on the validation images."""
        judged, data = self.state.judged(), self._data
        self.processes.copy_first([*self._network.buffers(), *judged.buffers()])
        if self.state.average is not None and not self._frozen(epoch):
            size = self._batch_size
            recalibrate(judged, plain_batches(data, RECALIBRATION_IMAGES, size, self._seed, self._accelerator.device))
        logits = validation_logits(judged, data, self.processes, self._label, epoch)
        if not np.isfinite(logits).all():
            with self.processes.together():
                raise diverged_outputs(self._label, epoch)
        return classify.validation_scores(logits, data.labels[data.val])
