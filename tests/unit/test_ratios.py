"""Ratios of times: intervals that hold what they promise, on times whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.evidence.ratios import Measured, Spread, block_spread, difference, moderated, ratio


def test_a_ratio_is_now_over_before_in_geometric_means() -> None:
    found = ratio([Measured(1.0), Measured(4.0)], [Measured(3.0)], Spread(0.1, 10, 5))
    assert found.value == pytest.approx(1.5)
    assert found.low * found.high == pytest.approx(1.5**2)
    assert found.low < 1.5 < found.high
    turned = ratio([Measured(3.0)], [Measured(1.0), Measured(4.0)], Spread(0.1, 10, 5))
    assert turned.value == pytest.approx(1 / 1.5)
    assert turned.chance == found.chance < 0.05


def test_the_interval_is_students() -> None:
    """Four degrees of freedom: 2.776 standard errors, here the square root of 2 times the deviation."""
    found = ratio([Measured(1.0)], [Measured(1.0)], Spread(0.1, 4, 0))
    assert np.log(found.high) == pytest.approx(2.7764 * 0.1 * np.sqrt(2), rel=1e-3)
    assert found.chance == pytest.approx(1.0)


def test_a_measurement_that_varied_inside_is_trusted_less_than_repeats_allow() -> None:
    spread = Spread(0.01, 20, 16)
    quiet, wild = ratio([Measured(1.0)], [Measured(1.1)], spread), ratio([Measured(1.0, 0.2)], [Measured(1.1)], spread)
    assert quiet.low > 1
    assert wild.low < 1
    assert ratio([Measured(1.0, 0.005)], [Measured(1.1, 0.005)], spread) == quiet


def test_more_measurements_make_it_narrower() -> None:
    spread = Spread(0.05, 20, 16)
    widths = [np.log(ratio([Measured(1.0)] * count, [Measured(1.0)] * count, spread).high) for count in (1, 4)]
    assert widths[0] == pytest.approx(2 * widths[1])


def test_intervals_from_repeats_cover() -> None:
    """As many repeats as people have, of files whose runs differ by what is assumed, by more and by less."""
    held = {}
    for deviation in (0.01, 0.02, 0.04):
        generator = np.random.default_rng(5)
        held[deviation] = 0
        for _ in range(400):
            before, now = (list(np.exp(generator.normal(0, deviation, count))) for count in (5, 2))
            found = ratio([*map(Measured, before)], [*map(Measured, now)], moderated([before, now], 0.02))
            held[deviation] += found.low <= 1 <= found.high
    assert held[0.01] >= 396
    assert 372 <= held[0.02] <= 396  # 93 to 99 %
    assert held[0.04] >= 356  # 89 %: what is assumed was wrong


def test_repeats_outweigh_what_is_assumed_the_more_there_are() -> None:
    generator = np.random.default_rng(1)
    many = moderated([list(np.exp(generator.normal(0, 0.01, 200)))], 0.2)
    assert many.deviation == pytest.approx(0.01 + 0.2 * np.sqrt(4 / 203), abs=0.02)
    none = moderated([[3.0], []], 0.2)
    assert none.deviation == pytest.approx(0.2)
    assert (none.freedom, none.repeats) == (4, 0)
    pair = moderated([[1.0, 1.0]], 0.2)
    assert 0.15 < pair.deviation < 0.2  # two equal runs were luck
    assert (pair.freedom, pair.repeats) == (5, 1)


def test_groups_have_their_own_means_and_may_count_for_less() -> None:
    apart = moderated([[1.0, 1.0], [100.0, 100.0]], 0.02)
    assert apart.deviation < 0.02
    calm = [[1.0, 1.001], [1.0, 1.001]]
    assert moderated(calm, 0.02, freedom=1).freedom == 5
    assert 0.02 > moderated(calm, 0.02, freedom=1).deviation > moderated(calm, 0.02).deviation
    assert moderated(calm, 0.02, freedom=9) == moderated(calm, 0.02)
    wild = [[1.0, 1.5], [1.0, 1.5]]
    assert moderated(wild, 0.02).deviation == pytest.approx(np.std(np.log(wild[0]), ddof=1))  # not talked down


def test_the_spread_of_rounds() -> None:
    draws = [np.exp(np.random.default_rng(seed).normal(0, 0.1, 400)) for seed in range(20)]
    spread = np.mean([block_spread(list(draw), 0.5) for draw in draws])
    assert spread == pytest.approx(0.1 * np.sqrt(np.pi / 2 / 400), rel=0.1)  # of a median of independent rounds
    assert block_spread([5.0] * 10, 0.5) == pytest.approx(0)
    assert block_spread([1.0, 2.0], 0.5) == 0
    assert block_spread(list(np.linspace(1, 2, 30)), 0.9) > 0


def test_neighbouring_rounds_that_are_alike_count_less() -> None:
    generator = np.random.default_rng(3)
    steps = np.repeat(np.exp(generator.normal(0, 0.1, 40)), 10)
    shuffled = generator.permutation(steps)
    assert block_spread(list(steps), 0.5) > 1.5 * block_spread(list(shuffled), 0.5)


def test_a_difference_adds_distances_in_squares() -> None:
    value, low, high = difference((0.6, 0.56, 0.63), (0.7, 0.67, 0.74))
    assert value == pytest.approx(0.1)
    assert low == pytest.approx(0.1 - np.hypot(0.03, 0.03))
    assert high == pytest.approx(0.1 + np.hypot(0.04, 0.04))
