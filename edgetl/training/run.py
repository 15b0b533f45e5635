"""The moving parts of one training run: network, average, optimizer, teacher, and one epoch over them."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from edgetl.errors import EdgetlError, EnvironmentFault
from edgetl.progress import Progress
from edgetl.recipe import Training
from edgetl.tasks import classify
from edgetl.training.batches import (
    Batch,
    TrainingData,
    as_input,
    batch_size_for,
    epoch_batches,
    plain_batches,
    prefetched,
)
from edgetl.training.checkpoints import Snapshot, optimizer_tensors, restore_optimizer
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.inference import predict_logits
from edgetl.training.losses import DistilLoss
from edgetl.training.schedules import warmup_cosine

RECALIBRATION_IMAGES = 1000
_CLIP_NORM = 5.0
_SHOWN_ROWS = 8


@dataclass(frozen=True)
class Distillation:
    """The teacher's part of the loss: label loss + weight * loss(student, teacher, temperature), on the same crop."""

    teacher: nn.Module
    loss: DistilLoss
    weight: float
    temperature: float


class Run:
    """The moving parts of one training run."""

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
        self._average = WeightAverage(self._network, settings.ema) if settings.ema > 0 else None
        self._plain_optimizer = _adamw(self._network, settings)
        self._model, self._optimizer = accelerator.prepare(self._network, self._plain_optimizer)
        if distillation is not None:
            distillation.teacher.to(accelerator.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._label_loss = classify.label_loss(settings.imbalance, data.counts())
        self._batch_size = batch_size_for(data, settings.batch_size)
        self._batches = len(data.train) // self._batch_size

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

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch and validate; its numbers."""
        began = time.perf_counter()
        torch.manual_seed(int(np.random.SeedSequence((self._seed, epoch)).generate_state(1)[0]))
        self._model.train()
        total = np.zeros(2)
        batches = epoch_batches(self._data, self._batch_size, self._seed, epoch)
        for index, batch in enumerate(prefetched(batches)):
            total += self._step(batch, epoch, index)
            done = (epoch - 1) * self._batches + index + 1
            self._progress.advance(self._label, done, self._settings.epochs * self._batches)
        label_loss, distil_loss = (total / self._batches).tolist()
        numbers: dict[str, float] = {"epoch": epoch, "label_loss": label_loss}
        if self._distillation is not None:
            numbers["distil_loss"] = distil_loss
        numbers |= {f"val_{name}": value for name, value in self._validate(epoch).items()}
        return numbers | {"seconds": time.perf_counter() - began}

    def judged(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self._network if self._average is None else self._average.network

    def tensors(self) -> dict[str, Tensor]:
        """All that the next epoch needs, by name."""
        tensors = {f"network.{name}": value for name, value in self._network.state_dict().items()}
        if self._average is not None:
            tensors |= {f"average.{name}": value for name, value in self._average.network.state_dict().items()}
        return tensors | {f"optimizer.{name}": v for name, v in optimizer_tensors(self._plain_optimizer).items()}

    def counters(self) -> dict[str, Any]:
        """What is not a tensor, as JSON."""
        scaler = self._accelerator.scaler
        updates = 0 if self._average is None else self._average.updates
        return {"updates": updates, "scaler": None if scaler is None else scaler.state_dict()}

    def restore(self, snapshot: Snapshot) -> list[dict[str, float]]:
        """Take up the state of a checkpoint; the history until then."""
        self._network.load_state_dict(_under("network.", snapshot.tensors))
        restore_optimizer(self._plain_optimizer, _under("optimizer.", snapshot.tensors))
        if self._average is not None:
            self._average.network.load_state_dict(_under("average.", snapshot.tensors))
            self._average.updates = snapshot.notes["updates"]
        if self._accelerator.scaler is not None and snapshot.notes["scaler"] is not None:
            self._accelerator.scaler.load_state_dict(snapshot.notes["scaler"])
        history: list[dict[str, float]] = snapshot.notes["history"]
        return history

    def release(self, weights: Mapping[str, Tensor]) -> None:
        """Give the network back as a plain one on the CPU, with these weights."""
        self._accelerator.unwrap_model(self._model, keep_fp32_wrapper=False)
        # accelerate 1.15 leaves a `forward` on the instance, which copies and exporters would trip over.
        vars(self._network).pop("forward", None)
        self._accelerator.free_memory()
        self._network.to("cpu", memory_format=torch.contiguous_format)
        self._network.load_state_dict(weights)
        self._network.eval()

    def _step(self, batch: Batch, epoch: int, index: int) -> tuple[float, float]:
        """One optimizer step; label loss and distillation loss of the batch."""
        step = (epoch - 1) * self._batches + index
        warmup = round(self._settings.warmup_epochs * self._batches)
        factor = warmup_cosine(step, self._settings.epochs * self._batches, warmup)
        for group in self._plain_optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * factor
        label_loss, distil_loss = self._losses(batch)
        loss = label_loss if distil_loss is None else label_loss + self._weight() * distil_loss
        self._accelerator.backward(loss)
        norm = self._accelerator.clip_grad_norm_(self._network.parameters(), _CLIP_NORM)
        # With a gradient scaler an infinite gradient is expected now and then: it skips the step by itself.
        scaled = self._accelerator.scaler is not None
        if not math.isfinite(loss.item()) or not (scaled or math.isfinite(norm)):
            raise _diverged(self._label, epoch, index, batch, loss.item())
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(self._network)
        return label_loss.item(), 0.0 if distil_loss is None else distil_loss.item()

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Label loss, and the teacher's loss on the same images."""
        images = as_input(batch.images, self._accelerator.device)
        logits = self._model(images).float()
        label_loss = self._label_loss(logits, torch.from_numpy(batch.labels).to(logits.device))
        distillation = self._distillation
        if distillation is None:
            return label_loss, None
        with torch.inference_mode(), self._accelerator.autocast():
            targets = distillation.teacher(images).float()
        # A tensor made in inference mode cannot take part in a backward pass; its copy can.
        return label_loss, distillation.loss(logits, targets.clone(), distillation.temperature)

    def _weight(self) -> float:
        return 0.0 if self._distillation is None else self._distillation.weight

    def _validate(self, epoch: int) -> dict[str, float]:
        """Scores of the judged network on the validation images."""
        judged, data = self.judged(), self._data
        if self._average is not None:
            size = self._batch_size
            recalibrate(judged, plain_batches(data, RECALIBRATION_IMAGES, size, self._seed, self._accelerator.device))
        logits = predict_logits(judged, data.images, rows=data.val)
        if not np.isfinite(logits).all():
            raise EdgetlError(
                f"epoch {epoch}: the validation outputs are not finite", place=self._label, hint="lower learning_rate"
            )
        return classify.validation_scores(logits, data.labels[data.val])


def _adamw(network: nn.Module, settings: Training) -> torch.optim.AdamW:
    """AdamW without weight decay on norms and biases, where it only shrinks what should be free."""
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in free if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, fused=True)


def make_accelerator(precision: str) -> Accelerator:
    """A fresh accelerator; accelerate keeps the precision of the first one in a global state, which is cleared."""
    AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(mixed_precision="no" if precision == "fp32" else precision)
    except ValueError as exc:
        raise EnvironmentFault(f"precision {precision} does not work here: {exc}", hint="set precision: fp32") from exc
    if accelerator.num_processes > 1:
        raise EnvironmentFault(
            f"training was started in {accelerator.num_processes} processes, it uses one",
            hint="start it without a launcher",
        )
    return accelerator


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _diverged(label: str, epoch: int, index: int, batch: Batch, loss: float) -> EdgetlError:
    rows = ", ".join(str(row) for row in batch.rows[:_SHOWN_ROWS])
    more = f" and {len(batch.rows) - _SHOWN_ROWS} more" if len(batch.rows) > _SHOWN_ROWS else ""
    return EdgetlError(
        f"epoch {epoch}, batch {index + 1}: loss {loss}, or its gradient, is not finite (image rows {rows}{more})",
        place=label,
        hint="lower learning_rate, or look at those images if they repeat; the last good checkpoint is kept",
    )
