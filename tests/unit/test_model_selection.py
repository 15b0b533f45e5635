"""Which of several trained candidates is kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.evidence import model_selection
from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import bootstrap_weights, group_index
from edgetl.evidence.metrics import classify_metrics
from edgetl.evidence.model_selection import choose


def _candidate(skill: float, labels: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=(len(labels), 3))
    return noise + skill * np.eye(3)[labels]


def test_a_clearly_better_candidate_is_chosen_and_a_draw_goes_to_the_simpler_one() -> None:
    labels = np.random.default_rng(0).integers(0, 3, 300)
    groups = [f"lesion{index // 2}" for index in range(300)]
    weak, strong = _candidate(0.5, labels, 1), _candidate(3.0, labels, 2)
    assert choose([weak, strong], labels, groups, 0)[0] == 1
    assert choose([strong, weak], labels, groups, 0)[0] == 0
    same_skill = strong + np.random.default_rng(3).normal(size=strong.shape) * 1e-3
    chosen, standings = choose([same_skill, strong], labels, groups, 0)
    assert chosen == 0
    assert min(standing.behind for standing in standings) == 0.0


def test_patients_with_images_of_two_classes_do_not_break_the_choice() -> None:
    """Every malignant image belongs to a patient with more benign ones: a resample may draw no malignant one at all."""
    labels = np.array([0, 0, 1] * 3 + [0, 0] * 60)
    groups = [f"patient{index // 3}" for index in range(9)] + [f"benign{index // 2}" for index in range(120)]
    weak, strong = _candidate(0.0, labels, 1), _candidate(4.0, labels, 2)
    for seed in range(5):
        chosen, standings = choose([weak, strong], labels, groups, seed)
        assert chosen == 1
        assert all(np.isfinite(standing.standard_error) for standing in standings)


def _score(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    metrics = classify_metrics(softmax(logits), labels, ["0", "1", "2"])
    return (metrics["balanced_accuracy"] + metrics["auroc"]) / 2


def test_a_standing_is_the_mean_of_both_scores_and_the_error_of_the_distance_to_the_best() -> None:
    labels = np.random.default_rng(0).integers(0, 3, 60)
    groups = [f"lesion{index // 2}" for index in range(60)]
    candidates = [_candidate(skill, labels, seed) for seed, skill in enumerate((1.0, 2.0, 1.5))]
    chosen, standings = choose(candidates, labels, groups, 7)
    scores = [_score(candidate, labels) for candidate in candidates]
    assert [standing.score for standing in standings] == pytest.approx(scores)
    assert scores[1] == max(scores), "else this test shows less than it says"
    assert [standing.behind for standing in standings] == pytest.approx([scores[1] - score for score in scores])
    weights = np.concatenate(list(bootstrap_weights(labels, group_index(groups, 60), 7, 200)))
    rows = [np.repeat(np.arange(60), row.astype(int)) for row in weights]
    for candidate, standing in zip(candidates, standings, strict=True):
        distances = [_score(candidates[1][row], labels[row]) - _score(candidate[row], labels[row]) for row in rows]
        assert standing.standard_error == pytest.approx(statistics.stdev(distances))
    assert chosen == next(index for index, one in enumerate(standings) if one.behind <= one.standard_error)


@pytest.mark.parametrize(("told", "chosen"), [(0, 1), (1, 1), (2, 0)])
def test_without_two_resamples_that_say_something_the_best_is_kept(
    told: int, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is behind by one image of class 2; two resamples that differ much make that distance noise."""
    labels = np.repeat([0, 1, 2], 10)
    best = 5.0 * np.eye(3)[labels]
    simpler = best.copy()
    simpler[29] = [5.0, 0.0, 0.0]
    ones, often, never = np.ones(30), np.ones(30), np.ones(30)
    often[29], never[20:] = 30.0, 0.0

    def drawn(*_: object) -> Iterator[NDArray[np.float64]]:
        yield np.stack([*[ones, often][:told], never, never])

    monkeypatch.setattr(model_selection, "bootstrap_weights", drawn)
    kept, standings = choose([simpler, best], labels, [str(index) for index in range(30)], 0)
    assert kept == chosen
    assert (standings[0].standard_error > 0) is (told == 2)
