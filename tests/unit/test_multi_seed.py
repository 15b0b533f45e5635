"""Intervals over seeds and groups: they hold the truth, widen with the seeds' spread, and pairing narrows them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import Interval
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
