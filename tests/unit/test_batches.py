"""Batches: which images, in which order, and as which numbers, depends on seed, epoch and row alone."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgetl.data.augment import Augment
from edgetl.errors import DataError
from edgetl.training import batches
from edgetl.training.batches import (
    Batch,
    Prefetched,
    TrainingData,
    as_input,
    augmenting_threads,
    batch_size_for,
    epoch_batches,
    plain_batches,
)

_SIZE = 8


def _data(images: int = 60, train: int = 43) -> TrainingData:
    """The last images are for training, so that a row is not its place among them."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, _SIZE, _SIZE, 3), dtype=np.uint8)
    val = np.arange(images - train)
    return TrainingData(pixels, np.arange(images) % 3, np.arange(images - train, images), val, 3)


def test_two_training_images_are_the_fewest() -> None:
    data = _data()
    dataclasses.replace(data, train=data.train[:2])
    for few in (0, 1):
        with pytest.raises(DataError, match=f"got {few} training images, training needs at least 2"):
            dataclasses.replace(data, train=data.train[:few])


def test_validation_needs_two_classes() -> None:
    data = _data()
    dataclasses.replace(data, val=np.array([0, 1]))
    with pytest.raises(DataError, match="the 2 validation images hold fewer than 2 classes"):
        dataclasses.replace(data, val=np.array([0, 3]))


def test_training_images_are_counted_by_class_also_those_of_none() -> None:
    data = dataclasses.replace(_data(), classes=5)
    assert data.counts().tolist() == [int((data.labels[data.train] == index).sum()) for index in range(5)]
    assert data.counts()[3:].tolist() == [0, 0]


def test_a_batch_is_as_large_as_wanted_or_as_there_are_images() -> None:
    assert [batch_size_for(_data(), wanted) for wanted in (2, 43, 44, 4096)] == [2, 43, 43, 43]


@pytest.mark.parametrize(("size", "count"), [(1, 43), (8, 5), (21, 2), (22, 1), (43, 1), (44, 0)])
def test_an_epoch_has_each_image_once_but_for_an_incomplete_batch(size: int, count: int) -> None:
    data = _data()
    epoch = list(epoch_batches(data, size, 5, 3))
    assert [len(batch.rows) for batch in epoch] == [size] * count
    rows = np.concatenate([batch.rows for batch in epoch]) if epoch else np.empty(0, np.int64)
    assert len(set(rows.tolist())) == len(rows)
    assert set(rows.tolist()) <= set(data.train.tolist())
    for batch in epoch:
        assert np.array_equal(batch.images, data.images[batch.rows])
        assert np.array_equal(batch.labels, data.labels[batch.rows])


def test_the_order_depends_on_seed_and_epoch() -> None:
    orders = [
        np.concatenate([batch.rows for batch in epoch_batches(_data(), 8, *numbers)]).tolist()
        for numbers in ((5, 3), (5, 3), (5, 4), (6, 3))
    ]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3


def test_an_epoch_can_begin_in_its_middle() -> None:
    whole = [batch.rows.tolist() for batch in epoch_batches(_data(), 8, 5, 3)]
    for start in range(7):
        assert [batch.rows.tolist() for batch in epoch_batches(_data(), 8, 5, 3, start=start)] == whole[start:]


