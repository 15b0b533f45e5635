"""Intervals over seeds and groups: they hold the truth, widen with the seeds' spread, and pairing narrows them."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import Interval, bootstrap_weights, group_index
from edgetl.evidence.metrics import classify_metrics
from edgetl.evidence.multi_seed import repeated

CLASSES = ["a", "b", "c"]
_GROUPS, _SIZE = 90, 2
LABELS = np.repeat(np.arange(3), _GROUPS // 3 * _SIZE)
GROUPS = [f"lesion_{index // _SIZE}" for index in range(len(LABELS))]


def _network(images: NDArray[np.float64], skill: float) -> NDArray[np.float64]:
    """What a network of this skill says of images with this noise."""
    logits = images.copy()
    logits[np.arange(len(LABELS)), LABELS] += skill
    return softmax(logits)


def _images(seed: int) -> NDArray[np.float64]:
    return np.repeat(np.random.default_rng(seed).normal(size=(_GROUPS, 3)), _SIZE, axis=0)


def _width(interval: Interval) -> float:
    return interval.high - interval.low


def _resampled(probabilities: NDArray[np.float64], groups: list[str] | None, seed: int, resamples: int) -> list[float]:
    membership = group_index(groups, len(LABELS))
    weights = np.concatenate(list(bootstrap_weights(LABELS, membership, seed, resamples)))
    rows = [np.repeat(np.arange(len(LABELS)), row.astype(int)) for row in weights]
    return [classify_metrics(probabilities[row], LABELS[row], CLASSES)["auroc"] for row in rows]


@pytest.mark.parametrize("skills", [(1.0,), (0.9, 1.2), (0.5, 1.0, 1.4)])
@pytest.mark.parametrize("groups", [GROUPS, None])
def test_the_variances_of_groups_and_of_seeds_add_up(skills: tuple[float, ...], groups: list[str] | None) -> None:
    """Welch and Satterthwaite written out."""
    networks = [_network(_images(3), skill) for skill in skills]
    found = repeated("auroc", networks, LABELS, groups, CLASSES, seed=4, resamples=5)
    values = [classify_metrics(network, LABELS, CLASSES)["auroc"] for network in networks]
    draws = zip(*[_resampled(network, groups, 4, 5) for network in networks], strict=True)
    of_groups = statistics.variance([statistics.mean(draw) for draw in draws])
    of_seeds = statistics.variance(values) / len(values) if len(values) > 1 else 0.0
    count = len(LABELS) if groups is None else _GROUPS
    freedom = of_groups**2 / (count - 1) + (of_seeds**2 / (len(values) - 1) if len(values) > 1 else 0.0)
    freedom = (of_groups + of_seeds) ** 2 / freedom
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(of_groups + of_seeds)
    value = statistics.mean(values)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - reach, value + reach))


def test_without_a_word_about_it_a_thousand_resamples_of_seed_0_are_drawn() -> None:
    networks = [_network(_images(4), skill) for skill in (0.9, 1.1)]
    plain = repeated("auroc", networks, LABELS, GROUPS, CLASSES)
    assert plain == repeated("auroc", networks, LABELS, GROUPS, CLASSES, (), 0, 1000)


def test_one_group_of_all_images_still_has_an_interval() -> None:
    """Nothing is known of other groups: then only the seeds vary."""
    networks = [_network(_images(5), skill) for skill in (0.5, 1.0)]
    found = repeated("auroc", networks, LABELS, ["all"] * len(LABELS), CLASSES, resamples=5)
    values = [classify_metrics(network, LABELS, CLASSES)["auroc"] for network in networks]
    reach = stats.t.ppf(0.975, 1) * abs(values[0] - values[1]) / 2
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))


def test_they_hold_the_truth_where_both_the_seeds_and_the_lesions_vary() -> None:
    generator = np.random.default_rng(5)
    skills = generator.normal(1.0, 0.25, size=(200, 3))
    held = []
    truth = np.mean([_accuracy(skill) for skill in generator.normal(1.0, 0.25, size=300)])
    for draw, of_seeds in enumerate(skills):
        found = repeated(
            "balanced_accuracy",
            [_network(_images(draw), skill) for skill in of_seeds],
            LABELS,
            GROUPS,
            CLASSES,
            resamples=100,
        )
        held.append(found.low <= truth <= found.high)
    assert 0.90 <= np.mean(held) <= 1.0


def _accuracy(skill: float) -> float:
    """Of endless images."""
    noise = np.random.default_rng(int(skill * 1e6)).normal(size=(4000, 3))
    noise[:, 0] += skill
    return float((noise.argmax(axis=1) == 0).mean())


def test_seeds_that_differ_widen_the_interval_and_equal_ones_do_not() -> None:
    images = _images(1)
    same = repeated("balanced_accuracy", [_network(images, 1.0)] * 3, LABELS, GROUPS, CLASSES)
    single = repeated("balanced_accuracy", [_network(images, 1.0)], LABELS, GROUPS, CLASSES)
    apart = repeated(
        "balanced_accuracy", [_network(images, skill) for skill in (0.5, 1.0, 1.5)], LABELS, GROUPS, CLASSES
    )
    assert (same.value, same.low, same.high) == pytest.approx((single.value, single.low, single.high))
    assert _width(apart) > 1.5 * _width(same)


def test_what_two_rows_share_cancels_and_a_row_does_not_differ_from_itself() -> None:
    ours = [_network(_images(2), skill) for skill in (1.3, 1.31, 1.32)]
    theirs = [_network(_images(2), skill) for skill in (1.0, 1.01, 1.02)]
    difference = repeated("auroc", ours, LABELS, GROUPS, CLASSES, against=theirs)
    alone = repeated("auroc", ours, LABELS, GROUPS, CLASSES)
    assert difference.low > 0
    assert _width(difference) < _width(alone) / 2
    itself = repeated("auroc", ours, LABELS, GROUPS, CLASSES, against=ours)
    assert (itself.low, itself.value, itself.high) == (0.0, 0.0, 0.0)
