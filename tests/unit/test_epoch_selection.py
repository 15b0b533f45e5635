"""Whether the last epoch or the best is kept: more than noise, corrected for how many the best is the best of."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.evidence import epoch_selection
from edgetl.evidence.calibration import softmax
from edgetl.evidence.epoch_selection import EpochChoice, choose_epoch, errors_asked
from edgetl.evidence.intervals import bootstrap_weights, group_index
from edgetl.evidence.metrics import classify_metrics

_LABELS = np.random.default_rng(0).integers(0, 3, 240)
_GROUPS = [f"lesion{index // 2}" for index in range(240)]


def _logits(skill: float, seed: int = 1, labels: NDArray[np.int64] = _LABELS) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(size=(len(labels), 3))
    return noise + skill * np.eye(3)[labels]


def _score(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    metrics = classify_metrics(softmax(logits), labels, ["0", "1", "2"])
    return (metrics["balanced_accuracy"] + metrics["auroc"]) / 2


def test_a_clearly_better_epoch_is_kept_and_an_equal_one_is_not() -> None:
    assert choose_epoch(_logits(0.5), _logits(3.0), _LABELS, _GROUPS, 20, 0).keeps_best
    behind = choose_epoch(_logits(3.0), _logits(0.5), _LABELS, _GROUPS, 20, 0)
    assert (behind.keeps_best, behind.lead) == (False, 0.0)
    assert choose_epoch(_logits(1.0), _logits(1.0), _LABELS, _GROUPS, 20, 0) == EpochChoice(False, 0.0, 0.0)


def test_a_lead_that_would_do_for_one_look_does_not_do_for_many() -> None:
    """What a maximum over many noisy numbers brings by itself."""
    last, best = _logits(1.0), _logits(1.2, 4)
    choices = {looked_at: choose_epoch(last, best, _LABELS, _GROUPS, looked_at, 0) for looked_at in (1, 20, 10**6)}
    errors = choices[1].lead / choices[1].standard_error
    assert errors_asked(1) < errors < errors_asked(10**6), "else this test shows nothing"
    for looked_at, choice in choices.items():
        assert choice.keeps_best is (errors > errors_asked(looked_at))
    assert choices[1].keeps_best
    assert not choices[10**6].keeps_best


def test_of_epochs_that_are_equally_good_the_best_is_seldom_kept() -> None:
    """Twenty epochs of one skill with noise of their own: their maximum leads in most of them, and is noise."""
    kept = led = 0
    for trial in range(40):
        epochs = [_logits(1.0, 100 * trial + number) for number in range(20)]
        best = max(epochs, key=lambda logits: _score(logits, _LABELS))
        choice = choose_epoch(epochs[-1], best, _LABELS, None, 20, trial)
        led += choice.lead > choice.standard_error
        kept += choice.keeps_best
    assert led > 20, "the one-standard-error rule alone would keep most of them"
    assert kept < 12


def test_lead_and_error_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_selection, "_RESAMPLES", 30)
    labels, groups = _LABELS[:60], _GROUPS[:60]
    last, best = _logits(1.0, 1, labels), _logits(1.5, 2, labels)
    choice = choose_epoch(last, best, labels, groups, 5, 7)
    assert choice.lead == pytest.approx(_score(best, labels) - _score(last, labels))
    drawn = []
    for weights in np.concatenate(list(bootstrap_weights(labels, group_index(groups, 60), 7, 30))):
        rows = np.repeat(np.arange(60), weights.astype(int))
        drawn.append(_score(best[rows], labels[rows]) - _score(last[rows], labels[rows]))
    assert choice.standard_error == pytest.approx(statistics.stdev(drawn))


def test_images_of_one_lesion_are_one_piece_of_evidence() -> None:
    """Eight copies of each image: the error is that of the originals, not of eight times as many."""
    last, best = _logits(1.0), _logits(1.5, 2)
    alone = choose_epoch(last, best, _LABELS, None, 5, 0).standard_error
    last, best, labels = np.repeat(last, 8, axis=0), np.repeat(best, 8, axis=0), np.repeat(_LABELS, 8)
    groups = [str(index // 8) for index in range(8 * 240)]
    assert choose_epoch(last, best, labels, groups, 5, 0).standard_error == pytest.approx(alone, rel=0.15)
    assert choose_epoch(last, best, labels, None, 5, 0).standard_error < alone / 2


def test_where_resampling_shows_no_noise_the_last_epoch_is_kept() -> None:
    labels = np.repeat([0, 1, 2], 4)
    choice = choose_epoch(_logits(-3.0, 1, labels), _logits(5.0, 1, labels), labels, [str(of) for of in labels], 5, 0)
    assert choice.lead > 0.5
    assert (choice.standard_error, choice.keeps_best) == (0.0, False)


def test_patients_with_images_of_two_classes_do_not_break_it() -> None:
    """Every malignant image belongs to a patient with more benign ones: a resample may draw no malignant one at all."""
    labels = np.array([0, 0, 1] * 3 + [0, 0] * 60)
    groups = [f"patient{index // 3}" for index in range(9)] + [f"benign{index // 2}" for index in range(120)]
    for seed in range(5):
        choice = choose_epoch(_logits(-1.0, 1, labels), _logits(4.0, 2, labels), labels, groups, 3, seed)
        assert np.isfinite(choice.standard_error)
        assert choice.keeps_best


def test_errors_asked_by_hand() -> None:
    assert [round(errors_asked(looked_at), 2) for looked_at in (1, 2, 20, 36)] == [1.0, 1.41, 2.41, 2.62]


@given(looked_at=st.integers(1, 1000))
def test_more_looks_ask_for_more(looked_at: int) -> None:
    assert errors_asked(looked_at) + 1e-9 >= 1
    assert errors_asked(looked_at) < errors_asked(looked_at + 1)
