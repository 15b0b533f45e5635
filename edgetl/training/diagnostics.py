"""What goes wrong inside a step, said so that a person can act on it: which images, and which setting to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import EnvironmentFault, TrainingDiverged, out_of_memory
from edgetl.errors.wording import first_line
from edgetl.training.batches import Batch, TrainingData

_SHOWN = 8
_DIVERGED = (
    "lower learning_rate, with which the training starts anew, or look at those images; the same command goes on from the "
    "last good checkpoint, and ends here again"
)


def diverged(
    label: str, epoch: int, index: int, rows: NDArray[np.int64], data: TrainingData, loss: float
) -> TrainingDiverged:
    """The loss, or its gradient, is not finite; `index` counts the epoch's batches from 0."""
    further = "" if data.unlabelled is None else ", or of those without labels"
    return TrainingDiverged(
        f"epoch {epoch}, batch {index + 1}: loss {loss}, or its gradient, is not finite ({_images(rows, data)}{further})",
        place=label,
        hint=_DIVERGED,
    )


def diverged_outputs(label: str, epoch: int) -> TrainingDiverged:
    """What the network says of the validation images is not finite."""
    return TrainingDiverged(f"epoch {epoch}: the validation outputs are not finite", place=label, hint=_DIVERGED)


@contextmanager
def naming_memory(label: str, doing: Callable[[], str]) -> Iterator[None]:
    """Translate running out of memory, on the CPU or a GPU, into an EnvironmentFault that says what for."""
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not out_of_memory(exc):
            raise
        raise EnvironmentFault(
            f"out of memory in {doing()}: {first_line(exc)}",
            place=label,
            hint="lower batch_size or data.image_size; the last good checkpoint is kept",
        ) from exc


def named(epoch: int, index: int, batch: Batch, data: TrainingData) -> str:
    """A batch, its size and its images; `index` counts the epoch's batches from 0."""
    height, width = batch.images.shape[1:3]
    further = "" if batch.unlabelled is None else f" and {len(batch.unlabelled)} without labels"
    shape = f"{len(batch.rows)} images{further} of {height} x {width} pixels"
    return f"epoch {epoch}, batch {index + 1}: {shape} ({_images(batch.rows, data)})"


def _images(rows: NDArray[np.int64], data: TrainingData) -> str:
    """Which images a batch holds: their files where they are known, else their rows in the cache."""
    first = rows[:_SHOWN].tolist()
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    if data.names is None:
        return f"image rows {', '.join(map(str, first))}{more}"
    return f"images {', '.join(data.names(row) for row in first)}{more}"
