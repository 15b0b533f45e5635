"""What the training stages share: opening the data, building a network, and writing a trained one down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.config.recipe import Distil
from edgetl.data.augment import Augment
from edgetl.data.images import open_images
from edgetl.data.records import Split
from edgetl.data.table import DataTable
from edgetl.models import backbones, prune, spec
from edgetl.models.architecture import Network
from edgetl.models.ensemble import AveragedLogits
from edgetl.stages.common.networks import TEACHERS
from edgetl.stages.common.settings import augmentation
from edgetl.stages.common.stage import Context
from edgetl.tasks.classify import validation_scores
from edgetl.training.batches import TrainingData
from edgetl.training.inference import predict_logits
from edgetl.training.loop import Distillation, Fit
from edgetl.training.losses import DISTIL_LOSSES

NETWORK = "network"
TRAINING = "training.json"
CHOICE = "choice.json"
_SPLITS: tuple[Split, ...] = ("train", "val")


def open_table(context: Context) -> DataTable:
    """The training and validation records."""
    return DataTable.load(context.inputs["data"], _SPLITS)


def open_data(context: Context, table: DataTable) -> TrainingData:
    """The training and validation images, with augmentation for training."""
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
    )


def create(seed: int, *arguments: Any, **options: Any) -> tuple[Network, dict[str, Any]]:
    """`backbones.create` with initial weights that depend on `seed` alone, and what it says about them as JSON."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, used = backbones.create(*arguments, **options)
    return network, used.to_json()


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
    networks = [load(context.inputs[stage]) for stage in stages]
    if not networks:
        return None
    return networks[0] if len(networks) == 1 else AveragedLogits(networks)


def distillation(settings: Distil, teacher: nn.Module | None, weight: float) -> Distillation | None:
    """What the recipe's loss asks of `teacher`; None where nothing is asked, which spares its forward pass."""
    if teacher is None or weight == 0:
        return None
    return Distillation(teacher, DISTIL_LOSSES[settings.loss], weight, settings.temperature)


def validation_logits(network: nn.Module, data: TrainingData) -> NDArray[np.float32]:
    """Logits on the validation images, float32 [V, C]."""
    return predict_logits(network, data.images, rows=data.val)


def validation(network: nn.Module, data: TrainingData) -> dict[str, float]:
    """Scores on the validation images."""
    return validation_scores(validation_logits(network, data), data.labels[data.val])


def costs(network: nn.Module, image_size: int) -> dict[str, int]:
    """Multiply-accumulates of one image and trainable numbers."""
    macs, parameters = prune.count(network, image_size)
    return {"macs": int(macs), "parameters": int(parameters)}


def described(fit: Fit) -> dict[str, Any]:
    """A training as JSON."""
    return {
        "history": fit.history,
        "best_epoch": fit.best_epoch,
        "validation": fit.scores,
        "seconds": fit.seconds,
        "resumed_after": fit.resumed_after,
    }


def write_choice(folder: Path, weight: float) -> None:
    """choice.json of the distil stage: what later stages depend on, apart from training.json with its times."""
    (folder / CHOICE).write_text(json.dumps({"weight": weight}) + "\n", encoding="utf-8")


def read_choice(folder: Path) -> float:
    """The weight of the teacher's loss that the distil stage chose."""
    return float(json.loads((folder / CHOICE).read_text(encoding="utf-8"))["weight"])


def write_training(folder: Path, document: Mapping[str, Any]) -> None:
    """Write training.json; numbers that are not finite are a bug and refused."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / TRAINING).write_text(text + "\n", encoding="utf-8")
