"""The moving parts of one training run: network, average, optimizer, teacher, and one epoch over them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edgetl.console.progress import Progress
from edgetl.errors import UsageError, out_of_memory
from edgetl.errors.wording import first_line
from edgetl.tasks import classify
from edgetl.training.accelerator import autocast_of, processes_of
from edgetl.training.batches import plain_batches
from edgetl.training.checkpoint_schedule import CheckpointSchedule, SoFar
from edgetl.training.checkpoints import Snapshot
from edgetl.training.device.steps import DeviceSteps, can_train
from edgetl.training.diagnostics import diverged_outputs
from edgetl.training.distributed import Processes, launched
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.inference import predict_logits
from edgetl.training.interrupts import held_back
from edgetl.training.job import Job
from edgetl.training.optimizer import adamw, hold_backbone
from edgetl.training.plan import Plan
from edgetl.training.state import State
from edgetl.training.step import Step
from edgetl.training.steps import HostSteps, Steps
from edgetl.training.threads import ThreadCount
from edgetl.training.validation import validation_logits

RECALIBRATION_IMAGES = 1000
_REFUSALS = (AssertionError, RuntimeError, ValueError)
"""What a network raises that does not take pictures of a size: timm's transformers assert, layers raise the others."""


class Run:
    """A job under way.

    Attributes:
        job: what is trained.
        processes: those that train together.
        state: what a checkpoint holds.
        on_device: whether the steps are those of a device of its own.
        steps: learn from the batches.
    """

    def __init__(self, job: Job, accelerator: Accelerator, processes: Processes | None = None) -> None:
        """`processes`: None asks the accelerator."""
        self.job, self._accelerator = job, accelerator
        network = job.network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        hints = None if job.distillation is None else job.distillation.hints
        if hints is not None:
            hints.to(accelerator.device)
        if job.distillation is not None:
            job.distillation.teacher.to(accelerator.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        average = WeightAverage(network, job.settings.ema) if job.settings.ema > 0 else None
        self.processes = processes or processes_of(accelerator, job.batch_size, len(job.data.val))
        self.on_device = _on_device(job, accelerator)
        optimizer = adamw(network, job.settings, hints, capturable=self.on_device)
        self.state = State(
            network, average, optimizer, accelerator.scaler, SoFar(epoch=1), ThreadCount.now(), hints=hints
        )
        self._check_sizes()
        self.steps: Steps
        if self.on_device:
            self.steps = DeviceSteps(job, self.state, accelerator.device, autocast_of(accelerator))
        else:
            step = Step(job, self.state, accelerator, self.processes)
            self.steps = HostSteps(job, step, (self.processes.index, self.processes.count))
        self._noted = False
        self._data = replace(job.data, images=self.steps.pictures)

    def epoch(
        self, epoch: int, plan: Plan, keep: Callable[[], None], schedule: CheckpointSchedule, progress: Progress
    ) -> dict[str, float]:
        """Train one epoch, or what is left of it, and validate it where that is planned; its numbers.

        Args:
            epoch: counted from 1.
            plan: of the training, after the epochs before this one.
            keep: saves the state; called between two steps when `schedule` says so, and on Ctrl-C.
            schedule: when to save.
            progress: gets a step per batch.
        """
        if self.state.so_far.epoch != epoch:
            self.state.so_far = SoFar(epoch)
        self._train(epoch, plan, keep, schedule, progress)
        began, so_far = time.perf_counter(), self.state.so_far
        numbers: dict[str, float] = {"epoch": epoch, "label_loss": so_far.label_loss / self.job.batches}
        if self.job.distillation is not None:
            numbers["distil_loss"] = so_far.distil_loss / self.job.batches
        try:
            if plan.validates(epoch):
                numbers |= {f"val_{name}": value for name, value in self._validate(epoch).items()}
        except KeyboardInterrupt:
            keep()
            raise
        seconds = so_far.seconds + time.perf_counter() - began
        return numbers | {
            "seconds": seconds,
            "data_wait_seconds": so_far.data_wait_seconds,
            "threads": self.state.threads.count,
        }

    def _train(
        self, epoch: int, plan: Plan, keep: Callable[[], None], schedule: CheckpointSchedule, progress: Progress
    ) -> None:
        """The steps of an epoch from where it stands to its end."""
        job, so_far, processes = self.job, self.state.so_far, self.processes
        self.state.network.train()
        hold_backbone(self.state.network, job.freezes(epoch))
        began, seconds, waited = time.perf_counter(), so_far.seconds, so_far.data_wait_seconds

        def note(label_loss: float, distil_loss: float) -> None:
            so_far.label_loss += label_loss
            so_far.distil_loss += distil_loss
            so_far.seconds = seconds + time.perf_counter() - began
            so_far.data_wait_seconds = waited + self.steps.waited

        size, rate = job.size(epoch, plan), partial(job.learning_rate, epoch, plan=plan)
        with held_back() as pressed:
            for losses in self.steps.epoch(epoch, so_far.batches, size, rate):
                so_far.batches += 1
                note(*losses)
                done = (epoch - 1) * job.batches + so_far.batches
                progress.advance(f"{job.label}: epoch {epoch}/{plan.end}", done, plan.end * job.batches)
                stop, save = processes.mean([float(pressed()), float(processes.first and schedule.due())])
                if stop or save:
                    note(*self.steps.settle())
                    with processes.together():
                        keep()
                if stop:
                    raise KeyboardInterrupt
        note(*self.steps.settle())
        if self.steps.note and not self._noted:
            self._noted = True
            progress.warn(f"warning: {job.label}: {self.steps.note}")

    def restore(self, snapshot: Snapshot) -> list[dict[str, float]]:
        """Take up the state of a checkpoint; the history until then, without an epoch that has only begun."""
        self.state.restore(snapshot)
        history: list[dict[str, float]] = snapshot.notes["history"]
        return history

    def where(self, history: list[dict[str, float]]) -> str:
        """Where a run that was taken up again goes on."""
        so_far, epochs = self.state.so_far, self.job.plan(history).end
        if so_far.epoch != len(history) + 1 or not so_far.batches:
            return f"after epoch {len(history)} of {epochs}"
        return f"in epoch {so_far.epoch} of {epochs}, after batch {so_far.batches}"

    def release(self, weights: Mapping[str, Tensor]) -> None:
        """Give the network back as a plain one on the CPU, with these weights."""
        network = self.state.network
        self.steps.release()
        self._accelerator.free_memory()
        network.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        network.load_state_dict(weights)
        hold_backbone(network, False)
        network.eval()

    def _check_sizes(self) -> None:
        """Raise UsageError where a network takes pictures of another size alone, or where the first ones are smaller."""
        job = self.job
        networks = [self.state.network, *([job.distillation.teacher] if job.distillation else [])]
        height, width = job.data.images.shape[1:3]
        small = job.size(1, Plan(job.epochs))
        with self.processes.together():
            for network in networks:
                # Of whole pictures only timm's word for it counts: any other fault is told where it has always been, in a step.
                hint = "set it to what the network takes, or take another network"
                with contextlib.suppress(RuntimeError, ValueError):
                    _check_size(network, height, width, job.label, "data.image_size", hint, (AssertionError,))
                if small is not None:
                    hint = "set progressive: 0; networks of a fixed input size see one size only"
                    _check_size(network, *small, job.label, "progressive", hint, _REFUSALS)

    def _validate(self, epoch: int) -> dict[str, float]:
        """Scores of the judged network on the validation images."""
        job, judged = self.job, self.state.judged()
        self.processes.copy_first([*self.state.network.buffers(), *judged.buffers()])
        if self.state.average is not None and not job.freezes(epoch):
            images = plain_batches(self._data, RECALIBRATION_IMAGES, job.batch_size, job.seed, self._accelerator.device)
            recalibrate(judged, images)
        logits = validation_logits(judged, self._data, self.processes, job.label, epoch)
        if not np.isfinite(logits).all():
            with self.processes.together():
                raise diverged_outputs(job.label, epoch)
        self.state.logits = torch.from_numpy(logits)
        return classify.validation_scores(logits, job.data.labels[job.data.val])


def _on_device(job: Job, accelerator: Accelerator) -> bool:
    """Whether the whole step is the device's: on a GPU that trains alone; several processes talk between two steps."""
    return accelerator.device.type == "cuda" and launched() == 1 and can_train(job, accelerator.scaler)


def _check_size(
    network: nn.Module,
    height: int,
    width: int,
    label: str,
    field: str,
    hint: str,
    refusals: tuple[type[Exception], ...],
) -> None:
    """Raise UsageError where the network refuses pictures of this size, which `field` of the recipe asks for."""
    try:
        predict_logits(network, np.zeros((1, height, width, 3), dtype=np.uint8))
    except refusals as exc:
        if out_of_memory(exc):
            raise
        raise UsageError(
            f"{field}: {height} x {width} pixels are not what a network here takes: {first_line(exc)}",
            place=label,
            hint=hint,
        ) from exc
