"""How long an epoch of a training takes on this machine: a few of its real steps, measured and thrown away."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch

from edgetl.training.accelerator import make_accelerator
from edgetl.training.allocator import keep_freed_memory
from edgetl.training.batches import Batch, Prefetched, epoch_batches
from edgetl.training.distributed import Processes, launched
from edgetl.training.inference import predict_logits
from edgetl.training.job import Job
from edgetl.training.optimizer import hold_backbone
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
    """epoch_seconds: with the validation. step_seconds: the median of `steps` steps, with their waits for images."""

    epoch_seconds: float
    step_seconds: float
    steps: int


def measured(job: Job, budget: float, clock: Clock = time.perf_counter) -> Pace:
    """The pace of a job, measured on its network, which is of no use afterwards.

    Random numbers, thread counts and files are left as they are found. Among several processes only the one that calls this
    computes, its share of each batch.

    Args:
        job: with a network of its own; nothing is learned from it.
        budget: seconds after which no further step is begun.
        clock: seconds.

    Raises:
        EdgetlError: what the training would raise too.
    """
    keep_freed_memory()
    accelerator = make_accelerator(job.settings.precision)
    cuda = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        run = Run(job, accelerator, Processes())
        with Sharing(run.state.threads.count):
            steps = counted(_timed_steps(run, budget, clock))
            image = _image_seconds(run, clock)
    accelerator.free_memory()
    step = statistics.median(steps)
    return Pace(_epoch_seconds(job, step, image), step, len(steps))


def counted(steps: Sequence[float]) -> Sequence[float]:
    """Without the first ones; of very few the last."""
    return steps[min(_WARM, len(steps) - 1) :]


def _epoch_seconds(job: Job, step: float, image: float) -> float:
    """Steps, the pass that measures the average's BatchNorm, and the validation."""
    recalibrated = min(RECALIBRATION_IMAGES, len(job.data.train)) if job.settings.ema > 0 else 0
    return job.batches * step + (recalibrated + math.ceil(len(job.data.val) / launched())) * image


def _timed_steps(run: Run, budget: float, clock: Clock) -> list[float]:
    """Seconds of each step, from one to the next: the wait for the images is part of it."""
    job = run.job
    epoch = min(job.settings.freeze_epochs + 1, job.epochs)  # a frozen backbone is quicker
    run.state.network.train()
    hold_backbone(run.state.network, job.freezes(epoch))
    taken: list[float] = []
    began = before = clock()
    with closing(_batches(job, epoch)) as batches:
        for index, batch in batches:
            run.step(batch, epoch, index, job.settings.learning_rate)
            now = clock()
            taken.append(now - before)
            before = now
            if len(taken) == STEPS or now - began > budget:
                break
    return taken


def _batches(job: Job, epoch: int) -> Generator[tuple[int, Batch]]:
    """Those of an epoch, over and over, prepared as in a training."""
    while True:
        batches = epoch_batches(job.data, job.batch_size, job.seed, epoch, share=(0, launched()))
        yield from enumerate(Prefetched(batches))


def _image_seconds(run: Run, clock: Clock) -> float:
    """Of one image in the validation."""
    data, judged = run.job.data, run.state.judged()
    rows = data.val[:_LOOKED_AT]
    predict_logits(judged, data.images, rows=rows[:8])
    began = clock()
    predict_logits(judged, data.images, rows=rows)
    return (clock() - began) / len(rows)
