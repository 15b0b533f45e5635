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
    weights = np.concatenate(list(bootstrap_weights(labels, group_index(groups, 60), 7, 500)))
    rows = [np.repeat(np.arange(60), row.astype(int)) for row in weights]
    drawn = [[_score(candidate[row], labels[row]) for row in rows] for candidate in candidates]
    for of, standing in zip(drawn, standings, strict=True):
        distances = [best - ours for best, ours in zip(drawn[1], of, strict=True)]
        assert standing.standard_error == pytest.approx(statistics.stdev(distances))
        lucky = [
            max((theirs[place] - score) - (ours - standing.score) for theirs, score in zip(drawn, scores, strict=True))
            for place, ours in enumerate(of)
        ]
        assert standing.allowed == pytest.approx(np.quantile(lucky, 0.84))
    assert chosen == next(index for index, one in enumerate(standings) if one.behind <= one.allowed)


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
    assert (standings[0].standard_error > 0) is (standings[0].allowed > 0) is (told == 2)


def _equals(labels: NDArray[np.int64], count: int, own: float, seed: int) -> list[NDArray[np.float64]]:
    """Logits of `count` networks of one skill that agree on the most; two images a lesion are alike."""
    generator, classes = np.random.default_rng(seed), int(labels.max()) + 1
    lesions = np.repeat(generator.normal(size=((len(labels) + 1) // 2, classes)), 2, axis=0)[: len(labels)]
    return [lesions + 1.2 * np.eye(classes)[labels] + own * generator.normal(size=lesions.shape) for _ in range(count)]


def _pairs(images: int) -> list[str]:
    return [f"lesion{index // 2}" for index in range(images)]


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_among_equals_the_simplest_is_kept_however_many_there_are(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one standard error of the best is the simplest of 2, 4, 8, 16 in 0.88, 0.73, 0.53 and 0.40 of these cases."""
    monkeypatch.setattr(model_selection, "_RESAMPLES", 200)
    labels, cases = np.repeat([0, 1], 50), 250
    chosen = [choose(_equals(labels, count, 0.8, case), labels, _pairs(100), case)[0] for case in range(cases)]
    assert 0.06 < np.count_nonzero(chosen) / cases < 0.2


def test_a_better_candidate_is_found_in_most_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than three equals by 3.6 points, on 996 images of seven classes, of which the rarest has 17."""
    monkeypatch.setattr(model_selection, "_RESAMPLES", 200)
    labels, cases = np.repeat(np.arange(7), [49, 77, 165, 17, 167, 500, 21]), 30
    chosen = []
    for case in range(cases):
        candidates = _equals(labels, 4, 0.6, case)
        candidates[2] += 0.15 * np.eye(7)[labels]
        chosen.append(choose(candidates, labels, _pairs(len(labels)), case)[0])
    assert chosen.count(2) / cases > 0.5
