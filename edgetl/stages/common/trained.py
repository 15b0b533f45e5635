"""What the training stages share: opening the data, building a network, and writing a trained one down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.config.recipe import Recipe
from edgetl.config.training import Distil, Teacher, Training
from edgetl.data.augment import Augment
from edgetl.data.images import PIXELS, open_cache, open_images
from edgetl.data.records import Split
from edgetl.data.table import DataTable
from edgetl.models import backbones, prune, spec
from edgetl.models.architecture import Network
from edgetl.models.ensemble import AveragedLogits
from edgetl.results.training import Cut, Epoch, InitialWeights, KeptEpoch, Run, Scores
from edgetl.stages.common.networks import TEACHERS
from edgetl.stages.common.planned import Architecture
from edgetl.stages.common.settings import augmentation, is_pretrained, training_seed
from edgetl.stages.common.stage import Context
from edgetl.tasks.classify import validation_scores
from edgetl.training.batches import TrainingData, batch_size_for
from edgetl.training.hints import hints_between
from edgetl.training.inference import predict_logits
from edgetl.training.loop import Distillation, Fit
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.schedules import epochs_needed

Settings = TypeVar("Settings", bound=Training)

NETWORK = "network"
_SPLITS: tuple[Split, ...] = ("train", "val")


def open_table(context: Context) -> DataTable:
    """The training and validation records."""
    return DataTable.load(context.inputs["data"], _SPLITS)


def open_data(context: Context, table: DataTable) -> TrainingData:
    """The training and validation images, with augmentation for training, and the unlabelled ones that the stage needs."""
    strength = augmentation(context.recipe.data)
    labels = np.full(1 + max(int(table.rows(split).max(initial=-1)) for split in _SPLITS), -1, dtype=np.int64)
    for split in _SPLITS:
        labels[table.rows(split)] = table.labels(split)
    return TrainingData(
        images=open_images(context.inputs["data"], table, _SPLITS),
        labels=labels,
        train=table.rows("train"),
        val=table.rows("val"),
        classes=len(table.classes),
        augment=None if strength == "none" else Augment(context.recipe.data.image_size, strength),
        names=lambda row: table.record(row).image,
        val_groups=table.groups("val"),
        unlabelled=open_cache(context.inputs["unlabelled"] / PIXELS) if "unlabelled" in context.inputs else None,
    )


def with_epochs(settings: Settings, data: TrainingData, pretrained: bool) -> Settings:
    """The settings with a number of epochs: the recipe's, or what a network needs that starts from such weights."""
    if settings.epochs is not None:
        return settings
    steps = len(data.train) // batch_size_for(data, settings.batch_size)
    return settings.model_copy(update={"epochs": epochs_needed(steps, pretrained)})


def student_epochs(recipe: Recipe, data: TrainingData) -> int:
    """How long the student is trained to the end, and with it the pruned one."""
    epochs = with_epochs(recipe.distil, data, is_pretrained(recipe)).epochs
    assert epochs is not None
    return epochs


def create(seed: int, *arguments: Any, **options: Any) -> tuple[Network, InitialWeights]:
    """`backbones.create` with initial weights that depend on `seed` alone, and what it says about them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, used = backbones.create(*arguments, **options)
    return network, InitialWeights(
        source=used.source, detail=used.detail, sha256=used.sha256, loaded=used.loaded, skipped=used.skipped
    )


def create_student(recipe: Recipe, classes: int) -> tuple[Network, InitialWeights]:
    """The recipe's student before any training: the same initial weights each time."""
    seed, student = training_seed(recipe, recipe.distil), recipe.student
    names = student.backbone, classes, student.weights, student.attention, student.activation
    return create(seed, *names, recipe.data.image_size)


def create_teacher(recipe: Recipe, teacher: Teacher, classes: int) -> tuple[Network, InitialWeights]:
    """A teacher of the recipe before any training."""
    size, resizes = teacher.image_size or recipe.data.image_size, teacher.image_size is not None
    seed = training_seed(recipe, teacher)
    return create(seed, teacher.backbone, classes, teacher.weights, image_size=size, resizes=resizes)


def untrained(architecture: Architecture, classes: int, image_size: int) -> Network:
    """A network of random weights, for pictures of that size."""
    backbone, attention, activation, own = architecture
    names = backbone, classes, "none", attention, activation
    return create(0, *names, own or image_size, resizes=own is not None)[0]


def save(network: nn.Module, folder: Path) -> None:
    """Write the network into a stage's result `folder`."""
    (folder / NETWORK).mkdir()
    spec.save(network, folder / NETWORK)


def load(folder: Path) -> Network:
    """The network that a training stage wrote into its result `folder`."""
    return spec.load(folder / NETWORK)


def load_teachers(context: Context) -> nn.Module | None:
    """What the student learns from: the recipe's teacher, the average of several, or None."""
    stages = [stage for _, stage in zip(context.recipe.teachers, TEACHERS.values(), strict=False)]
    return together([load(context.inputs[stage]) for stage in stages]) if stages else None


def together(teachers: Sequence[nn.Module]) -> nn.Module:
    """A teacher as it is; of several the average of their logits."""
    return teachers[0] if len(teachers) == 1 else AveragedLogits(teachers)


def distillation(
    settings: Distil, teacher: nn.Module | None, weight: float, student: Network, data: TrainingData, seed: int
) -> Distillation | None:
    """What the recipe asks of `teacher` in one training; None where nothing is asked, which spares its forward pass.

    Args:
        weight: of the teacher's loss.
        student: the network that is going to learn, as it then is: hints are made for its channels.
        data: what it learns from.
        seed: draws the projections of the hints.
    """
    if teacher is None or weight == 0:
        return None
    loss, (height, width) = DISTIL_LOSSES[settings.loss].function(), data.images.shape[1:3]
    hints = hints_between(student, teacher, height, width, settings.hints, seed) if settings.hints > 0 else None
    return Distillation(teacher, loss, weight, settings.temperature, settings.label_weight, hints)


def validation_logits(network: nn.Module, data: TrainingData) -> NDArray[np.float32]:
    """Logits on the validation images, float32 [V, C]."""
    return predict_logits(network, data.images, rows=data.val)


def cut(network: nn.Module, data: TrainingData, image_size: int) -> Cut:
    """Scores on the validation images, multiply-accumulates of one image, and trainable numbers."""
    scores = validation_scores(validation_logits(network, data), data.labels[data.val])
    macs, parameters = prune.count(network, image_size)
    return Cut(Scores(**scores), int(macs), int(parameters))


def run_of(fit: Fit) -> Run:
    """A training as it is written down."""
    return Run(_epochs(fit.history), kept_of(fit), fit.seconds, fit.resumed_after)


def kept_of(fit: Fit) -> KeptEpoch:
    """Which epoch was kept, and why."""
    return KeptEpoch(
        epoch=fit.kept_epoch,
        trained=len(fit.history),
        planned=fit.planned,
        validated=sum("val_score" in numbers for numbers in fit.history),
        best=fit.best_epoch,
        lead=fit.lead,
        standard_error=fit.standard_error,
    )


def _epochs(history: Sequence[Mapping[str, float]]) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=int(numbers["epoch"]),
            label_loss=numbers["label_loss"],
            distil_loss=numbers.get("distil_loss"),
            val_balanced_accuracy=numbers.get("val_balanced_accuracy"),
            val_auroc=numbers.get("val_auroc"),
            val_score=numbers.get("val_score"),
            seconds=numbers["seconds"],
            data_wait_seconds=numbers["data_wait_seconds"],
        )
        for numbers in history
    )
