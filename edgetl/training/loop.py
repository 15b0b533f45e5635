"""The one training loop: teachers, students and pruned networks all pass through `fit`.

AdamW with warm-up and cosine; an average of the weights is what is validated and kept; the best epoch wins. Device and
mixed precision are Hugging Face accelerate's. After every epoch, and within it about every 45 seconds and on Ctrl-C, the
whole state is on the disk, and a run that is taken up again computes what it would have computed without the stop: bit for
bit on the CPU of one machine, unless a person set another number of threads in between (`threads`), and whatever else the
machine did meanwhile (`sharing`). A GPU's kernels may add in another order each time.

Started by a launcher in several processes, each takes its share of every batch: `batch_size` is that of all together.
What looks at a whole batch (BatchNorm, the intra-class term of DIST, mixup) then sees a process's share of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgetl.config.recipe import Training
from edgetl.console.progress import Progress, Silent
from edgetl.errors import IntegrityError
from edgetl.training.accelerator import make_accelerator
from edgetl.training.allocator import keep_freed_memory
from edgetl.training.batches import TrainingData
from edgetl.training.checkpoint_schedule import CheckpointSchedule
from edgetl.training.checkpoints import Checkpoints, Snapshot
from edgetl.training.diagnostics import naming_memory
from edgetl.training.inference import predict_logits
from edgetl.training.job import Distillation, Job
from edgetl.training.run import Run
from edgetl.training.sharing import Noting, Sharing

__all__ = ["Distillation", "Fit", "fit", "predict_logits"]


@dataclass(frozen=True)
class Fit:
    """How a training went.

    history: numbers of each epoch, counted from 1.
    best_epoch: the one that was kept: highest balanced accuracy on validation, then macro AUROC, then the earliest.
    scores: its validation scores.
    seconds: over all epochs, those before a stop included.
    resumed_after: the epoch after which this run was taken up again; 0 when it ran in one go.
    """

    history: list[dict[str, float]]
    best_epoch: int
    scores: dict[str, float]
    seconds: float
    resumed_after: int


def fit(
    network: nn.Module,
    data: TrainingData,
    settings: Training,
    *,
    distillation: Distillation | None = None,
    seed: int,
    checkpoints: Path,
    progress: Progress,
    label: str = "train",
) -> Fit:
    """Train `network` in place; it ends with the weights of the best epoch, on the CPU, in inference mode.

    Args:
        network: float [B, 3, H, W] in [-1, 1) -> logits [B, classes].
        data: images, labels and rows.
        settings: epochs, batch size, rates, ...
        distillation: None trains on labels alone; else its teacher is moved to the device, in inference mode.
        seed: of order, augmentation and dropout.
        checkpoints: a folder of this run; a state of the same run in it is taken up.
        progress: gets a step per batch, and a line and an `epoch` event per epoch.
        label: names the run in what is said.

    Raises:
        TrainingDiverged: the loss or the gradient became infinite or not a number; earlier checkpoints stay.
        EnvironmentFault: the machine cannot train in this precision, or has too little memory or disk for it; earlier
            checkpoints stay.
    """
    keep_freed_memory()
    accelerator = make_accelerator(settings.precision)
    progress = progress if accelerator.is_main_process else Silent()
    job = Job(network, data, settings, distillation, seed, label)
    cuda = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), naming_memory(label, lambda: "the training"):
        run, store = Run(job, accelerator), Checkpoints(checkpoints, job.identity())
        history = _taken_up(run, store, progress)
        resumed_after = len(history)
        with run.state.threads.used(), Sharing(run.state.threads.count) as sharing:
            _epochs(run, store, history, Noting(progress, sharing), first=accelerator.is_main_process)
        best = _best_epoch(history)
        run.release(store.load_best(best))
        run.processes.wait()  # until all have read what the first one is going to delete
    scores = {name: history[best - 1][f"val_{name}"] for name in ("balanced_accuracy", "auroc", "score")}
    return Fit(history, best, scores, sum(entry["seconds"] for entry in history), resumed_after)


def _taken_up(run: Run, store: Checkpoints, progress: Progress) -> list[dict[str, float]]:
    """Take up what the store has of this run; the history until then."""
    snapshot = _loaded(store, progress, run.job.label)
    if snapshot is None:
        return []
    history = run.restore(snapshot)
    progress.say(f"{run.job.label}: going on {run.where(history)}")
    before, run.state.threads = run.state.threads, run.state.threads.to_go_on_with()
    if run.state.threads.count != before.count:
        progress.say(
            f"{run.job.label}: threads until here {before.count}, from here on {run.state.threads.count} "
            f"({run.state.threads.source}): not to the bit what it would have become in one go"
        )
    return history


def _epochs(run: Run, store: Checkpoints, history: list[dict[str, float]], progress: Progress, first: bool) -> None:
    """Train the epochs that are left, and keep their checkpoints, in the first process; `history` grows by their numbers."""
    schedule, settings = CheckpointSchedule(), run.job.settings

    def keep() -> None:
        if not first:
            return
        began, best = time.monotonic(), _best_epoch(history) if history else 0
        store.save(len(history), run.state.tensors(), {"history": history, **run.state.counters()}, best)
        schedule.saved(began)

    while len(history) < settings.epochs and not _waited(history, settings.patience):
        epoch = len(history) + 1
        history.append(run.epoch(epoch, keep, schedule, progress))
        best = _best_epoch(history)
        with run.processes.together():
            if best == epoch and first:
                store.save_best(epoch, run.state.judged().state_dict())
            keep()
        _tell(progress, run.job.label, history[-1], settings.epochs, best)


def _loaded(store: Checkpoints, progress: Progress, label: str) -> Snapshot | None:
    """What the store has; a damaged checkpoint costs this training its state, but not the person a command."""
    try:
        return store.load()
    except IntegrityError as exc:
        progress.warn(f"warning: {label}: {exc.place}: {exc.message}; this training starts anew")
        return None


def _best_epoch(history: list[dict[str, float]]) -> int:
    """The epoch to keep, counted from 1; the earliest of equals."""
    best = max(history, key=lambda entry: (entry["val_balanced_accuracy"], entry["val_auroc"]))
    return int(best["epoch"])


def _waited(history: list[dict[str, float]], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought nothing better."""
    return patience is not None and bool(history) and len(history) - _best_epoch(history) >= patience


def _tell(progress: Progress, label: str, entry: dict[str, float], epochs: int, best: int) -> None:
    progress.event("epoch", label=label, **entry)
    mark = "  (best)" if best == entry["epoch"] else ""
    progress.say(
        f"{label}: epoch {entry['epoch']:.0f}/{epochs}  loss {entry['label_loss']:.3f}"
        f"  val balanced accuracy {entry['val_balanced_accuracy']:.3f}  AUROC {entry['val_auroc']:.3f}"
        f"  {entry['seconds']:.0f} s{mark}"
    )
