"""The moving parts of one training run: network, average, optimizer, teacher, and one epoch over them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edgetl.console.progress import Progress
from edgetl.errors import UsageError, out_of_memory
from edgetl.errors.wording import first_line
from edgetl.tasks import classify
from edgetl.training.accelerator import processes_of
from edgetl.training.batches import Prefetched, epoch_batches, plain_batches
from edgetl.training.checkpoint_schedule import CheckpointSchedule, SoFar
from edgetl.training.checkpoints import Snapshot
from edgetl.training.diagnostics import diverged_outputs
from edgetl.training.distributed import Processes
from edgetl.training.ema import WeightAverage, recalibrate
from edgetl.training.inference import predict_logits
from edgetl.training.interrupts import held_back
from edgetl.training.job import Job
from edgetl.training.optimizer import adamw, hold_backbone
from edgetl.training.plan import Plan
from edgetl.training.state import State
from edgetl.training.step import Step
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
        step: learns from one batch.
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
        optimizer = adamw(network, job.settings, hints)
        self.state = State(
            network, average, optimizer, accelerator.scaler, SoFar(epoch=1), ThreadCount.now(), hints=hints
        )
        self.processes = processes or processes_of(accelerator, job.batch_size, len(job.data.val))
        self.step = Step(job, self.state, accelerator, self.processes)
        self._check_sizes()

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
        share, size = (processes.index, processes.count), job.size(epoch, plan)
        batches = Prefetched(
            epoch_batches(job.data, job.batch_size, job.seed, epoch, start=so_far.batches, share=share, size=size)
        )
        began, seconds, waited = time.perf_counter(), so_far.seconds, so_far.data_wait_seconds
        with held_back() as pressed:
            for index, batch in enumerate(batches, so_far.batches):
                label_loss, distil_loss = self.step(batch, epoch, index, job.learning_rate(epoch, index, plan))
                so_far.batches += 1
                so_far.label_loss += label_loss
                so_far.distil_loss += distil_loss
                so_far.seconds = seconds + time.perf_counter() - began
                so_far.data_wait_seconds = waited + batches.waited
                done = (epoch - 1) * job.batches + so_far.batches
                progress.advance(f"{job.label}: epoch {epoch}/{plan.end}", done, plan.end * job.batches)
                stop, save = processes.mean([float(pressed()), float(processes.first and schedule.due())])
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
        so_far, epochs = self.state.so_far, self.job.plan(history).end
        if so_far.epoch != len(history) + 1 or not so_far.batches:
            return f"after epoch {len(history)} of {epochs}"
        return f"in epoch {so_far.epoch} of {epochs}, after batch {so_far.batches}"

    def release(self, weights: Mapping[str, Tensor]) -> None:
        """Give the network back as a plain one on the CPU, with these weights."""
        network = self.state.network
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
            images = plain_batches(job.data, RECALIBRATION_IMAGES, job.batch_size, job.seed, self._accelerator.device)
            recalibrate(judged, images)
        logits = validation_logits(judged, job.data, self.processes, job.label, epoch)
        if not np.isfinite(logits).all():
            with self.processes.together():
                raise diverged_outputs(job.label, epoch)
        self.state.logits = torch.from_numpy(logits)
        return classify.validation_scores(logits, job.data.labels[job.data.val])


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
