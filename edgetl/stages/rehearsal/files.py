"""The artefacts of a rehearsal: each made, loaded in its runtime and run."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetl.backends import converter, trial_run
from edgetl.config.recipe import Recipe
from edgetl.evidence import gates
from edgetl.evidence.parity import compare, widest_flip
from edgetl.lint.graph import Graph
from edgetl.models.architecture import Network
from edgetl.results.rehearsal import RehearsedFile
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common.one_by_one import works_without
from edgetl.stages.rehearsal.steps import Failure, Steps
from edgetl.training.batches import as_input

__all__ = ["files_of", "require_files"]

_CONSTANT = 1e-3
"""Less than that over all images, and a file says the same of each."""
_ROUNDINGS = 4.0
"""A file may differ from PyTorch by so many times what PyTorch differs from itself in double precision."""

Look = Callable[[Path, str, str], None]


def files_of(
    recipe: Recipe,
    network: Network,
    images: NDArray[np.uint8],
    step: Steps,
    look: Look | None = None,
    formats: Sequence[str] | None = None,
) -> tuple[RehearsedFile, ...]:
    """Each artefact that the recipe asks for, made, loaded and run; one that fails leaves the others alone.

    Args:
        images: uint8 [n, H, W, 3], on which they run.
        look: is shown each file, with its backend and precision, before it goes.
        formats: only those; None takes all of the recipe.
    """
    reference = _Reference(network, images)
    files: list[RehearsedFile] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for backend in recipe.formats if formats is None else formats:
            exported = folder / f"{backend}-fp32{BACKENDS[backend].suffix}"

            def export(backend: str = backend) -> Path:
                return converter(backend).export(network, recipe.data.image_size, folder, f"{backend}-fp32")

            def quantize(backend: str = backend, exported: Path = exported) -> Path:
                return converter(backend).quantize(network, exported, images, folder, f"{backend}-int8")

            files.append(_file(backend, "fp32", export, images, reference, step, look))
            if recipe.makes(backend, "int8") and files[-1].problem is None:
                files.append(_file(backend, "int8", quantize, images, None, step, look))
    return tuple(files)


class _Reference:
    """What PyTorch says of the images, and, where somebody asks, how much of it is rounding."""

    def __init__(self, network: Network, images: NDArray[np.uint8]) -> None:
        self._network, self._pixels = network, as_input(images)
        self.probabilities: NDArray[np.float32] = self._said(network, self._pixels).numpy()

    @cached_property
    def rounding(self) -> float:
        """The largest difference to the same network in double precision.

        Attention after every layer of a deep network that was never trained can take each layer's signal nearly away, and the
        next BatchNorm brings it back together with the rounding: PyTorch then differs from itself by a hundredth, or by all.
        """
        exact = self._said(copy.deepcopy(self._network).double(), self._pixels.double())
        return float(np.abs(exact.numpy() - self.probabilities).max())

    @staticmethod
    @torch.no_grad()
    def _said(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return torch.softmax(network(pixels), dim=1)


def _file(
    backend: str,
    precision: str,
    make: Callable[[], Path],
    images: NDArray[np.uint8],
    reference: _Reference | None,
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
        operators, unread = _operators(name, backend, path, step)
        if look is not None:
            look(path, backend, precision)
    except Failure as exc:
        return RehearsedFile(name, time.perf_counter() - began, 0, None, exc.message, None)
    return RehearsedFile(name, time.perf_counter() - began, size, difference, None, operators, unread)


def _operators(name: str, backend: str, path: Path, step: Steps) -> tuple[Graph | None, str]:
    """What a file is made of, or why that cannot be read: it runs all the same, and nothing is predicted of it."""
    try:
        with step.of(f"{name}: reading its operators"):
            return converter(backend).operators(path), ""
    except Failure as exc:
        return None, exc.message


def _judged(name: str, probabilities: NDArray[np.float32], reference: _Reference | None) -> float | None:
    """The difference to PyTorch, of fp32. Raises Failure where the outputs are of no use."""
    if not np.isfinite(probabilities).all():
        raise Failure(f"{name}: its probabilities are not finite")
    if np.ptp(probabilities, axis=0).max() < _CONSTANT:
        raise Failure(f"{name}: says the same of every picture")
    if reference is None:
        return None
    parity = compare(probabilities, reference.probabilities)
    gate = gates.fp32_parity(name, parity, flip=widest_flip(probabilities, reference.probabilities))
    fails = not gate.passed and gate.severity == "fail"
    if fails and parity.max_abs_diff > _ROUNDINGS * reference.rounding:
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
