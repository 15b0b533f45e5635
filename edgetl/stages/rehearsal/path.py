"""The path itself, from fresh networks to files that run; what `child` starts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backends import converter, trial_run
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Silent
from edgetl.data.images import open_images
from edgetl.data.table import DataTable
from edgetl.errors import EdgetlError, UsageError
from edgetl.errors.wording import one_line
from edgetl.evidence import gates
from edgetl.evidence.parity import compare, widest_flip
from edgetl.models import spec
from edgetl.models.architecture import Network, require_size
from edgetl.models.prune import count, prune_to_macs
from edgetl.results.rehearsal import Rehearsal, RehearsedFile, RehearsedPruning, RehearsedTraining
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.memory import peak_rss_mb
from edgetl.stages.common import trained
from edgetl.stages.common.forecast import Kind, job_of, kinds_of
from edgetl.stages.common.one_by_one import works_without
from edgetl.stages.common.planned import Architecture, of_teacher, trainings
from edgetl.stages.common.preflight import SIZES
from edgetl.stages.common.stage import Context
from edgetl.stages.common.tried import calibration_rows
from edgetl.stages.rehearsal.memory import forget_the_peak
from edgetl.stages.rehearsal.spread import spread
from edgetl.training.batches import TrainingData, as_input, plain_batches
from edgetl.training.pace import measured

__all__ = ["Failure", "Steps", "files_of", "pruned", "read_back", "rehearse", "require_files"]

_IMAGES = 64
"""Training images on which BatchNorm is measured and the head's scale."""
_RUN = 16
"""Images that each file is run on, and int8 ranges are taken from."""
_CONSTANT = 1e-3
"""Less than that over all images, and a file says the same of each."""
_BUDGET = 6.0
"""Seconds for the steps of one kind of training, once the fewest are measured."""
_LEAST = 5
"""Steps that are measured of each kind, however long they take; the first two set things up."""

Say = Callable[[str], None]
Look = Callable[[Path, str, str], None]


class Failure(UsageError):
    """The path ends here: what a training would have led to after hours."""


@dataclass(frozen=True)
class Steps:
    """What is being done, for whoever waits and for the message when it fails."""

    say: Say

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Name everything that goes wrong in the block."""
        self.say(what)
        try:
            yield
        except Failure:
            raise
        except EdgetlError as exc:
            reason = exc.message.removeprefix(what.partition(" ")[0]).lstrip()  # both name the file
            raise Failure(f"{what}: {reason}", hint=exc.hint) from exc
        except (Exception, MemoryError) as exc:  # third parties raise every type there is
            raise Failure(f"{what}: {type(exc).__name__}: {one_line(exc)}") from exc


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
    files = files_of(recipe, network, _images(recipe, folder), step)
    require_files(recipe, files)
    rehearsed = _trainings(recipe, data, step)
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


def files_of(
    recipe: Recipe, network: Network, images: NDArray[np.uint8], step: Steps, look: Look | None = None
) -> tuple[RehearsedFile, ...]:
    """Each artefact that the recipe asks for, made, loaded and run; one that fails leaves the others alone.

    Args:
        images: uint8 [n, H, W, 3], on which they run.
        look: is shown each file, with its backend and precision, before it goes.
    """
    with torch.no_grad():
        reference = torch.softmax(network(as_input(images)), dim=1).numpy()
    files: list[RehearsedFile] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for backend in recipe.formats:
            exported = folder / f"{backend}-fp32{BACKENDS[backend].suffix}"

            def export(backend: str = backend) -> Path:
                return converter(backend).export(network, recipe.data.image_size, folder, f"{backend}-fp32")

            def quantize(backend: str = backend, exported: Path = exported) -> Path:
                return converter(backend).quantize(network, exported, images, folder, f"{backend}-int8")

            files.append(_file(backend, "fp32", export, images, reference, step, look))
            if recipe.makes(backend, "int8") and files[-1].problem is None:
                files.append(_file(backend, "int8", quantize, images, None, step, look))
    return tuple(files)


def _file(
    backend: str,
    precision: str,
    make: Callable[[], Path],
    images: NDArray[np.uint8],
    reference: NDArray[np.float32] | None,
    step: Steps,
    look: Look | None,
) -> RehearsedFile:
    name, began = f"{backend}-{precision}", time.perf_counter()
    try:
        with step.of(f"{name}: making it"):
            path = make()
        size = sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*"))
        with step.of(f"{name}: running it"):
            options = dict(BACKENDS[backend].runtime_options.get(precision, {}))
            probabilities = trial_run.outputs(path, backend, images, options)
        difference = _judged(name, probabilities, reference)
        if look is not None:
            look(path, backend, precision)
    except Failure as exc:
        return RehearsedFile(name, time.perf_counter() - began, 0, None, exc.message)
    return RehearsedFile(name, time.perf_counter() - began, size, difference, None)


def _judged(name: str, probabilities: NDArray[np.float32], reference: NDArray[np.float32] | None) -> float | None:
    """The difference to PyTorch, of fp32. Raises Failure where the outputs are of no use."""
    if not np.isfinite(probabilities).all():
        raise Failure(f"{name}: its probabilities are not finite")
    if np.ptp(probabilities, axis=0).max() < _CONSTANT:
        raise Failure(f"{name}: says the same of every picture")
    if reference is None:
        return None
    parity = compare(probabilities, reference)
    gate = gates.fp32_parity(name, parity, flip=widest_flip(probabilities, reference))
    if not gate.passed and gate.severity == "fail":
        raise Failure(f"{name}: {gate.message}")
    return parity.max_abs_diff


def require_files(recipe: Recipe, files: Sequence[RehearsedFile]) -> None:
    """Every artefact of the recipe, or those that can be had where it may ship without the others. Raises Failure."""
    failed = [file for file in files if file.problem is not None]
    works = {file.name for file in files if file.problem is None} & set(recipe.artifacts)
    if not failed or (works and recipe.incomplete == "ship"):
        return
    raise Failure(
        f"{recipe.student.backbone}: " + "; ".join(file.problem or "" for file in failed),
        hint=works_without(recipe, [file.name for file in failed]),
    )


def _trainings(recipe: Recipe, data: TrainingData, step: Steps) -> tuple[RehearsedTraining, ...]:
    """A few steps of each kind of training that the recipe has."""
    kinds: dict[Kind, RehearsedTraining] = {}
    for planned in trainings(recipe, data):
        for kind in kinds_of(planned):
            if kind in kinds:
                continue
            with step.of(f"{kind.architecture.backbone}: steps of a training"), forget_the_peak() as peak:
                pace = measured(job_of(recipe, data, planned, kind.taught), _BUDGET, least=_LEAST)
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
