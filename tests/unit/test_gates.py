"""Gates decide on bounds, on both sides of their limits, and their sentence carries the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from edgetl.evidence.gates import (
    COLLAPSE,
    FP32_AGREEMENT,
    FP32_NOISE,
    FP32_TOLERANCE,
    Gate,
    fp32_parity,
    int8_collapse,
    no_leaks,
    quantization_drop,
    student_vs_teacher,
)
from edgetl.evidence.intervals import Interval, paired_difference
from edgetl.evidence.parity import Parity


def _below(number: float) -> float:
    return math.nextafter(number, -math.inf)


def _above(number: float) -> float:
    return math.nextafter(number, math.inf)


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (FP32_TOLERANCE, FP32_NOISE, FP32_AGREEMENT, COLLAPSE) == (1e-4, 1e-3, 0.999, 0.05)


@pytest.mark.parametrize(
    ("difference", "agreement", "passed"),
    [
        (0.0, 1.0, True),
        (1e-4, 1.0, True),
        (_above(1e-4), 1.0, False),
        (0.0, 0.999, True),
        (0.0, _below(0.999), False),
        (_above(1e-4), _below(0.999), False),
    ],
)
def test_fp32_must_agree_in_probability_and_in_class(difference: float, agreement: float, passed: bool) -> None:
    gate = fp32_parity("onnx_fp32", Parity(difference, 0.0, agreement, ()))
    assert (gate.name, gate.subject, gate.passed, gate.severity) == ("fp32_parity", "onnx_fp32", passed, "fail")
    assert (gate.value, gate.limit) == (difference, 1e-4)


def test_a_tolerance_that_was_asked_for_counts() -> None:
    assert fp32_parity("onnx_fp32", Parity(0.01, 0.0, 1.0, ()), tolerance=0.01).passed
    gate = fp32_parity("onnx_fp32", Parity(0.01, 0.0, 1.0, ()), tolerance=0.009)
    assert (gate.passed, gate.limit) == (False, 0.009)


@pytest.mark.parametrize(
    ("difference", "agreement", "flip", "severity"),
    [
        (1e-3, 1.0, 0.0, "warn"),
        (_above(1e-3), 1.0, 0.0, "fail"),
        (5e-4, 0.98, _below(1e-3), "warn"),
        (5e-4, 0.9999, 1e-3, "fail"),  # one image in ten thousand, of which the network was sure
        (0.0, 0.98, 1e-5, "warn"),  # a tie in a small test split
        (0.0, 0.98, 0.2, "fail"),
    ],
)
def test_a_runtimes_own_noise_warns_and_nothing_beyond_it(
    difference: float, agreement: float, flip: float, severity: str
) -> None:
    gate = fp32_parity("openvino-fp32", Parity(difference, 0.0, agreement, ()), flip=flip)
    assert (gate.passed, gate.severity, gate.value, gate.limit) == (False, severity, difference, 1e-4)
    assert ("the runtime's own arithmetic" in gate.message) is (severity == "warn")


def test_what_is_well_within_the_limits_passes_whatever_flips() -> None:
    gate = fp32_parity("onnx-fp32", Parity(1e-4, 0.0, 0.9995, ()), flip=0.5)
    assert (gate.passed, gate.severity) == (True, "fail")


def test_the_sentence_of_noise() -> None:
    sentences = [
        fp32_parity("a", Parity(4e-4, 0.0, share, ()), flip=flip).message for share, flip in ((1.0, 0.0), (0.99, 3e-4))
    ]
    assert sentences[0].endswith(
        "; within 0.001, and the class changes nowhere: the runtime's own arithmetic, no fault"
    )
    assert "only where the two most probable ones are at most 0.0003 apart" in sentences[1]


def test_the_sentence_of_parity() -> None:
    gate = fp32_parity("openvino_fp32", Parity(0.056, 4e-3, 0.99, (3,)))
    assert gate.message == (
        "probabilities differ from the PyTorch network by at most 0.056 (limit 0.0001), "
        "the same top class on 99.00% (at least 99.9%)"
    )


@pytest.mark.parametrize(
    ("low", "value", "high", "passed"),
    [
        (-0.10, -0.08, -0.06, False),  # certainly worse than 5 points
        (-0.16, -0.08, 0.00, True),  # a small test split: nobody knows
        (-0.01, 0.00, 0.01, True),
        (-0.09, -0.07, -0.05, True),  # the limit itself still passes
        (-0.09, -0.07, _below(-0.05), False),
    ],
)
@pytest.mark.parametrize(
    ("rule", "name", "severity"),
    [(int8_collapse, "int8_collapse", "fail"), (student_vs_teacher, "student_vs_teacher", "warn")],
)
def test_a_collapse_needs_certainty(
    rule: Callable[..., Gate], name: str, severity: str, low: float, value: float, high: float, passed: bool
) -> None:
    gate = rule("one", Interval(value, low, high))
    assert (gate.name, gate.subject, gate.passed, gate.severity) == (name, "one", passed, severity)
    assert (gate.value, gate.limit) == (high, -0.05), "decided is on the upper bound"
    wider = rule("one", Interval(value, low, high), 0.2)
    assert (wider.passed, wider.limit) == (True, -0.2)


def test_collapse_is_seen_in_predictions() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 60)
    good = np.eye(3)[labels] * 0.8 + 0.2 / 3
    broken = generator.dirichlet(np.ones(3), len(labels))
    groups = [f"lesion_{index // 2}" for index in range(len(labels))]
    difference = paired_difference("accuracy", broken, good, labels, groups, ["a", "b", "c"])
    assert not int8_collapse("tflite_int8", difference).passed
    same = paired_difference("accuracy", good, good, labels, groups, ["a", "b", "c"])
    assert int8_collapse("tflite_int8", same).passed


@pytest.mark.parametrize(("value", "passed"), [(0.002, True), (-0.003, True), (_below(-0.003), False)])
def test_a_drop_beyond_the_recipe_only_warns(value: float, passed: bool) -> None:
    gate = quantization_drop("onnx_int8", Interval(value, -0.2, 0.2), max_drop=0.003)
    assert (gate.name, gate.subject, gate.passed, gate.severity) == ("quantization_drop", "onnx_int8", passed, "warn")
    assert (gate.value, gate.limit) == (value, -0.003), "decided is on the difference itself"


def test_the_sentences_of_differences_are_in_points() -> None:
    difference = Interval(-0.012, -0.03, 0.01)
    points = "-1.2 points [-3.0, +1.0]"
    assert quantization_drop("onnx_int8", difference, max_drop=0.003).message == (
        "balanced accuracy against fp32 -1.20 points [-3.00, +1.00]; the recipe allows a loss of 0.30 points"
    )
    assert int8_collapse("onnx_int8", difference).message == (
        f"accuracy against fp32 {points}; broken when even the upper bound is below -5.0 points"
    )
    assert student_vs_teacher("student", difference, teacher="the ensemble").message == (
        f"balanced accuracy against the ensemble {points}; too weak when even the upper bound is below -5.0 points"
    )


@pytest.mark.parametrize(("groups", "identical"), [(0, 0), (1, 0), (0, 1), (2, 3)])
def test_one_leak_of_either_kind_fails(groups: int, identical: int) -> None:
    gate = no_leaks(groups, identical)
    assert (gate.name, gate.subject, gate.severity) == ("no_leaks", "data", "fail")
    assert gate.passed is (groups + identical == 0)
    assert (gate.value, gate.limit) == (groups + identical, 0.0)
    assert gate.message.startswith(f"{groups} groups and {identical} sets of identical files")
