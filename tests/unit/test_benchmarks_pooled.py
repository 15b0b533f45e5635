"""Pooling over networks and runtimes: what they share stays shared, and signs and splits are not mixed up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.int8_pooled import pooled
from benchmarks.pooled import draws, spread
from edgetl.evidence.intervals import paired_difference

_CLASSES = ("a", "b")
_LABELS = np.array([0, 1] * 20)
_GROUPS = [f"{index // 4}{'ab'[index % 2]}" for index in range(40)]  # two images a lesion


def _said(wrong: int, seed: int = 0) -> NDArray[np.float32]:
    """Probabilities [40, 2], the first `wrong` images of class b mistaken."""
    right = np.random.default_rng(seed).uniform(0.6, 0.9, 40)
    right[1 : 2 * wrong : 2] = 0.3
    said = np.empty((40, 2), dtype=np.float32)
    said[np.arange(40), _LABELS], said[np.arange(40), 1 - _LABELS] = right, 1 - right
    return said


def test_differences_of_draws_are_the_paired_difference() -> None:
    ours, theirs = (draws(said, _LABELS, _GROUPS, _CLASSES) for said in (_said(6), _said(2)))
    for metric in ("balanced_accuracy", "auroc"):
        expected = paired_difference(metric, _said(6), _said(2), _LABELS, _GROUPS, _CLASSES)
        found = spread(ours[metric] - theirs[metric], _GROUPS)
        assert found.to_json() == pytest.approx(expected.to_json())


def _outputs(lost: int) -> dict[str, NDArray[np.float32]]:
    """int8 mistakes `lost` more images of test than fp32, and none of validation."""
    more = {("int8", "test"): lost}
    return {
        f"{backend}-{precision}_{split}": _said(2 + more.get((precision, split), 0))
        for backend in ("onnx", "tflite")
        for precision in ("fp32", "int8")
        for split in ("val", "test")
    }


def test_the_same_loss_everywhere_is_no_surer_than_once() -> None:
    labels = {"val": _LABELS, "test": _LABELS}
    groups = {split: [split + group for group in _GROUPS] for split in labels}
    result = pooled({"one": _outputs(4), "two": _outputs(4)}, labels, groups, _CLASSES)
    assert len(result["rows"]) == 4
    for row in result["rows"]:
        assert row["val"]["balanced_accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        assert row["test"]["balanced_accuracy"]["value"] == pytest.approx(-0.1)  # 4 of 20 of one class of two
        assert row["both"]["balanced_accuracy"]["value"] == pytest.approx(-0.05)
        assert row["test"]["top1_agreement"] == pytest.approx(0.9)
        for split in ("val", "test", "both"):
            assert result["mean"][split]["balanced_accuracy"] == pytest.approx(row[split]["balanced_accuracy"])


def test_networks_that_lose_and_gain_cancel() -> None:
    labels = {"val": _LABELS, "test": _LABELS}
    groups = {split: [split + group for group in _GROUPS] for split in labels}
    result = pooled({"one": _outputs(2), "two": _outputs(-2)}, labels, groups, _CLASSES)
    assert result["mean"]["both"]["balanced_accuracy"]["value"] == pytest.approx(0.0)
    assert result["mean"]["both"]["top1_agreement"] == pytest.approx(1 - 2 / 80)
