"""Intervals by hand and by scipy; they hold the truth as often as they say, and groups and pairing move them as they should."""

from __future__ import annotations

import math
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from edgetl.evidence import intervals
from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import (
    Interval,
    bootstrap_weights,
    group_index,
    mean_interval,
    paired_difference,
    student_t,
    wilson,
    with_intervals,
)
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


def _draws(labels: NDArray[np.int64], groups: list[str], seed: int, resamples: int) -> list[NDArray[np.int64]]:
    """The rows of each resample, an image as often as its weight says."""
    membership = group_index(groups, len(labels))
    weights = np.concatenate(list(bootstrap_weights(labels, membership, seed, resamples)))
    return [np.repeat(np.arange(len(labels)), row.astype(int)) for row in weights]


@pytest.mark.parametrize(("hits", "images"), [(0, 7), (1, 7), (5, 9), (9, 9), (40, 1000)])
def test_wilson_is_scipys(hits: int, images: int) -> None:
    theirs = stats.binomtest(hits, images).proportion_ci(method="wilson")
    ours = wilson(hits / images, images)
    assert (ours.value, ours.low, ours.high) == pytest.approx((hits / images, theirs.low, theirs.high), abs=1e-12)


@given(share=st.floats(0.01, 0.99), images=st.floats(0.5, 1e4), z=st.floats(0.5, 13.0))
def test_wilsons_bounds_are_the_shares_that_lie_z_standard_errors_away(share: float, images: float, z: float) -> None:
    interval = wilson(share, images, z)
    for bound in (interval.low, interval.high):
        assert abs(share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / images), rel=1e-6, abs=1e-9)
    assert interval.low < share < interval.high


def test_distances_of_a_mean_add_in_squares_and_stay_inside() -> None:
    mean = mean_interval([Interval(0.5, 0.2, 0.56), Interval(0.7, 0.3, 0.78)])
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.6, 0.6 - 0.5 / 2, 0.6 + 0.1 / 2))
    assert mean_interval([Interval(0.1, -0.4, 0.1)]).low == 0.0
    assert mean_interval([Interval(0.9, 0.9, 1.4)]).high == 1.0


def test_students_t_has_one_degree_of_freedom_at_least() -> None:
    for freedom in (1.0, 1.5, 2.0, 30.0):
        assert student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom))
    assert student_t(0.5) == student_t(0) == student_t(1)


def test_groups_are_numbered_by_name() -> None:
    assert group_index(["b", "a", "b", "c"], 4).tolist() == [1, 0, 1, 2]
    assert group_index(None, 3).tolist() == [0, 1, 2]
    for images in (3, 5):
        with pytest.raises(ValueError, match=f"4 groups for {images} images"):
            group_index(["b", "a", "b", "c"], images)


