"""Batches out of the uint8 image cache.

The order of an epoch and every augmentation depend on (seed, epoch, row) alone, never on a generator's history: an
epoch can be repeated exactly after a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.errors import DataError

Augment = Callable[[NDArray[np.uint8], int, int, int], NDArray[np.uint8]]


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads.

    images: uint8 RGB [N, H, W, 3], usually memory-mapped.
    labels: int64 [N], class indices in [0, classes).
    train, val: int64 rows of `images`.
    augment: (image [H, W, 3], seed, epoch, row) -> image of the same shape; None trains on the images as they are.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    classes: int
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if len(self.train) < 2:
            raise DataError(
                f"got {len(self.train)} training images, training needs at least 2",
                hint="add images or lower data.split",
            )
        if len(np.unique(self.labels[self.val])) < 2:
            raise DataError(
                f"the {len(self.val)} validation images hold fewer than 2 classes, so no epoch can be chosen",
                hint="add images or raise data.split.val",
            )

    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 [classes]."""
        return np.bincount(self.labels[self.train], minlength=self.classes).astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """images: uint8 [B, H, W, 3]; labels: int64 [B]; rows: int64 [B], where the images lie in the cache."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


def batch_size_for(data: TrainingData, wanted: int) -> int:
    """The batch size to use: the wanted one, or all training images when there are fewer."""
    return min(wanted, len(data.train))


def epoch_batches(data: TrainingData, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """The training images once, shuffled and augmented, but for the last incomplete batch (other images each epoch)."""
    order = np.random.default_rng((seed, epoch)).permutation(data.train)
    for start in range(0, len(order) - batch_size + 1, batch_size):
        rows = order[start : start + batch_size]
        if data.augment is None:
            images = data.images[rows]
        else:
            images = np.stack([data.augment(data.images[row], seed, epoch, int(row)) for row in rows])
        yield Batch(images, data.labels[rows], rows)


def prefetched(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each prepared in a background thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgetl-batches") as worker:
        following = worker.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = worker.submit(next, batches, None)
            yield batch


def as_input(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """What every network eats: uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in [-1, 1), laid out channels-last."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    return (tensor.permute(0, 3, 1, 2).to(torch.float32) - 128) / 128


def plain_batches(
    data: TrainingData, limit: int, batch_size: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """About `limit` training images without augmentation, in batches of one size, the same ones for each seed."""
    rows = np.random.default_rng(seed).permutation(data.train)[: max(limit, batch_size)]
    for start in range(0, len(rows) - batch_size + 1, batch_size):
        yield as_input(data.images[np.sort(rows[start : start + batch_size])], device)
