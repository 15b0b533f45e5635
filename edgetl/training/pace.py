"""How long an epoch of a training takes on this machine: a few of its real steps, measured and thrown away."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import torch

from edgetl.config.training import Training
from edgetl.training.accelerator import make_accelerator
from edgetl.training.allocator import keep_freed_memory
from edgetl.training.batches import TrainingData, batch_size_for
from edgetl.training.distributed import Processes, launched
from edgetl.training.inference import predict_logits
from edgetl.training.job import Job
from edgetl.training.optimizer import hold_backbone
from edgetl.training.plan import Plan
from edgetl.training.run import RECALIBRATION_IMAGES, Run
from edgetl.training.sharing import Sharing

__all__ = ["STEPS", "Pace", "measured"]

_WARM = 2
"""First steps, which set things up and are not counted."""
STEPS = _WARM + 5
"""What is measured where there is time for it."""
_LOOKED_AT = 128
"""Validation images that are timed."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Pace:
    """step_seconds: the median of `steps` steps, with their waits for images. image_seconds: of one in the validation."""

    step_seconds: float
    image_seconds: float
    steps: int

    def training_seconds(self, data: TrainingData, settings: Training) -> float:
        """Of a training with these settings: its steps, and after the epochs that are validated the pass that measures the
        average's BatchNorm, and the validation."""
        assert settings.epochs is not None, "they are planned with what the data need"
        plan = Plan(settings.epochs)
        validated = [epoch for epoch in range(1, settings.epochs + 1) if plan.validates(epoch)]
        averaged = [epoch for epoch in validated if settings.ema > 0 and epoch > settings.freeze_epochs]
        steps = settings.epochs * (len(data.train) // batch_size_for(data, settings.batch_size))
        images = len(averaged) * min(RECALIBRATION_IMAGES, len(data.train))
        images += len(validated) * math.ceil(len(data.val) / launched())
        return steps * self.step_seconds + images * self.image_seconds


def measured(job: Job, budget: float, clock: Clock = time.perf_counter, least: int = 1, warm: int = _WARM) -> Pace:
    """The pace of a job, measured on its network, which is of no use afterwards.

    Random numbers, thread counts and files are left as they are found. Among several processes only the one that calls this
    computes, its share of each batch.

    Args:
        job: with a network of its own; nothing is learned from it.
        budget: seconds after which no further step is begun.
        clock: seconds.
        least: steps that are taken whatever they cost.
        warm: first steps that are not counted.

    Raises:
        EdgetlError: what the training would raise too.
    """
    keep_freed_memory()
    accelerator = make_accelerator(job.settings.precision)
    cuda = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        run = Run(_ours(job), accelerator, Processes())
        with Sharing(run.state.threads.count):
            steps = counted(_timed_steps(run, budget, clock, least), warm)
            image = _image_seconds(run, clock)
    accelerator.free_memory()
    step = statistics.median(steps)
    return Pace(step, image, len(steps))


def _ours(job: Job) -> Job:
    """The job with as many images in a step as one of several processes takes."""
    size = max(2, math.ceil(job.batch_size / launched()))
    return replace(job, settings=job.settings.model_copy(update={"batch_size": size}))


def counted(steps: Sequence[float], warm: int = _WARM) -> Sequence[float]:
    """Without the first ones; of very few the last."""
    return steps[min(warm, len(steps) - 1) :]


def _timed_steps(run: Run, budget: float, clock: Clock, least: int) -> list[float]:
    """Seconds of each step, from one to the next: the wait for the images is part of it."""
    job = run.job
    epoch = min(job.settings.freeze_epochs + 1, job.epochs)  # a frozen backbone is quicker
    run.state.network.train()
    hold_backbone(run.state.network, job.freezes(epoch))
    # On a GPU the first step records and takes seconds, and those after it next to nothing.
    least = STEPS if run.on_device else least
    taken: list[float] = []
    began = before = clock()
    with closing(_steps(run, epoch)) as steps:
        for _ in steps:
            run.steps.settle()
            now = clock()
            taken.append(now - before)
            before = now
            if len(taken) >= STEPS or (now - began > budget and len(taken) >= least):
                break
    run.steps.release()
    return taken


def _steps(run: Run, epoch: int) -> Generator[tuple[float, float]]:
    """Those of an epoch, over and over, as in a training."""
    while True:
        yield from run.steps.epoch(epoch, 0, None, lambda _: run.job.settings.learning_rate)


def _image_seconds(run: Run, clock: Clock) -> float:
    """Of one image in the validation."""
    judged, images = run.state.judged(), run.steps.pictures
    rows = run.job.data.val[:_LOOKED_AT]
    predict_logits(judged, images, rows=rows[:8])
    began = clock()
    predict_logits(judged, images, rows=rows)
    return (clock() - began) / len(rows)
