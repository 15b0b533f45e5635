"""What goes into an artefact and comes out of it, held against the contract before a runtime is trusted with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.sessions.checks import check_image, check_signature, check_threads, precision_of

INPUT: tuple[str, list[Any]] = ("uint8", [1, 5, 7, 3])
OUTPUT: tuple[str, list[Any]] = ("float32", [1, 2])
MODEL = Path("m.onnx")


def test_the_contract_gives_both_shapes() -> None:
    assert check_signature(MODEL, [INPUT], [OUTPUT]) == ((1, 5, 7, 3), (1, 2))
    assert check_signature(MODEL, [("uint8", [1, 1, 1, 3])], [("float32", [1, 1])]) == ((1, 1, 1, 3), (1, 1))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([], [OUTPUT]),
        ([INPUT], []),
        ([INPUT, INPUT], [OUTPUT]),
        ([INPUT], [OUTPUT, OUTPUT]),
        ([("int8", INPUT[1])], [OUTPUT]),
        ([("uint8", [2, 5, 7, 3])], [OUTPUT]),
        ([("uint8", [0, 5, 7, 3])], [OUTPUT]),
        ([("uint8", [1, 0, 7, 3])], [OUTPUT]),
        ([("uint8", [1, -1, 7, 3])], [OUTPUT]),
        ([("uint8", [1, 5, "width", 3])], [OUTPUT]),
        ([("uint8", [1, 5, 7, 1])], [OUTPUT]),
        ([("uint8", [1, 5, 7, 4])], [OUTPUT]),
        ([("uint8", [1, 3, 5, 7])], [OUTPUT]),
        ([("uint8", [5, 7, 3])], [OUTPUT]),
        ([("uint8", [1, 1, 5, 7, 3])], [OUTPUT]),
        ([INPUT], [("uint8", [1, 2])]),
        ([INPUT], [("float32", [2, 2])]),
        ([INPUT], [("float32", [1, 0])]),
        ([INPUT], [("float32", ["batch", 2])]),
        ([INPUT], [("float32", [2])]),
        ([INPUT], [("float32", [1, 2, 1])]),
        ([INPUT], [("float32", [1])]),
    ],
)
def test_anything_else_is_named(inputs: Any, outputs: Any) -> None:
    with pytest.raises(IntegrityError, match="expected one uint8") as caught:
        check_signature(MODEL, inputs, outputs)
    assert caught.value.place == "m.onnx"


def test_what_it_takes_and_gives_is_spelt_out() -> None:
    message = r"takes int8 \[1, 2\] and gives nothing, expected"
    with pytest.raises(IntegrityError, match=message):
        check_signature(MODEL, [("int8", [1, 2])], [])
    with pytest.raises(
        IntegrityError, match=r"takes int8 \[batch\] and uint8 \[1, 5, 7, 3\] and gives float32 \[1, 2\]"
    ):
        check_signature(MODEL, [("int8", ["batch"]), INPUT], [OUTPUT])


def test_an_image_of_the_shape_passes_in_one_piece() -> None:
    image = np.arange(105, dtype=np.uint8).reshape(1, 7, 5, 3).swapaxes(1, 2)
    checked = check_image(image, (1, 5, 7, 3))
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, image)
    wrongs: list[Any] = [image.astype(np.int8), image[:, :4], image[0], image.swapaxes(1, 2)]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"expected uint8 \[1, 5, 7, 3\]"):
            check_image(wrong, (1, 5, 7, 3))


@pytest.mark.parametrize("threads", [-1, 0])
def test_threads_are_at_least_one(threads: int) -> None:
    assert [check_threads(count) for count in (1, 2)] == [1, 2]
    with pytest.raises(ValueError, match=f"got {threads} threads, expected at least 1"):
        check_threads(threads)


@pytest.mark.parametrize(
    ("weighted", "words"),
    [
        (["float32"], "float32"),
        (["int8"] * 3, "int8"),
        (["float32", "int8", "int8"], "int8 2, float32 1"),
        (["float32", "float32", "int8"], "float32 2, int8 1"),
        (["int8", "float32", "bfloat16"], "bfloat16 1, float32 1, int8 1"),
        ([], "unknown"),
    ],
)
def test_precision_is_that_of_all_layers_with_weights(weighted: list[str], words: str) -> None:
    assert precision_of(weighted) == words
