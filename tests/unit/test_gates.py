"""Gates decide on bounds, and their sentence carries the numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgetl.evidence.gates import (
    Gate,
    failed,
    fp32_parity,
    int8_collapse,
    no_leaks,
    quantization_drop,
    student_vs_teacher,
)
from edgetl.evidence.intervals import Interval, paired_difference
from edgetl.evidence.parity import Parity


def test_parity_within_rounding_passes_and_bf16_does_not() -> None:
    assert fp32_parity("onnx_fp32", Parity(4e-7, 1e-8, 1.0, ())).passed
    gate = fp32_parity("openvino_fp32", Parity(0.056, 4e-3, 0.99, (3,)))
    assert not gate.passed
    assert gate.severity == "fail"
    assert "0.056" in gate.message
    assert "99.00%" in gate.message


@pytest.mark.parametrize(
    ("low", "value", "high", "passed"),
    [
        (-0.10, -0.08, -0.06, False),  # certainly worse than 5 points
        (-0.16, -0.08, 0.00, True),  # a small test split: nobody knows
        (-0.01, 0.00, 0.01, True),
        (-0.09, -0.07, -0.05, True),  # the limit itself still passes
    ],
)
def test_collapse_needs_certainty(low: float, value: float, high: float, passed: bool) -> None:
    assert int8_collapse("onnx_int8", Interval(value, low, high)).passed is passed


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


def test_a_drop_beyond_the_recipe_only_warns() -> None:
    gate = quantization_drop("onnx_int8", Interval(-0.012, -0.03, 0.01), max_drop=0.003)
    assert not gate.passed
    assert gate.severity == "warn"
    assert "-1.2 points [-3.0, +1.0]" in gate.message
    assert "a loss of 0.3 points" in gate.message
    assert quantization_drop("onnx_int8", Interval(0.002, -0.01, 0.02), max_drop=0.003).passed


def test_a_weak_student_warns() -> None:
    assert not student_vs_teacher("student", Interval(-0.2, -0.25, -0.15)).passed
    assert student_vs_teacher("student", Interval(0.02, -0.01, 0.05)).passed


def test_a_leak_fails() -> None:
    assert no_leaks(0, 0).passed
    assert not no_leaks(groups=2, identical=0).passed


def test_only_failed_gates_of_severity_fail_forbid_shipping() -> None:
    leak = no_leaks(1, 0)
    warned = quantization_drop("onnx_int8", Interval(-0.1, -0.2, 0.0), 0.003)
    assert failed([no_leaks(0, 0), warned, leak]) == [leak]


def test_gates_are_json() -> None:
    gate = no_leaks(0, 1)
    assert Gate(**json.loads(json.dumps(gate.to_json()))) == gate
