"""Temperatures that recover what was done to the logits, thresholds that give the wanted sensitivity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.evidence.calibration import fit_temperature, operating_points, reliability, softmax
from edgetl.evidence.metrics import classify_metrics

CLASSES = ["a", "b", "c"]


def _calibrated(seed: int, images: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose softmax is exactly the chance of each label."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2.0, size=(images, len(CLASSES)))
    chances = softmax(logits).cumsum(axis=1)
    return logits, (generator.random((images, 1)) > chances).sum(axis=1).clip(max=len(CLASSES) - 1)


@pytest.mark.parametrize("sharpening", [0.25, 1.0, 5.0])
def test_finds_the_temperature_that_was_applied(sharpening: float) -> None:
    logits, labels = _calibrated(0, 20_000)
    assert fit_temperature(sharpening * logits, labels) == pytest.approx(sharpening, rel=0.05)


def test_log_probabilities_serve_as_logits() -> None:
    logits, labels = _calibrated(1, 500)
    assert fit_temperature(np.log(softmax(logits)), labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-6)


@given(seed=st.integers(0, 1000), sharpening=st.floats(0.2, 8.0))
@settings(max_examples=20, deadline=None)
def test_never_raises_the_loss_and_keeps_the_labels(seed: int, sharpening: float) -> None:
    logits, labels = _calibrated(seed, 60)
    before = softmax(sharpening * logits)
    after = softmax(sharpening * logits, fit_temperature(sharpening * logits, labels))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    loss = [classify_metrics(scores, labels, CLASSES)["nll"] for scores in (before, after)]
    assert loss[1] <= loss[0] + 1e-9


def test_a_perfect_validation_split_stops_at_the_bound() -> None:
    assert fit_temperature(10 * np.eye(3), [0, 1, 2]) == pytest.approx(0.05)
    assert fit_temperature(10 * np.eye(3), [1, 2, 0]) == pytest.approx(20.0)


def test_softmax_survives_large_logits() -> None:
    assert softmax([[1000.0, 0.0, -1000.0]]).tolist() == [[1.0, 0.0, 0.0]]


@given(seed=st.integers(0, 1000), wanted=st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_thresholds_reach_the_sensitivity_and_no_higher_one_does(seed: int, wanted: float) -> None:
    logits, labels = _calibrated(seed, 80)
    scores = softmax(logits).astype(np.float32)
    for name, threshold in operating_points(scores, labels, CLASSES, wanted).items():
        found = scores[labels == CLASSES.index(name), CLASSES.index(name)].astype(np.float64)
        assert (found >= threshold).mean() >= wanted - 1e-9
        higher = found[found > threshold].min()
        assert (found > higher).mean() < wanted


def test_a_threshold_survives_rounding() -> None:
    scores = np.array([[0.2, 0.8], [0.4, 0.6], [0.5, 0.5], [0.9, 0.1]])
    points = operating_points(scores, [1, 1, 0, 0], ["benign", "malignant"])
    assert points["malignant"] == pytest.approx(0.55)  # between 0.6, that must be found, and 0.5


def test_a_class_without_images_has_no_threshold() -> None:
    assert set(operating_points([[0.5, 0.3, 0.2]], [0], CLASSES)) == {"a"}
    with pytest.raises(ValueError, match=r"expected a share in \(0, 1\]"):
        operating_points([[0.5, 0.3, 0.2]], [0], CLASSES, 0.0)


def test_reliability_bins_hold_every_image_and_give_the_error() -> None:
    logits, labels = _calibrated(3, 400)
    probabilities = softmax(3 * logits)
    bins = reliability(probabilities, labels)
    assert sum(point["count"] for point in bins) == 400
    gap = sum(point["count"] / 400 * abs(point["confidence"] - point["accuracy"]) for point in bins)
    assert gap == pytest.approx(classify_metrics(probabilities, labels, CLASSES)["ece"])