def test_the_shares_of_several_processes_make_up_each_batch() -> None:
    shares = [list(epoch_batches(_data(), 8, 5, 3, share=(index, 3))) for index in range(3)]
    for whole, *parts in zip(epoch_batches(_data(), 8, 5, 3), *shares, strict=True):
        assert [part.rows.tolist() for part in parts] == [whole.rows[index::3].tolist() for index in range(3)]
        assert all(np.array_equal(part.images, whole.images[index::3]) for index, part in enumerate(parts))


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_any_number_of_threads_augments_by_seed_epoch_and_row(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    change = Augment(_SIZE)

    def augment(image: NDArray[np.uint8], seed: int, epoch: int, row: int) -> NDArray[np.uint8]:
        seen.append(threading.current_thread().name)
        return change(image, seed, epoch, row)

    monkeypatch.setattr(batches, "augmenting_threads", lambda: threads)
    data = dataclasses.replace(_data(), augment=augment)
    for batch in epoch_batches(data, 8, 5, 3):
        for image, row in zip(batch.images, batch.rows.tolist(), strict=True):
            assert np.array_equal(image, change(data.images[row], 5, 3, row))
    assert any("edgetl-augment" in name for name in seen) is (threads > 1)


@pytest.mark.parametrize("augmented", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_smaller_pictures_are_means_over_areas_of_the_augmented_ones(
    augmented: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "augmenting_threads", lambda: threads)
    change = Augment(_SIZE)
    data = dataclasses.replace(_data(), augment=change if augmented else None)
    whole = list(epoch_batches(data, 8, 5, 3))
    small = list(epoch_batches(data, 8, 5, 3, size=(_SIZE // 2, _SIZE // 4)))
    assert len(small) == len(whole)
    for ours, theirs in zip(small, whole, strict=True):
        assert (ours.rows.tolist(), ours.labels.tolist()) == (theirs.rows.tolist(), theirs.labels.tolist())
        assert ours.images.dtype == np.uint8
        mean = theirs.images.reshape(8, 4, 2, 2, 4, 3).mean(axis=(2, 4))
        assert ours.images.shape == (8, 4, 2, 3)
        assert np.abs(ours.images - mean).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("cores", "processes", "threads"),
    [(1, None, 1), (2, None, 1), (3, None, 2), (5, None, 4), (6, None, 4), (64, None, 4), (8, "2", 3), (2, "4", 1)],
)
def test_a_core_is_left_to_the_training(
    cores: int, processes: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "usable_cores", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert augmenting_threads() == threads


def test_two_batches_are_prepared_ahead() -> None:
    prepared: list[int] = []
    third = threading.Event()

    def noted() -> Iterator[Batch]:
        for number, batch in enumerate(epoch_batches(_data(), 8, 5, 3)):
            prepared.append(number)
            if number == 2:
                third.set()
            yield batch

    taken = iter(Prefetched(noted()))
    first = next(taken)
    assert third.wait(60)
    time.sleep(0.05)  # in which a fourth one would come
    assert prepared == [0, 1, 2], "the one in use and two more"
    rows = [batch.rows.tolist() for batch in (first, *taken)]
    assert rows == [batch.rows.tolist() for batch in epoch_batches(_data(), 8, 5, 3)]


def test_the_time_without_a_batch_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(7.0, 3.0)  # each look at it is three seconds after the one before
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    ahead = Prefetched(epoch_batches(_data(), 8, 5, 3))
    taken = iter(ahead)
    for number in range(1, 6):
        next(taken)
        assert ahead.waited == 3.0 * number


def test_an_error_while_preparing_a_batch_comes_out() -> None:
    def broken(image: NDArray[np.uint8], seed: int, epoch: int, row: int) -> NDArray[np.uint8]:
        raise DataError("no such image")

    with pytest.raises(DataError, match="no such image"):
        list(Prefetched(epoch_batches(dataclasses.replace(_data(), augment=broken), 8, 0, 1)))


def test_inputs_are_exact_and_below_one() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = as_input(images)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.dtype == torch.float32
    expected = torch.arange(256).reshape(16, 16).expand(1, 3, 16, 16).double()
    assert torch.equal(tensor.double(), (expected - 128) / 128)


@pytest.mark.parametrize(
    ("limit", "size", "counts"),
    [(16, 8, [8, 8]), (20, 8, [8, 8]), (23, 8, [8, 8]), (24, 8, [8, 8, 8]), (3, 8, [8]), (1000, 8, [8] * 5)],
)
def test_some_images_as_they_are(limit: int, size: int, counts: list[int]) -> None:
    data = dataclasses.replace(_data(), augment=lambda image, *numbers: np.zeros_like(image))
    some = list(plain_batches(data, limit, size, 5))
    assert [len(batch) for batch in some] == counts
    order = np.random.default_rng(5).permutation(data.train)
    for number, batch in enumerate(some):
        rows = np.sort(order[number * size : (number + 1) * size])
        assert torch.equal(batch, as_input(data.images[rows]))
