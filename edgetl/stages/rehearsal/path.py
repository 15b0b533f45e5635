"""The path itself, from fresh networks to files that run; what `child` starts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.config.recipe import Recipe
from edgetl.console.progress import Silent
from edgetl.data.images import open_images
from edgetl.data.table import DataTable
from edgetl.models import spec
from edgetl.models.architecture import Network, require_size
from edgetl.models.prune import count, prune_to_macs
from edgetl.results.rehearsal import Rehearsal, RehearsedPruning, RehearsedTraining
from edgetl.runtime.memory import peak_rss_mb
from edgetl.stages.common import trained
from edgetl.stages.common.forecast import Kind, job_of, kinds_of
from edgetl.stages.common.planned import Architecture, of_teacher, trainings
from edgetl.stages.common.preflight import SIZES
from edgetl.stages.common.stage import Context
from edgetl.stages.common.tried import calibration_rows
from edgetl.stages.rehearsal.beside import all_files
from edgetl.stages.rehearsal.files import require_files
from edgetl.stages.rehearsal.memory import forget_the_peak, held_mb
from edgetl.stages.rehearsal.spread import spread
from edgetl.stages.rehearsal.steps import Failure, Say, Steps
from edgetl.training.batches import TrainingData, plain_batches
from edgetl.training.pace import measured

__all__ = ["pruned", "read_back", "rehearse"]

_IMAGES = 64
"""Training images on which BatchNorm is measured and the head's scale."""
_RUN = 8
"""Images that each file is run on, and int8 ranges are taken from."""
_BUDGET = 6.0
"""Seconds for the steps of one kind of training, once the fewest are measured."""
_LEAST = 5
"""Steps that are measured of each kind, however long they take; the first two set things up."""
_AGAIN = 3
"""The same of a network that has been trained already, with another teacher or none: only the first one sets things up."""


def rehearse(recipe: Recipe, folder: Path, say: Say) -> Rehearsal:
    """Go the whole path of a recipe.

    Args:
        folder: the result of the data stage.
        say: is told what is being done.

    Raises:
        Failure: it cannot be gone, naming backbone and step, with what would work.
    """
    began = time.perf_counter()
    step = Steps(say)
    context = Context(recipe, folder, {"data": folder}, folder, folder, folder, Silent())
    data = trained.open_data(context, trained.open_table(context))
    student = Architecture(recipe.student.backbone, recipe.student.attention, recipe.student.activation)
    size = recipe.data.image_size
    for teacher in recipe.teachers:
        with step.of(f"{teacher.backbone}: an image of {size} x {size}"):
            require_size(trained.untrained(of_teacher(teacher), data.classes, size), size, SIZES)
    with step.of(f"{student.backbone}: an image of {size} x {size}"):
        network = trained.untrained(student, data.classes, size)
        require_size(network, size, SIZES)
    seen = list(plain_batches(data, _IMAGES, min(_IMAGES // 2, len(data.train)), seed=0))
    with step.of(f"{student.backbone}: BatchNorm on training images"):
        spread(network, seen)
    pruning = pruned(recipe, network, seen, step)
    with step.of(f"{student.backbone}: saving and reading it back"):
        network = read_back(network, seen[0][:2])
    base_mb = held_mb()  # with all that a training loads, and no converter yet
    files = all_files(recipe, network, _images(recipe, folder), step)
    require_files(recipe, files)
    rehearsed = _trainings(recipe, data, step, base_mb)
    return Rehearsal(rehearsed, pruning, files, time.perf_counter() - began, peak_rss_mb())


def pruned(recipe: Recipe, network: Network, seen: Sequence[Tensor], step: Steps) -> RehearsedPruning | None:
    """Prune the network, in place, as the recipe does."""
    if recipe.prune is None:
        return None
    began, size = time.perf_counter(), recipe.data.image_size
    before, _ = count(network, size)
    with step.of(f"{recipe.student.backbone}: pruning to {recipe.prune.macs:g} of the MACs"):
        prune_to_macs(network, size, recipe.prune.macs, recipe.prune.round_to)
        spread(network, seen)
    after, _ = count(network, size)
    return RehearsedPruning(recipe.prune.macs, after / before, time.perf_counter() - began)


@torch.no_grad()
def read_back(network: Network, images: Tensor) -> Network:
    """The network, written and read back. Raises Failure where it computes something else."""
    with tempfile.TemporaryDirectory() as folder:
        spec.save(network, Path(folder))
        again = spec.load(Path(folder)).eval()
    if not torch.equal(network.eval()(images), again(images)):
        raise Failure("the network that was read back computes something else")
    return again


def _images(recipe: Recipe, folder: Path) -> NDArray[np.uint8]:
    """uint8 [n, H, W, 3], training images of all classes."""
    table = DataTable.load(folder, ("train",))
    rows = calibration_rows(table, _RUN, recipe.seed)
    return open_images(folder, table, ("train",))[rows]


def _trainings(recipe: Recipe, data: TrainingData, step: Steps, base_mb: float | None) -> tuple[RehearsedTraining, ...]:
    """A few steps of each kind of training that the recipe has. base_mb: what the process held before it had converters."""
    kinds: dict[Kind, RehearsedTraining] = {}
    for planned in trainings(recipe, data):
        for kind in kinds_of(planned):
            if kind in kinds:
                continue
            again = any(known._replace(taught=kind.taught) == kind for known in kinds)
            budget, least, warm = (_BUDGET / 2, _AGAIN, 1) if again else (_BUDGET, _LEAST, 2)
            with step.of(f"{kind.architecture.backbone}: steps of a training"), forget_the_peak(base_mb) as peak:
                pace = measured(job_of(recipe, data, planned, kind.taught), budget, least=least, warm=warm)
            kinds[kind] = RehearsedTraining(
                *kind.architecture,
                taught=kind.taught,
                batch_size=kind.batch_size,
                precision=kind.precision,
                grows=kind.grows,
                step_seconds=pace.step_seconds,
                image_seconds=pace.image_seconds,
                steps=pace.steps,
                peak_mb=peak.process_mb,
                device_mb=peak.device_mb,
            )
    return tuple(kinds.values())
