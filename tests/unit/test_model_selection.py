"""Which of several trained candidates is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