def test_a_resample_draws_as_many_groups_of_each_class_as_there_are() -> None:
    """Group 4 has images of both classes and counts to the one that most of them have."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    membership = np.array([0, 1, 1, 2, 3, 3, 4, 4, 5, 4])
    weights = np.concatenate(list(bootstrap_weights(labels, membership, 3, 400)))
    assert weights.shape == (400, 10)
    of_group = np.stack([weights[:, membership == group].T[0] for group in range(6)], axis=1)
    assert np.array_equal(weights, of_group[:, membership]), "images of a group come together"
    assert (of_group[:, :3].sum(axis=1) == 3).all()
    assert (of_group[:, 3:].sum(axis=1) == 3).all()
    assert of_group.mean(axis=0) == pytest.approx(np.ones(6), abs=0.15)
    assert of_group.max() == 3
    assert np.array_equal(weights, np.concatenate(list(bootstrap_weights(labels, membership, 3, 400))))
    assert not np.array_equal(weights, np.concatenate(list(bootstrap_weights(labels, membership, 4, 400))))


@pytest.mark.parametrize(("cells", "parts"), [(30, [3, 3, 1]), (29, [2, 2, 2, 1]), (9, [1] * 7), (70, [7]), (71, [7])])
def test_resamples_are_held_a_few_at_a_time(cells: int, parts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "_CELLS_AT_ONCE", cells)
    drawn = list(bootstrap_weights(np.zeros(10, dtype=np.int64), np.arange(10), 0, 7))
    assert [len(part) for part in drawn] == parts


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auroc", "specificity.b@0.90", "ece"])
def test_a_paired_difference_is_the_bootstraps(metric: str) -> None:
    """Each resample written out as rows; with few of them the divisor of the deviation shows too."""
    probabilities, labels, groups = _lesions(11, counts=(3, 4, 6))
    other = softmax(np.log(probabilities) + np.random.default_rng(0).normal(size=probabilities.shape))
    thresholds = ({"b": 0.05}, {"b": 0.5})
    found = paired_difference(metric, other, probabilities, labels, groups, CLASSES, thresholds, seed=2, resamples=4)

    def difference(rows: NDArray[np.int64]) -> float:
        ours, theirs = (
            classify_metrics(scores[rows], labels[rows], CLASSES, limits)[metric]
            for scores, limits in zip((other, probabilities), thresholds, strict=True)
        )
        return ours - theirs

    value = difference(np.arange(len(labels)))
    reach = stats.t.ppf(0.975, len(set(groups)) - 1) * statistics.stdev(map(difference, _draws(labels, groups, 2, 4)))
    assert reach > 0
    assert (found.value, found.low, found.high) == pytest.approx((value, value - reach, value + reach))


def test_a_paired_difference_by_hand() -> None:
    """Eight images alone, of which the candidate loses one: each bound lies t standard errors away.

    A resample draws n times out of n, so the variance of its mean is that of the differences, divided by n.
    """
    labels = np.repeat([0, 1], [8, 8])
    good = np.eye(2)[labels]
    worse = good.copy()
    worse[0] = [0.0, 1.0]
    found = paired_difference("accuracy", worse, good, labels, None, ["a", "b"], resamples=20_000)
    error = math.sqrt(8 * (1 / 8) * (7 / 8)) / 16
    assert found.value == pytest.approx(-1 / 16)
    assert found.value - found.low == pytest.approx(2.131 * error, rel=0.02)  # t with 15 degrees of freedom
    assert found.high - found.value == pytest.approx(2.131 * error, rel=0.02)


def test_without_a_word_about_it_a_thousand_resamples_of_seed_0_are_drawn() -> None:
    sample = _lesions(13, counts=(3, 4, 6))
    assert with_intervals(*sample, CLASSES) == with_intervals(*sample, CLASSES, None, 0, 1000)
    pair = ("auroc", sample[0], _lesions(13, counts=(3, 4, 6))[0][::-1], *sample[1:], CLASSES)
    assert paired_difference(*pair) == paired_difference(*pair, None, 0, 1000)


def _share(hits: list[int], sizes: list[int]) -> Interval:
    """Korn and Graubard by hand: hits and images of each group."""
    images, count = sum(sizes), len(sizes)
    share = sum(hits) / images
    fewest = images**2 / sum(size**2 for size in sizes)
    variance = count / (count - 1) * sum((h - share * n) ** 2 for h, n in zip(hits, sizes, strict=True)) / images**2
    effective = share * (1 - share) / variance if variance else fewest
    return wilson(share, min(max(effective, fewest), images))


@pytest.mark.parametrize(
    ("hits", "sizes"),
    [
        ([3, 0, 2, 1], [3, 3, 2, 3]),  # groups that agree with themselves: few effective images
        ([2, 3, 1, 1, 2, 3], [3, 3, 3, 2, 4, 3]),  # between the number of groups and that of images
        ([1, 1, 1, 2], [2, 2, 2, 4]),  # each right by half: more than the images could be worth
        ([4, 0, 0], [4, 1, 1]),  # fewer than Kish's number
        ([2, 3, 1], [2, 3, 1]),  # all right
        ([0, 0, 0], [5, 1, 1]),  # none
        ([1, 0, 1, 1, 0], [1, 1, 1, 1, 1]),  # each image alone
    ],
)
def test_a_shares_interval_counts_what_its_groups_are_worth(hits: list[int], sizes: list[int]) -> None:
    correct = [index < h for h, n in zip(hits, sizes, strict=True) for index in range(n)]
    groups = [f"g{group}" for group, n in enumerate(sizes) for _ in range(n)]
    # Two images of another class, always right, belong to a group of their own and change nothing for class a.
    labels = np.array([0] * len(correct) + [1, 1])
    probabilities = np.array([[0.9, 0.1] if right else [0.1, 0.9] for right in correct] + [[0.0, 1.0]] * 2)
    found = with_intervals(probabilities, labels, [*groups, "other", "other"], ["a", "b"], resamples=2)
    expected = _share(hits, sizes)
    assert found["sensitivity.a"].to_json() == pytest.approx(expected.to_json())
    assert found["specificity.b"].to_json() == pytest.approx(expected.to_json())
    alone = wilson(1.0, 1.0)
    assert found["sensitivity.b"].to_json() == pytest.approx(alone.to_json()), "one group is one image"
    assert found["balanced_accuracy"].to_json() == pytest.approx(mean_interval([expected, alone]).to_json())


@pytest.mark.parametrize(("seed", "counts"), [(15, (6, 9, 14)), (17, (2, 9, 14))])
def test_the_other_intervals_come_from_the_bootstraps_mean_and_deviation(
    seed: int, counts: tuple[int, int, int]
) -> None:
    probabilities, labels, groups = _lesions(seed, counts=counts)
    found = with_intervals(probabilities, labels, groups, CLASSES, seed=5, resamples=3)
    values = classify_metrics(probabilities, labels, CLASSES)
    drawn = [classify_metrics(probabilities[rows], labels[rows], CLASSES) for rows in _draws(labels, groups, 5, 3)]
    for name in ("ece", "nll", "brier"):
        mean, deviation = (of([one[name] for one in drawn]) for of in (statistics.mean, statistics.stdev))
        middle, reach = 2 * values[name] - mean, stats.t.ppf(0.975, sum(counts) - 1) * deviation
        assert found[name].low == pytest.approx(max(0.0, min(values[name], middle - reach))), name
        assert found[name].high == pytest.approx(max(values[name], middle + reach)), name
    smaller = {
        "auroc": counts[0],
        "auroc.a": counts[0],
        "auroc.b": counts[1],
        "auroc.c": min(counts[2], sum(counts[:2])),
    }
    for name, count in smaller.items():
        variance = statistics.variance([one[name] for one in drawn]) * count / (count - 1)
        effective = max(values[name] * (1 - values[name]) / variance, count)
        expected = wilson(values[name], effective, stats.t.ppf(0.975, count - 1))
        assert found[name].to_json() == pytest.approx(expected.to_json()), name


def test_a_perfect_area_is_as_sure_as_the_smaller_side_has_groups() -> None:
    labels = np.repeat([0, 1, 2], [9, 4, 30])
    found = with_intervals(np.eye(3)[labels], labels, None, CLASSES, resamples=5)
    for name, groups in {"auroc": 4, "auroc.a": 9, "auroc.b": 4, "auroc.c": 13}.items():
        reach = stats.t.ppf(0.975, groups - 1)
        assert found[name].low == pytest.approx(groups / (groups + reach**2)), name
        assert found[name].high == 1.0


def test_an_error_of_zero_is_not_below_zero() -> None:
    labels = np.repeat([0, 1], [5, 5])
    found = with_intervals(np.eye(2)[labels], labels, None, ["a", "b"], resamples=20)
    assert (found["brier"].low, found["brier"].value, found["brier"].high) == (0.0, 0.0, 0.0)


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
    one_sided: list[tuple[dict[str, float], dict[str, float]]] = [({"b": 0.5}, {}), ({}, {"b": 0.5})]
    for thresholds in one_sided:
        with pytest.raises(ValueError, match=r"'specificity.b@0.90' is not defined here"):
            paired_difference(
                "specificity.b@0.90", probabilities, probabilities, labels, groups, CLASSES, thresholds, resamples=2
            )


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


def test_groups_that_hold_every_class_have_an_interval_too() -> None:
    """Two patients with an image of each class, or one file under two labels: no group is without the class."""
    probabilities = softmax(np.random.default_rng(0).normal(size=(4, 3)))
    found = with_intervals(probabilities, [0, 1, 0, 1], ["x", "x", "y", "y"], CLASSES)
    for name in ("auroc", "auroc.a", "auroc.b"):
        assert 0 <= found[name].low <= found[name].value <= found[name].high <= 1
