"""Our weighted metrics against scikit-learn's, and what happens where a metric has no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from edgetl.evidence.metrics import classify_metrics, weighted_metrics

CLASSES = ["akiec", "bcc", "mel", "nv"]


def _predictions(
    seed: int, images: int = 120, grid: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Random predictions that are better than chance; `grid` rounds the scores, to make ties."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(len(CLASSES)), generator.integers(0, len(CLASSES), images - len(CLASSES))])
    scores = generator.gamma(1.0, size=(images, len(CLASSES))) + 0.01
    scores[np.arange(images), labels] += 0.7
    if grid:
        scores = np.ceil(scores * grid)
    return scores / scores.sum(axis=1, keepdims=True), labels


@given(seed=st.integers(0, 2**31), grid=st.sampled_from([None, 2, 20]))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scikit_learn(seed: int, grid: int | None) -> None:
    probabilities, labels = _predictions(seed, grid=grid)
    predicted = probabilities.argmax(axis=1)
    ours = classify_metrics(probabilities, labels, CLASSES)
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert ours["auroc"] == pytest.approx(reference.roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert ours["nll"] == pytest.approx(reference.log_loss(labels, probabilities))
    for index, name in enumerate(CLASSES):
        assert ours[f"auroc.{name}"] == pytest.approx(reference.roc_auc_score(labels == index, probabilities[:, index]))
        assert ours[f"sensitivity.{name}"] == pytest.approx(
            reference.recall_score(labels == index, predicted == index, zero_division=0.0)
        )
        assert ours[f"specificity.{name}"] == pytest.approx(
            reference.recall_score(labels != index, predicted != index, zero_division=0.0)
        )


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_a_weight_is_a_repeated_image(seed: int) -> None:
    probabilities, labels = _predictions(seed, images=30)
    times = np.random.default_rng(seed).integers(0, 4, 30)
    times[: len(CLASSES)] = 1
    rows = np.repeat(np.arange(30), times)
    thresholds = dict.fromkeys(CLASSES, 0.3)
    weighted = weighted_metrics(probabilities, labels, CLASSES, thresholds, times[None].astype(np.float64))
    repeated = classify_metrics(probabilities[rows], labels[rows], CLASSES, thresholds)
    assert {name: value[0] for name, value in weighted.items()} == pytest.approx(repeated)


def test_operating_point_counts_by_its_threshold() -> None:
    probabilities = np.array([[0.5, 0.5], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1]])
    metrics = classify_metrics(probabilities, [1, 1, 0, 0], ["benign", "malignant"], {"malignant": 0.3})
    assert metrics["sensitivity.malignant"] == 0.0
    assert metrics["sensitivity.malignant@0.90"] == 1.0  # 0.3 reaches 0.3
    assert metrics["specificity.malignant@0.90"] == 0.5
    assert "sensitivity.benign@0.90" not in metrics


def test_calibration_error_by_hand() -> None:
    # Two bins: sure by .95 and right half of the time, sure by .65 and always right.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.65, 0.35], [0.65, 0.35]])
    metrics = classify_metrics(probabilities, [0, 1, 0, 0], ["a", "b"])
    assert metrics["ece"] == pytest.approx(0.5 * 0.45 + 0.5 * 0.35)
    assert metrics["brier"] == pytest.approx((2 * 0.05**2 + 2 * 0.95**2 + 2 * 2 * 0.35**2) / 4)


def test_a_class_without_images_is_left_out() -> None:
    probabilities, labels = _predictions(1)
    kept = labels != 2
    metrics = classify_metrics(probabilities[kept], labels[kept], CLASSES, {"mel": 0.5})
    assert not {"sensitivity.mel", "sensitivity.mel@0.90", "auroc.mel"} & set(metrics)
    assert 0.0 <= metrics["specificity.mel"] <= 1.0
    assert metrics["balanced_accuracy"] == pytest.approx(
        np.mean([metrics[f"sensitivity.{name}"] for name in ("akiec", "bcc", "nv")])
    )
    assert np.isfinite(list(metrics.values())).all()


def test_a_single_class_has_no_auroc() -> None:
    metrics = classify_metrics(np.full((5, 4), 0.25), np.zeros(5, dtype=int), CLASSES)
    assert "auroc" not in metrics
    assert "specificity.akiec" not in metrics
    assert metrics["accuracy"] == 1.0


def test_a_certain_mistake_costs_as_much_as_a_chance_of_a_million_millionth() -> None:
    assert classify_metrics([[1.0, 0.0]], [1], ["a", "b"])["nll"] == pytest.approx(12 * math.log(10))
    assert classify_metrics([[1 - 1e-11, 1e-11]], [1], ["a", "b"])["nll"] == pytest.approx(11 * math.log(10))


def test_the_bins_of_the_calibration_error_are_fifteen_and_open_below() -> None:
    """Two images in one bin: one too sure, one not sure enough, so that their gaps cancel. In two bins they add up."""

    def error(*tops: float) -> float:
        probabilities = np.array([[top, 1 - top] for top in tops])
        return classify_metrics(probabilities, [0, 1], ["a", "b"])["ece"]

    apart = 0.5 * (1 - 0.6) + 0.5 * 0.61
    assert error(9 / 15, 0.61) == pytest.approx(apart), "the upper edge of a bin belongs to it"
    assert error(9 / 15 + 1e-9, 10 / 15) == pytest.approx(abs(0.5 * 0.4 - 0.5 * 10 / 15))
    assert error(14 / 15 + 1e-9, 1.0 + 1e-12) == pytest.approx(abs(0.5 / 15 - 0.5)), "more than all is in the last bin"
    for top, together in ((0.05, abs(-0.5 + 0.5 * 0.05)), (0.1, 0.5 + 0.5 * 0.1)):
        nothing = classify_metrics([[0.0, 0.0], [top, 0.0]], [0, 1], ["a", "b"])["ece"]
        assert nothing == pytest.approx(together), "no probability at all is in the first bin"


def test_each_weighting_has_its_own_row_and_one_without_a_class_no_answer_about_it() -> None:
    probabilities, labels = _predictions(2, images=40)
    weights = np.random.default_rng(0).integers(1, 4, (2, 40)).astype(np.float64)
    weights = np.concatenate([weights, np.where(labels == 1, 0.0, 1.0)[None]])
    together = weighted_metrics(probabilities, labels, CLASSES, None, weights)
    for row in range(3):
        alone = weighted_metrics(probabilities, labels, CLASSES, None, weights[row : row + 1])
        assert {name: of[0] for name, of in alone.items()} == pytest.approx(
            {name: of[row] for name, of in together.items()}, nan_ok=True
        )
    missing = {name for name, of in together.items() if np.isnan(of[2])}
    assert missing == {"sensitivity.bcc", "balanced_accuracy", "auroc.bcc", "auroc"}
    none = weighted_metrics(probabilities, labels, CLASSES, None, np.zeros((1, 40)))
    assert all(np.isnan(of).all() for of in none.values())


def test_thresholds_name_classes() -> None:
    probabilities, labels = _predictions(3)
    with pytest.raises(ValueError, match=r"thresholds name \['nevus'\], expected some of \['akiec'"):
        classify_metrics(probabilities, labels, CLASSES, {"nevus": 0.5, "mel": 0.5})


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "expected 1 integers"),
        ([[0.5, 0.25, 0.25]], [0], r"expected \[N > 0, 2\]"),
        ([[0.5, 0.5]], [2], r"labels lie in \[2, 2\], expected \[0, 1\]"),
        ([[0.5, 0.5]] * 2, [2, 0], r"labels lie in \[0, 2\]"),
        ([[0.5, 0.5]] * 2, [1, -1], r"labels lie in \[-1, 1\]"),
        ([[0.5, 0.5], [np.nan, np.inf], [0.5, -np.inf]], [0, 1, 1], "2 rows of probabilities are not finite"),
        ([0.5, 0.5], [0, 1], r"shape \(2,\)"),
        ([[0.5, 0.5]], [[0]], r"int64 \(1, 1\)"),
        ([[0.5, 0.5]], [0.0], "float64"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), r"N > 0"),
    ],
)
def test_refuses_what_does_not_fit(probabilities: object, labels: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classify_metrics(probabilities, labels, ["a", "b"])  # type: ignore[arg-type]
