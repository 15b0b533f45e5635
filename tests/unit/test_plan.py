"""How far a training goes, and which epochs are validated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.training.plan import Plan, plan
from edgetl.training.schedules import warmup_cosine

Scores = list[tuple[int, float]]


def _scores(*values: float, every: int = 1) -> Scores:
    return [(every * number, value) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("scores", "patience", "frozen", "cools_after"),
    [
        ([], 3, 0, None),
        (_scores(0.5, 0.6, 0.6, 0.6), 3, 0, None),
        (_scores(0.5, 0.6, 0.6, 0.6, 0.6), 3, 0, 5),
        (_scores(0.5, 0.6, 0.6, 0.6, 0.6, 0.9, 0.9), 3, 0, 5),  # what the cooldown brings does not end it
        (_scores(0.5, 0.6, 0.6, 0.6, 0.7, 0.7), 3, 0, None),
        (_scores(0.5, 0.6, 0.6, 0.6, 0.6), None, 0, None),
        (_scores(0.6, 0.5, 0.5, 0.5, 0.5), 2, 3, 5),  # the first three are frozen: the wait begins after them
        (_scores(0.6, 0.6, 0.6, every=5), 3, 0, 10),  # nothing is concluded in an epoch that nobody looked at
    ],
)
def test_when_it_cools_down(scores: Scores, patience: int | None, frozen: int, cools_after: int | None) -> None:
    assert plan(scores, 40, patience, frozen) == Plan(40, cools_after)


@pytest.mark.parametrize(("after", "end"), [(1, 2), (4, 5), (9, 10), (10, 12), (14, 16), (15, 18), (80, 96)])
def test_a_cooldown_takes_a_fifth_of_what_went_before(after: int, end: int) -> None:
    assert Plan(100, after).end == end
    assert [Plan(100, after).cools(epoch) for epoch in (after, after + 1)] == [False, True]


def test_a_cosine_that_ends_as_soon_is_left_alone() -> None:
    flat = _scores(*[0.5] * 10)
    assert plan(flat[:6], 8, 5) == Plan(8, 6)
    assert plan(flat[:6], 7, 5) == Plan(7)


@given(
    values=st.lists(st.integers(0, 5), max_size=40),
    planned=st.integers(1, 60),
    patience=st.none() | st.integers(1, 10),
    frozen=st.integers(0, 10),
)
def test_a_plan_is_kept_once_it_is_made_and_never_makes_a_training_longer(
    values: list[int], planned: int, patience: int | None, frozen: int
) -> None:
    """Whatever comes, and however often it is asked: a run that is taken up again does what it would have done."""
    history: Scores = []
    current, epoch = plan(history, planned, patience, frozen), 0
    while epoch < current.end:
        epoch += 1
        if current.validates(epoch):
            history.append((epoch, values[epoch % len(values)] / 5 if values else 0.0))
        later = plan(history, planned, patience, frozen)
        assert later == current or current == Plan(planned)
        assert epoch < later.end or current.end == epoch, "a cooldown has at least an epoch"
        current = later
    assert epoch == current.end <= planned
    assert history[-1][0] == epoch, "the last epoch is validated"
    if patience is None:
        assert epoch == planned


@given(planned=st.integers(1, 1000))
def test_all_epochs_of_a_short_training_are_validated_and_about_forty_of_a_long_one(planned: int) -> None:
    looked = [epoch for epoch in range(1, planned + 1) if Plan(planned).validates(epoch)]
    early = [epoch for epoch in looked if 5 * epoch <= 4 * planned]
    assert looked[-1] == planned
    assert len(looked) - len(early) == planned - 4 * planned // 5
    if planned <= 20:
        assert len(looked) == planned
    else:
        assert 8 <= len(early) <= 16
        assert all(epoch % early[0] == 0 for epoch in early)


def test_epochs_of_a_cooldown_are_all_validated() -> None:
    cooling = Plan(100, 50)
    assert [epoch for epoch in range(44, 61) if cooling.validates(epoch)] == [45, *range(50, 61)]


def test_the_rate_falls_from_where_it_is() -> None:
    batches, warmup = 5, 10
    cosine, cooling = Plan(40), Plan(40, 10)
    steps = [(epoch, batch) for epoch in range(1, 13) for batch in range(batches)]
    wanted = [warmup_cosine(step, 200, warmup) for step in range(60)]
    assert [cosine.rate(*at, batches, warmup) for at in steps] == wanted
    rates = [cooling.rate(*at, batches, warmup) for at in steps]
    assert cooling.end == 12
    assert rates[:51] == wanted[:51], "the first step of the cooldown has the rate that the cosine had there"
    assert rates[50:] == pytest.approx([wanted[50] * (1 - (step / 10) ** 0.5) for step in range(10)])
