"""Intervals of percentiles hold the truth as often as they say, also where the runs of a round depend on each other."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.runtime.intervals import SECTIONS, interval

Rounds = list[list[float]]


def drawn(random: np.random.Generator, rounds: int, runs: int, between: float) -> Rounds:
    """Times around 1 with a long tail, in rounds that differ by `between`."""
    moved = random.normal(0, between, rounds)
    noise = 0.02 * random.standard_normal((rounds, runs)) + 0.02 * random.exponential(1, (rounds, runs))
    return [list(row) for row in 1 + moved[:, None] + noise]


@pytest.mark.parametrize("between", [0.0, 0.02])
@pytest.mark.parametrize(
    ("rounds", "runs", "percent"), [(10, 40, 50), (10, 40, 90), (32, 40, 90), (32, 40, 99), (3, 30, 50)]
)
def test_nineteen_of_twenty_hold_the_truth(rounds: int, runs: int, percent: float, between: float) -> None:
    random = np.random.default_rng(0)
    truth = float(np.percentile(drawn(random, 20_000, runs, between), percent))
    held = []
    for _ in range(400):
        ends = interval(drawn(random, rounds, runs, between), percent)
        assert ends is not None
        held.append(ends[0] <= truth <= ends[1])
    # Three standard errors of 400 draws are 3 points; at the 99th percentile sections have a dozen runs beyond it at most.
    assert (0.88 if percent == 99 else 0.915) <= np.mean(held) <= 0.99


def test_runs_that_differ_by_round_alone_have_the_interval_of_their_rounds() -> None:
    """A bootstrap of runs would take a hundred for a hundred pieces of evidence; they are four."""
    rounds = [[value] * 25 for value in (9.0, 10.0, 10.0, 11.0)]
    ends = interval(rounds, 50)
    half = 3.182 * float(np.std([9.0, 10.0, 10.0, 11.0], ddof=1)) / 2
    assert ends == pytest.approx((10 - half, 10 + half))


def test_many_rounds_are_ten_sections_of_neighbours() -> None:
    steady = interval([[1.0, 3.0]] * 30, 50)
    assert steady == (2.0, 2.0)
    slowing = interval([[float(number)] * 2 for number in range(30)], 50)
    assert slowing is not None
    sections = [1.0 + 3 * number for number in range(SECTIONS)]  # medians of three rounds each
    half = 2.262 * float(np.sqrt(sum((section - 14.5) ** 2 for section in sections) / 9 / 10))
    assert slowing == pytest.approx((14.5 - half, 14.5 + half))


@pytest.mark.parametrize(
    ("rounds", "runs", "percent", "known"),
    [
        (0, 0, 50, False),
        (1, 1000, 50, False),
        (2, 2, 50, True),
        (2, 1, 50, False),
        (10, 10, 90, True),
        (10, 9, 90, False),
        (5, 100, 99, True),
        (10, 99, 99, False),
    ],
)
def test_there_is_none_where_a_section_has_no_run_beyond(rounds: int, runs: int, percent: float, known: bool) -> None:
    assert (interval([[1.0] * runs] * rounds, percent) is not None) is known


def test_no_time_is_less_than_nothing() -> None:
    assert interval([[0.1] * 20, [0.1] * 20, [9.0] * 20], 50) == pytest.approx((0.0, 0.1 + 4.303 * 8.9 / 6**0.5))
