"""The one training loop: teachers, students and pruned networks all pass through `fit`.

AdamW with warm-up and cosine; an average of the weights is what is validated and kept, that of the last epoch unless an
earlier one was better by more than noise. Device and mixed precision are Hugging Face accelerate's. After every epoch, and
within it about every 45 seconds and on Ctrl-C, the whole state is on the disk, and a run that is taken up again computes
what it would have computed without the stop: bit for bit on the CPU of one machine, unless a person set another number of
threads in between (`threads`), and whatever else the machine did meanwhile (`sharing`). A single GPU takes the steps of
`device`; its kernels may add in another order each time, and where an epoch takes hardly longer than a save, some go by
without one.

Started by a launcher in several processes, each takes its share of every batch: `batch_size` is that of all together.
What looks at a whole batch (BatchNorm, the intra-class term of DIST, mixup) then sees a process's share of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgetl.config.training import Training
from edgetl.console.progress import Progress, Silent
from edgetl.errors import IntegrityError
from edgetl.tasks.classify import EpochChoice, choose_epoch
from edgetl.training.accelerator import make_accelerator
from edgetl.training.allocator import give_back, keep_freed_memory
from edgetl.training.batches import TrainingData
from edgetl.training.checkpoint_schedule import CheckpointSchedule
from edgetl.training.checkpoints import Checkpoints, Snapshot
from edgetl.training.diagnostics import naming_memory
from edgetl.training.job import Distillation, Job
from edgetl.training.run import Run
from edgetl.training.sharing import Noting, Sharing
from edgetl.training.state import Validated

__all__ = ["Distillation", "Fit", "fit"]

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Fit:
    """How a training went.

    history: numbers of each epoch, counted from 1.
    planned: how many epochs were wanted; with patience it may have had fewer.
    kept_epoch: the last one, or the best where that is better by more than noise (`evidence.epoch_selection`).
    best_epoch: the highest score on validation, the earliest of equals.
    lead: the best epoch's score less that of the last one; standard_error: of the lead.
    scores: validation scores of the epoch that was kept.
    seconds: over all epochs, those before a stop included.
    resumed_after: the epoch after which this run was taken up again; 0 when it ran in one go.
    """

    history: list[dict[str, float]]
    planned: int
    kept_epoch: int
    best_epoch: int
    lead: float
    standard_error: float
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
    """Train `network` in place; it ends with the weights of the epoch that is kept, on the CPU, in inference mode.

    Args:
        network: float [B, 3, H, W] in [-1, 1) -> logits [B, classes].
        data: images, labels and rows.
        settings: epochs (a number), batch size, rates, ...
        distillation: None trains on labels alone; else its teacher is moved to the device, in inference mode.
        seed: of order, augmentation and dropout.
        checkpoints: a folder of this run; a state of the same run in it is taken up.
        progress: gets a step per batch, and a line and an `epoch` event per epoch.
        label: names the run in what is said.

    Raises:
        UsageError: a network cannot take the smaller pictures that `progressive` asks for.
        TrainingDiverged: the loss or the gradient became infinite or not a number; earlier checkpoints stay.
        EnvironmentFault: the machine cannot train in this precision, or has too little memory or disk for it; earlier
            checkpoints stay.
    """
    give_back()
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
        done, weights = _kept(run, store, history, resumed_after)
        run.release(weights)
        run.processes.wait()  # until all have read what the first one is going to delete
    _tell_kept(progress, label, done)
    return done


def _taken_up(run: Run, store: Checkpoints, progress: Progress) -> list[dict[str, float]]:
    """Take up what the store has of this run; the history until then."""
    snapshot = _loaded(store, progress, run.job.label)
    if snapshot is None:
        job = run.job
        progress.say(f"{job.label}: {job.epochs} epochs of {job.batches} batches of {job.batch_size} images")
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
    schedule, plan = CheckpointSchedule(), run.job.plan(history)

    def keep() -> None:
        if not first:
            return
        began, notes = time.monotonic(), {"history": history, **run.state.counters()}
        store.save(len(history), run.state.tensors(), notes, _best_epoch(history))
        schedule.saved(began)

    while len(history) < plan.end:
        epoch = len(history) + 1
        history.append(run.epoch(epoch, plan, keep, schedule, progress))
        best = _best_epoch(history)
        with run.processes.together():
            if best == epoch and first:
                store.save_best(epoch, run.state.validated().tensors())
            # An epoch of a GPU may be shorter than a save.
            if not run.on_device or schedule.worth_it() or epoch == plan.end:
                keep()
        _tell(progress, run.job.label, history[-1], plan.end, best)
        before, plan = plan, run.job.plan(history)
        if plan != before:
            progress.say(f"{run.job.label}: no better since epoch {best}; the rate comes down until epoch {plan.end}")


def _loaded(store: Checkpoints, progress: Progress, label: str) -> Snapshot | None:
    """What the store has; a damaged checkpoint costs this training its state, but not the person a command."""
    try:
        return store.load()
    except IntegrityError as exc:
        progress.warn(f"warning: {label}: {exc.place}: {exc.message}; this training starts anew")
        return None


def _kept(run: Run, store: Checkpoints, history: list[dict[str, float]], resumed_after: int) -> tuple[Fit, Weights]:
    """How the training went, and the weights of the epoch that is kept."""
    data, best, kept, choice = run.job.data, _best_epoch(history), len(history), EpochChoice(False, 0.0, 0.0)
    network = run.state.validated()
    if best != kept:
        other = Validated.of(store.load_best(best))
        looked_at = sum("val_score" in entry for entry in history)
        logits = network.logits.numpy(), other.logits.numpy()
        choice = choose_epoch(*logits, data.labels[data.val], data.val_groups, looked_at, run.job.seed)
        if choice.keeps_best:
            kept, network = best, other
    done = Fit(
        history=history,
        planned=run.job.epochs,
        kept_epoch=kept,
        best_epoch=best,
        lead=choice.lead,
        standard_error=choice.standard_error,
        scores={name: history[kept - 1][f"val_{name}"] for name in ("balanced_accuracy", "auroc", "score")},
        seconds=sum(entry["seconds"] for entry in history),
        resumed_after=resumed_after,
    )
    return done, network.weights


def _best_epoch(history: list[dict[str, float]]) -> int:
    """The epoch with the best score, counted from 1, the earliest of equals; 0 before the first validation."""
    best = max(history, key=lambda entry: entry.get("val_score", -1.0), default={})
    return int(best["epoch"]) if "val_score" in best else 0


def _tell(progress: Progress, label: str, entry: dict[str, float], epochs: int, best: int) -> None:
    progress.event("epoch", label=label, **entry)
    scores = ""
    if "val_score" in entry:
        scores = f"  val balanced accuracy {entry['val_balanced_accuracy']:.3f}  AUROC {entry['val_auroc']:.3f}"
    mark = "  (best)" if best == entry["epoch"] else ""
    progress.say(
        f"{label}: epoch {entry['epoch']:.0f}/{epochs}  loss {entry['label_loss']:.3f}{scores}"
        f"  {entry['seconds']:.0f} s{mark}"
    )


def _tell_kept(progress: Progress, label: str, done: Fit) -> None:
    kept, best, last = done.kept_epoch, done.best_epoch, len(done.history)
    lead, error = done.lead, done.standard_error
    progress.event("kept", label=label, epoch=kept, best=best, last=last, lead=lead, standard_error=error)
    if best != last:
        than = "more" if kept == best else "no more"
        progress.say(
            f"{label}: epoch {kept} of {last} is kept; epoch {best} leads the last one by {lead:.4f}, {than} than noise "
            f"(standard error {error:.4f})"
        )
