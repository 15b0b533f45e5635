"""What goes wrong in a step names its images and what to change, each once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgetl.errors import EnvironmentFault
from edgetl.training.batches import Batch, TrainingData
from edgetl.training.diagnostics import diverged, diverged_outputs, named, naming_memory

_DATA = TrainingData(
    np.zeros((20, 4, 6, 3), np.uint8), np.arange(20) % 2, np.arange(10), np.arange(10, 20), 2, names="{:03d}.png".format
)


def _rows(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(1, count + 1)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "images 001.png"),
        (8, "images 001.png, 002.png, 003.png, 004.png, 005.png, 006.png, 007.png, 008.png"),
        (9, "images 001.png, 002.png, 003.png, 004.png, 005.png, 006.png, 007.png, 008.png and 1 more"),
    ],
)
def test_eight_images_are_named(count: int, said: str) -> None:
    error = diverged("student", 3, 0, _rows(count), _DATA, float("inf"))
    assert str(error.message) == f"epoch 3, batch 1: loss inf, or its gradient, is not finite ({said})"
    assert error.place == "student"
    assert "lower learning_rate" in (error.hint or "")


def test_without_files_rows_are_named() -> None:
    nameless = dataclasses.replace(_DATA, names=None)
    message = diverged("student", 3, 6, _rows(10), nameless, 1.5).message
    assert message.startswith("epoch 3, batch 7: loss 1.5,")
    assert "(image rows 1, 2, 3, 4, 5, 6, 7, 8 and 2 more)" in message


def test_a_batch_is_named_by_its_size() -> None:
    batch = Batch(_DATA.images[:2], _DATA.labels[:2], _rows(2))
    assert named(2, 4, batch, _DATA) == "epoch 2, batch 5: 2 images of 4 x 6 pixels (images 001.png, 002.png)"


def test_outputs_that_are_not_finite_name_their_epoch() -> None:
    error = diverged_outputs("teacher", 2)
    assert (error.message, error.place) == ("epoch 2: the validation outputs are not finite", "teacher")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "MemoryError"),
        (MemoryError("  \n got none \n of it"), "got none"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory\nmore"), "[enforce fail] Default"),
    ],
)
def test_running_out_of_memory_says_what_for(error: Exception, line: str) -> None:
    with pytest.raises(EnvironmentFault) as caught, naming_memory("student", lambda: "the training"):
        raise error
    assert caught.value.message.startswith(f"out of memory in the training: {line}")
    assert caught.value.place == "student"
    assert caught.value.__cause__ is error


def test_other_errors_come_through() -> None:
    with pytest.raises(RuntimeError, match="mat1"), naming_memory("student", lambda: "the training"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with naming_memory("student", lambda: "the training"):
        pass
