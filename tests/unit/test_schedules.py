"""The learning rate rises, falls, and never leaves (0, 1]."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.training.schedules import warmup_cosine


def test_it_rises_to_the_peak_and_falls_to_almost_nothing() -> None:
    factors = [warmup_cosine(step, 100, 10) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[-1] < 1e-3
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)


@given(steps=st.integers(1, 200), warmup=st.integers(0, 400))
def test_every_run_has_usable_factors_whatever_its_length(steps: int, warmup: int) -> None:
    factors = [warmup_cosine(step, steps, warmup) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1.0)


def test_a_warmup_longer_than_the_run_still_comes_down() -> None:
    factors = [warmup_cosine(step, 20, 1000) for step in range(20)]
    assert factors[9] == 1.0
    assert factors[-1] < 0.1


@pytest.mark.parametrize(
    ("steps", "warmup", "factors"),
    [
        (5, 9, [0.5, 1.0, 1.0, 0.75, 0.25]),  # the warm-up is cut to two steps: half of five, rounded down
        (6, 3, [1 / 3, 2 / 3, 1.0, 1.0, 0.75, 0.25]),
        (3, 0, [1.0, 0.75, 0.25]),
        (1, 1, [1.0]),
    ],
)
def test_factors_by_hand(steps: int, warmup: int, factors: list[float]) -> None:
    assert [warmup_cosine(step, steps, warmup) for step in range(steps)] == pytest.approx(factors)
