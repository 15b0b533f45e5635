"""Where the pictures of a training lie: all of them on the device, or, where they do not fit, in pinned memory on the way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.training.batches import Pictures, TrainingData

__all__ = ["Resident", "Source", "Streamed", "fit", "placed", "room"]

_LARGEST_SHARE = 0.5
"""Of the device's free memory; the rest is the training's."""
_AT_ONCE = 512
"""Pictures that are copied at once."""


def fit(data: TrainingData, device: torch.device) -> bool:
    """Whether the pictures of training and validation, and those without labels, fit on the device beside a training."""
    unlabelled = 0 if data.unlabelled is None else data.unlabelled.shape[0]
    return len(data.train) + len(data.val) + unlabelled <= room(device, int(np.prod(data.images.shape[1:])))


def room(device: torch.device, size: int) -> int:
    """How many pictures of `size` bytes fit on a CUDA device beside a training."""
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(_LARGEST_SHARE * free) // size


class Source(Protocol):
    """Gives the batches of an epoch to the device."""

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """uint8 [size, H, W, 3] on the device, of each `size` rows of `order`; valid until the next one is asked for."""


class Resident:
    """Pictures on the device, by their rows: both a `Source` and a `Pictures`.

    shape: (pictures, H, W, 3).
    """

    def __init__(self, images: Pictures, rows: NDArray[np.int64], device: torch.device) -> None:
        """rows: those that will be asked for, each once, in ascending order."""
        self.shape = (len(rows), *images.shape[1:])
        self._images = torch.empty(self.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(rows), _AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(images[rows[start : start + _AT_ONCE]]))
            self._images[start : start + len(part)].copy_(part)
        self._places = np.full(int(rows[-1]) + 1, -1, dtype=np.int64)
        self._places[rows] = np.arange(len(rows))

    def __getitem__(self, rows: Any, /) -> Any:
        """uint8 [n, H, W, 3], a tensor on the device."""
        return self._images.index_select(0, self._on_device(np.atleast_1d(rows)))

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """See `Source`."""
        places = self._on_device(order)
        for start in range(0, len(order), size):
            yield self._images.index_select(0, places[start : start + size])

    def _on_device(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self._places[rows]).to(self._images.device)


class Streamed:
    """Pictures that are read while the device computes, and sent to it between two steps."""

    def __init__(self, images: Pictures, device: torch.device) -> None:
        self._images, self._device = images, device

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[Tensor]:
        """See `Source`."""
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgetl-pictures") as worker:
            ahead = [worker.submit(self._read, part) for part in parts[:2]]
            for number in range(len(parts)):
                pixels = ahead.pop(0).result()
                if number + 2 < len(parts):
                    ahead.append(worker.submit(self._read, parts[number + 2]))
                yield pixels.to(self._device, non_blocking=True)

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(self._images[rows]))
        return pixels.pin_memory() if self._device.type == "cuda" else pixels


def placed(data: TrainingData, device: torch.device, resident: bool) -> tuple[Source, Pictures, Source | None]:
    """Where a training's batches come from, its pictures by their rows, and where those without labels come from, if any."""
    further = data.unlabelled
    if resident:
        pictures = Resident(data.images, np.union1d(data.train, data.val), device)
        return pictures, pictures, None if further is None else Resident(further, np.arange(further.shape[0]), device)
    return Streamed(data.images, device), data.images, None if further is None else Streamed(further, device)
