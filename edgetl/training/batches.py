"""Batches out of the uint8 image cache.

The order of an epoch and every augmentation depend on (seed, epoch, row) alone, never on a generator's history: an
epoch can be repeated exactly after a kill.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.errors import DataError
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.preprocessing import DIVISOR, OFFSET

Augment = Callable[[NDArray[np.uint8], int, int, int], NDArray[np.uint8]]

_UNLABELLED = 2  # keeps the order of unlabelled pictures apart from other draws of (seed, epoch)
_AHEAD = 2
"""Batches that are prepared in advance."""


class Pictures(Protocol):
    """uint8 RGB pictures by their rows; an array [N, H, W, 3] is one, and so is what reads them from files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(pictures, H, W, 3)."""

    def __getitem__(self, rows: Any, /) -> NDArray[np.uint8]:
        """[H, W, 3] of one row, or [n, H, W, 3] of an integer array of rows."""


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads.

    images: of all rows in `train` and `val`, usually read from a file.
    labels: int64 [N], by row: class indices in [0, classes).
    train, val: int64 rows of `images`.
    augment: (image [H, W, 3], seed, epoch, row) -> image of the same shape; None trains on the images as they are.
        Several threads call it at once.
    names: row -> the image's file, for messages; None where there are no files.
    val_groups: of each image in `val`, what it was sampled with (lesion, patient); None where every image stands alone.
    unlabelled: further pictures of the same size, by their number, of which only a teacher says something; None: no such.
    """

    images: Pictures
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    classes: int
    augment: Augment | None = None
    names: Callable[[int], str] | None = None
    val_groups: Sequence[str] | None = None
    unlabelled: Pictures | None = None

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
        if self.unlabelled is not None and self.unlabelled.shape[1:] != self.images.shape[1:]:
            sides = " x ".join(map(str, self.images.shape[1:3]))
            raise DataError(
                f"got unlabelled pictures of {' x '.join(map(str, self.unlabelled.shape[1:3]))}, expected {sides}",
                hint="decode them as those with labels",
            )

    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 [classes]."""
        return np.bincount(self.labels[self.train], minlength=self.classes).astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    images: uint8 [B, H, W, 3]; labels: int64 [B]; rows: int64 [B], where the images lie in the cache.
    unlabelled: uint8 [U, H, W, 3], U as in every other batch; None where the data have none, or none for this process.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    unlabelled: NDArray[np.uint8] | None = None


def batch_size_for(data: TrainingData, wanted: int) -> int:
    """The batch size to use: the wanted one, or all training images when there are fewer."""
    return min(wanted, len(data.train))


def unlabelled_numbers(data: TrainingData, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Which unlabelled pictures go into each batch of an epoch, int64 [batches, U]; U is 0 where the data have none.

    So many a batch that an epoch sees all of them once, but at most as many as are labelled: then each epoch sees others.
    Where they are few, some are seen once more.
    """
    count, batches = 0 if data.unlabelled is None else data.unlabelled.shape[0], len(data.train) // batch_size
    each = min(batch_size, -(-count // max(1, batches)))
    order = np.random.default_rng((seed, epoch, _UNLABELLED)).permutation(count)
    return np.resize(order, (batches, each)).astype(np.int64, copy=False)


def drawing_rows(data: TrainingData, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """What augmentation draws by for unlabelled pictures: no row of a labelled one."""
    return numbers + len(data.labels)


def epoch_batches(
    data: TrainingData,
    batch_size: int,
    seed: int,
    epoch: int,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
    size: tuple[int, int] | None = None,
) -> Iterator[Batch]:
    """The training images once, shuffled and augmented, but for the last incomplete batch (other images each epoch).

    Args:
        start: the batch to begin with; those before it are not even read.
        share: (index, of): of each batch only every `of`-th image, from `index` on, for one of several processes.
        size: (height, width) that they are made smaller to after augmentation; None leaves them as they are.
    """
    prepare = _prepare(data.augment, size)
    order = epoch_order(data, seed, epoch)
    further = unlabelled_numbers(data, batch_size, seed, epoch)
    threads = augmenting_threads() if prepare is not None else 0
    with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="edgetl-augment") as pool:
        for first in range(start * batch_size, len(order) - batch_size + 1, batch_size):
            rows = order[first : first + batch_size][share[0] :: share[1]]
            images, unlabelled = _images(data.images, prepare, rows, seed, epoch, pool, threads), None
            numbers = further[first // batch_size][share[0] :: share[1]]
            if data.unlabelled is not None and len(numbers):
                drawn_by = drawing_rows(data, numbers)
                unlabelled = _images(data.unlabelled, prepare, numbers, seed, epoch, pool, threads, drawn_by)
            yield Batch(images, data.labels[rows], rows, unlabelled)


def epoch_order(data: TrainingData, seed: int, epoch: int) -> NDArray[np.int64]:
    """The training rows as an epoch goes through them."""
    return np.random.default_rng((seed, epoch)).permutation(data.train)


def _prepare(augment: Augment | None, size: tuple[int, int] | None) -> Augment | None:
    """Augmentation, and then the mean over areas down to `size`; None where neither is wanted."""
    if size is None:
        return augment
    import cv2

    cv2.setNumThreads(0)  # ours are enough, and its own take the cores from torch
    height, width = size

    def smaller(image: NDArray[np.uint8], seed: int, epoch: int, row: int) -> NDArray[np.uint8]:
        changed = image if augment is None else augment(image, seed, epoch, row)
        return np.asarray(cv2.resize(changed, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    return smaller


def _images(
    images: Pictures,
    augment: Augment | None,
    rows: NDArray[np.int64],
    seed: int,
    epoch: int,
    pool: ThreadPoolExecutor,
    threads: int,
    drawn_by: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """uint8 [len(rows), H, W, 3], changed by `augment` where there is one, by `threads` threads at once.

    `drawn_by`: what it draws by, of each; None takes the rows.
    """
    if augment is None:
        return images[rows]

    def change(some: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        return [augment(images[row], seed, epoch, int(draw)) for row, draw in some]

    pairs = np.stack([rows, rows if drawn_by is None else drawn_by], axis=1)
    if threads < 2:
        return np.stack(change(pairs))
    parts = pool.map(change, np.array_split(pairs, threads))
    return np.stack([image for part in parts for image in part])


def augmenting_threads() -> int:
    """How many threads augment: one core is left to the training, and Python's lock leaves nothing to more than four."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(4, usable_cores() // processes - 1))


class Prefetched:
    """The same batches, prepared in a background thread while those before them are in use.

    Attributes:
        waited: seconds for which whoever takes the batches had to wait for them.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgetl-batches") as worker:
            ahead = deque(worker.submit(next, self._batches, None) for _ in range(_AHEAD))
            while True:
                began = time.perf_counter()
                batch = ahead.popleft().result()
                self.waited += time.perf_counter() - began
                if batch is None:
                    return
                ahead.append(worker.submit(next, self._batches, None))
                yield batch


def as_input(images: NDArray[np.uint8] | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """What every network eats: uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in [-1, 1), laid out channels-last."""
    tensor = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device).permute(0, 3, 1, 2).to(torch.float32).sub_(OFFSET).div_(DIVISOR)


def plain_batches(
    data: TrainingData, limit: int, batch_size: int, seed: int, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """About `limit` training images without augmentation, in batches of one size, the same ones for each seed."""
    rows = np.random.default_rng(seed).permutation(data.train)[: max(limit, batch_size)]
    for start in range(0, len(rows) - batch_size + 1, batch_size):
        yield as_input(data.images[np.sort(rows[start : start + batch_size])], device)
