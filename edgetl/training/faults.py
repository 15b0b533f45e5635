"""What goes wrong inside a step, said so that a person can act on it: which images, and which setting to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from edgetl.errors import EdgetlError, EnvironmentFault
from edgetl.training.batches import Batch, TrainingData

_SHOWN = 8
# What torch, oneDNN and the C++ library say in a plain RuntimeError when an allocation on the CPU fails.
_NO_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "out of memory", "could not create a memory object")


def diverged(label: str, epoch: int, index: int, batch: Batch, data: TrainingData, loss: float) -> EdgetlError:
    """The loss, or its gradient, is not finite; `index` counts the epoch's batches from 0."""
    return EdgetlError(
        f"epoch {epoch}, batch {index + 1}: loss {loss}, or its gradient, is not finite ({_images(batch, data)})",
        place=label,
        hint="lower learning_rate, or look at those images if they repeat; the last good checkpoint is kept",
    )


@contextmanager
def naming_memory(label: str, doing: Callable[[], str]) -> Iterator[None]:
    """Translate running out of memory, on the CPU or a GPU, into an EnvironmentFault that says what for."""
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if not out_of_memory(exc):
            raise
        raise EnvironmentFault(
            f"out of memory in {doing()}: {_first_line(exc)}",
            place=label,
            hint="lower batch_size or data.image_size; the last good checkpoint is kept",
        ) from exc


def named(epoch: int, index: int, batch: Batch, data: TrainingData) -> str:
    """A batch, its size and its images; `index` counts the epoch's batches from 0."""
    height, width = batch.images.shape[1:3]
    shape = f"{len(batch.rows)} images of {height} x {width} pixels"
    return f"epoch {epoch}, batch {index + 1}: {shape} ({_images(batch, data)})"


def out_of_memory(error: BaseException) -> bool:
    """Whether this is an allocation that failed; torch raises a plain RuntimeError for those on the CPU."""
    known = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, known) or any(words in str(error) for words in _NO_MEMORY)


def _images(batch: Batch, data: TrainingData) -> str:
    """Which images a batch holds: their files where they are known, else their rows in the cache."""
    rows = [int(row) for row in batch.rows[:_SHOWN]]
    more = f" and {len(batch.rows) - _SHOWN} more" if len(batch.rows) > _SHOWN else ""
    if data.names is None:
        return f"image rows {', '.join(map(str, rows))}{more}"
    return f"images {', '.join(data.names(row) for row in rows)}{more}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
