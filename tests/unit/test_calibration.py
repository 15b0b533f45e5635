"""Temperatures that recover what was done to the logits, thresholds that give the wanted sensitivity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

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


@given(seed=st.integers(0, 1000), sharpening=st.floats(0.2, 8.0))
@settings(max_examples=20, deadline=None)
def test_no_other_temperature_has_a_smaller_loss(seed: int, sharpening: float) -> None:
    logits, labels = _calibrated(seed, 40)
    rows = np.arange(len(labels))

    def loss(logarithm: float) -> float:
        return -float(np.log(softmax(sharpening * logits, np.exp(logarithm))[rows, labels]).mean())

    bounds = (math.log(0.05), math.log(20.0))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    assert fit_temperature(sharpening * logits, labels) == pytest.approx(math.exp(best.x), rel=1e-5)


def test_a_temperature_is_refused_for_what_is_not_one_row_of_finite_scores_for_each_label() -> None:
    for logits, labels in (([[0.0, np.inf]], [0]), ([[0.0, 1.0]], [2]), ([[0.0, 1.0]], [0, 1])):
        with pytest.raises(ValueError):
            fit_temperature(logits, labels)


def test_softmax_by_hand() -> None:
    logits = [[0.0, math.log(3.0)], [math.log(9.0), 0.0]]
    assert softmax(logits) == pytest.approx(np.array([[0.25, 0.75], [0.9, 0.1]]))
    assert softmax(logits, 2.0)[1] == pytest.approx([0.75, 0.25])
    assert softmax(np.zeros((2, 3, 4))) == pytest.approx(np.full((2, 3, 4), 0.25))


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


@pytest.mark.parametrize(("sensitivity", "allowed"), [(0.0, False), (1e-9, True), (1.0, True), (1.0 + 1e-9, False)])
def test_a_wanted_sensitivity_is_a_share_above_nothing(sensitivity: float, allowed: bool) -> None:
    if allowed:
        assert operating_points([[0.5, 0.3, 0.2]], [0], CLASSES, sensitivity) == {"a": 0.5}
        return
    with pytest.raises(ValueError, match=r"expected a share in \(0, 1\]"):
        operating_points([[0.5, 0.3, 0.2]], [0], CLASSES, sensitivity)


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_of_a_hundred_images_is_so_many_of_them(percent: int) -> None:
    """0.07 * 100 is 7.000000000000001: rounding must not ask for one image more."""
    scores = np.linspace(0.0, 1.0, 100)
    points = operating_points(np.stack([1 - scores, scores], axis=1), [1] * 100, ["no", "yes"], percent / 100)
    assert int((scores >= points["yes"]).sum()) == percent


def test_ninety_percent_are_wanted_where_nothing_else_is_said() -> None:
    logits, labels = _calibrated(2, 60)
    assert operating_points(softmax(logits), labels, CLASSES) == operating_points(softmax(logits), labels, CLASSES, 0.9)


def test_reliability_by_hand() -> None:
    """Bins are (low, high]; what is not quite a distribution still has a bin."""
    tops = [0.5, 0.5, 0.75, 1.0, 1.0 + 1e-12, 0.0]
    probabilities = np.stack([np.array(tops), np.zeros(6)], axis=1)
    points = reliability(probabilities, [0, 1, 0, 0, 1, 0], bins=4)
    assert [[point.low, point.high, point.count] for point in points] == [
        [0.0, 0.25, 1],
        [0.25, 0.5, 2],
        [0.5, 0.75, 1],
        [0.75, 1.0, 2],
    ]
    assert [point.confidence for point in points] == pytest.approx([0.0, 0.5, 0.75, 1.0])
    assert [point.accuracy for point in points] == [1.0, 0.5, 1.0, 0.5]


def test_reliability_bins_hold_every_image_and_give_the_error() -> None:
    logits, labels = _calibrated(3, 400)
    probabilities = softmax(3 * logits)
    bins = reliability(probabilities, labels)
    assert sum(point.count for point in bins) == 400
    gap = sum(point.count / 400 * abs(point.confidence - point.accuracy) for point in bins)
    assert gap == pytest.approx(classify_metrics(probabilities, labels, CLASSES)["ece"])
