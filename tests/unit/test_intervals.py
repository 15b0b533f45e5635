"""Intervals hold the truth as often as they say; groups, certainty and pairing move them the right way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import paired_difference, wilson, with_intervals
from edgetl.evidence.metrics import classify_metrics

CLASSES = ["a", "b", "c"]

Sample = tuple[NDArray[np.float64], NDArray[np.int64], list[str]]


def _lesions(seed: int, counts: tuple[int, ...] = (9, 12, 60), images: int = 3) -> Sample:
    """Lesions of three classes with 1 to `images` pictures each, whose logits share most of their noise."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    sizes = generator.integers(1, images + 1, len(labels))
    shared = np.repeat(generator.normal(size=(len(labels), 3)), sizes, axis=0)
    group = np.repeat(np.arange(len(labels)), sizes)
    labels = np.repeat(labels, sizes)
    logits = np.sqrt(0.7) * shared + np.sqrt(0.3) * generator.normal(size=shared.shape)
    logits[np.arange(len(labels)), labels] += 1.7
    return softmax(2 * logits), labels, [f"lesion_{index}" for index in group]


def test_intervals_cover_the_truth() -> None:
    probabilities, labels, _ = _lesions(0, counts=(5000, 5000, 20000))
    thresholds = dict.fromkeys(CLASSES, 0.3)
    truth = classify_metrics(probabilities, labels, CLASSES, thresholds)
    rounds, held = 400, Counter[str]()
    for seed in range(rounds):
        sample = _lesions(seed + 1)
        for name, interval in with_intervals(*sample, CLASSES, thresholds, seed=seed, resamples=200).items():
            assert interval.low <= interval.value <= interval.high
            held[name] += interval.low <= truth[name] <= interval.high
    shares = {name: held[name] / rounds for name in truth}
    # The calibration error of 150 images is mostly bias, which the bootstrap corrects in part only.
    floor = {"ece": 0.8, "nll": 0.87, "brier": 0.87}
    assert {name: share for name, share in shares.items() if share < floor.get(name, 0.89)} == {}


def test_groups_widen_what_images_would_narrow() -> None:
    probabilities, labels, groups = _lesions(3, counts=(30, 30, 60), images=8)
    by_group = with_intervals(probabilities, labels, groups, CLASSES, seed=0)
    by_image = with_intervals(probabilities, labels, None, CLASSES, seed=0)
    for name in ("accuracy", "balanced_accuracy", "auroc", "nll"):
        wide, narrow = by_group[name], by_image[name]
        assert wide.value == narrow.value
        assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low), name


def test_all_right_is_not_certain() -> None:
    labels = np.repeat([0, 1, 2], [9, 12, 60])
    intervals = with_intervals(np.eye(3)[labels], labels, None, CLASSES)
    nine = intervals["sensitivity.a"]
    assert (nine.value, nine.high) == (1.0, 1.0)
    assert nine.low == pytest.approx(9 / (9 + 1.96**2), abs=1e-3)  # Wilson's bound for 9 of 9
    assert 0.6 < intervals["auroc.a"].low < 1.0
    assert 0.8 < intervals["balanced_accuracy"].low < 1.0


def test_copies_of_one_lesion_add_no_certainty() -> None:
    labels = np.repeat([0, 1], [4, 4])
    once = with_intervals(np.eye(2)[labels], labels, None, ["a", "b"])
    often = np.repeat(labels, 25)
    groups = [str(index) for index in np.repeat(np.arange(8), 25)]
    copied = with_intervals(np.eye(2)[often], often, groups, ["a", "b"])
    assert copied["sensitivity.a"].low == pytest.approx(once["sensitivity.a"].low)


def test_a_missing_class_is_left_out() -> None:
    probabilities, labels, groups = _lesions(5, counts=(0, 12, 30))
    intervals = with_intervals(probabilities, labels, groups, CLASSES, {"a": 0.5, "b": 0.5}, resamples=50)
    assert "sensitivity.a" not in intervals
    assert "auroc.a" not in intervals
    numbers = [number for interval in intervals.values() for number in interval.to_json().values()]
    assert np.isfinite(numbers).all()


def test_the_same_seed_gives_the_same_intervals() -> None:
    sample = _lesions(6)
    first, again, other = (with_intervals(*sample, CLASSES, seed=seed, resamples=50) for seed in (1, 1, 2))
    assert first == again
    assert first["auroc"] != other["auroc"]


def test_pairing_cancels_what_both_share() -> None:
    probabilities, labels, groups = _lesions(7)
    flipped = probabilities.copy()
    wrong = np.flatnonzero(labels == 2)[:2]
    flipped[wrong] = [1.0, 0.0, 0.0]
    same = paired_difference("balanced_accuracy", probabilities, probabilities, labels, groups, CLASSES)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)
    worse = paired_difference("accuracy", flipped, probabilities, labels, groups, CLASSES)
    alone = with_intervals(probabilities, labels, groups, CLASSES)["accuracy"]
    assert worse.value < 0.0
    assert worse.high - worse.low < 0.5 * (alone.high - alone.low)


def test_a_difference_of_an_unknown_metric_names_the_known() -> None:
    probabilities, labels, groups = _lesions(8)
    with pytest.raises(ValueError, match=r"'f1' is not defined here, expected one of \['accuracy'"):
        paired_difference("f1", probabilities, probabilities, labels, groups, CLASSES)


def test_groups_must_fit_the_images() -> None:
    probabilities, labels, groups = _lesions(9)
    with pytest.raises(ValueError, match="groups for"):
        with_intervals(probabilities, labels, groups[:-1], CLASSES)


@given(hits=st.integers(0, 50), misses=st.integers(0, 50))
def test_wilson_stays_inside(hits: int, misses: int) -> None:
    images = hits + misses + 1
    interval = wilson(hits / images, images)
    assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0
    assert interval.high > interval.low
