"""The learning rate rises, falls, and never leaves (0, 1]; epochs and small pictures by hand and within their bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.training.schedules import cooled, epochs_needed, small_epochs, small_side, warmup_cosine


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


@pytest.mark.parametrize(
    ("steps", "pretrained", "epochs"),
    [
        (46, False, 100),  # HAM10000 in batches of 128
        (47, False, 98),  # 97.9 are rounded up
        (46, True, 25),
        (45, True, 26),  # 25.6 are rounded up
        (1, False, 300),
        (15, False, 300),
        (16, False, 288),
        (235, False, 20),
        (10_000, False, 20),
        (1, True, 100),
        (230, True, 5),
        (229, True, 6),
        (10_000, True, 5),
    ],
)
def test_epochs_by_hand(steps: int, pretrained: bool, epochs: int) -> None:
    assert epochs_needed(steps, pretrained) == epochs


@given(steps=st.integers(1, 10**6))
def test_more_steps_an_epoch_never_need_more_epochs_and_pretrained_weights_fewer(steps: int) -> None:
    for pretrained, fewest, most in ((True, 5, 100), (False, 20, 300)):
        epochs = epochs_needed(steps, pretrained)
        assert fewest <= epochs <= most
        assert epochs_needed(steps + 1, pretrained) <= epochs
    assert epochs_needed(steps, True) < epochs_needed(steps, False)


def test_a_cooldown_by_hand() -> None:
    assert [cooled(step, 4) for step in range(4)] == pytest.approx([1.0, 0.5, 1 - 0.5**0.5, 1 - 0.75**0.5])


@given(steps=st.integers(1, 500))
def test_a_cooldown_only_falls_and_stays_above_nothing(steps: int) -> None:
    factors = [cooled(step, steps) for step in range(steps)]
    assert factors[0] == 1.0
    assert all(0 < after < before for before, after in pairwise(factors))
    assert factors[-1] <= 1 / steps, "the last step is a small one"


@given(progressive=st.floats(0, 1, exclude_max=True), epochs=st.integers(1, 1000))
def test_some_epoch_is_left_for_whole_pictures(progressive: float, epochs: int) -> None:
    small = small_epochs(progressive, epochs)
    assert 0 <= small < epochs
    assert progressive * epochs - 1 < small <= progressive * epochs


@pytest.mark.parametrize(
    ("side", "small"),
    [(128, 96), (224, 160), (256, 192), (160, 128), (96, 64), (64, 48), (32, 24), (40, 32), (8, 6), (3, 2)],
)
def test_small_sides_by_hand(side: int, small: int) -> None:
    assert small_side(side) == small


@given(eighths=st.integers(4, 128))
def test_a_small_side_is_smaller_by_about_a_quarter_and_fits_a_backbone(eighths: int) -> None:
    side = 8 * eighths
    small = small_side(side)
    assert small % 8 == 0
    assert 0.5 < small / side < 0.9
    assert side < 72 or small % 32 == 0
