"""The label loss against its formulas: smoothing, shares of classes, and both with each answer to rare classes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from edgetl.tasks.classify import Imbalance, label_loss

_COUNTS = (70, 20, 10)
_KINDS: tuple[Imbalance, ...] = ("logit_adjust", "weights", "none")


def _logits(seed: int = 0, classes: int = 3) -> torch.Tensor:
    return 3 * torch.randn(6, classes, generator=torch.Generator().manual_seed(seed))


_LABELS = torch.tensor([0, 1, 2, 0, 0, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_smoothing_spreads_its_share_of_the_label_evenly(classes: int) -> None:
    logits, labels = _logits(classes=classes), _LABELS % classes
    target = 0.8 * F.one_hot(labels, classes) + 0.2 / classes
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    ours = label_loss("none", [5] * classes, 0.2)(logits, labels)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=0.2))


def test_smoothing_goes_with_logit_adjustment_and_with_weights() -> None:
    logits, frequency = _logits(), torch.tensor(_COUNTS) / sum(_COUNTS)
    adjusted = F.cross_entropy(logits + frequency.log(), _LABELS, label_smoothing=0.1)
    torch.testing.assert_close(label_loss("logit_adjust", _COUNTS, 0.1)(logits, _LABELS), adjusted)
    weighted = F.cross_entropy(logits, _LABELS, weight=1 / (3 * frequency), label_smoothing=0.1)
    torch.testing.assert_close(label_loss("weights", _COUNTS, 0.1)(logits, _LABELS), weighted)


@settings(deadline=None, max_examples=30)
@given(kind=st.sampled_from(_KINDS), smoothing=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_a_row_that_is_all_one_class_counts_as_its_index(kind: Imbalance, smoothing: float, seed: int) -> None:
    loss, logits = label_loss(kind, _COUNTS, smoothing), _logits(seed)
    torch.testing.assert_close(loss(logits, F.one_hot(_LABELS, 3).float()), loss(logits, _LABELS))


@pytest.mark.parametrize("kind", ["logit_adjust", "none"])
def test_blended_labels_blend_the_losses(kind: Imbalance) -> None:
    loss, logits, other, share = label_loss(kind, _COUNTS), _logits(), _LABELS.roll(1), 0.3
    blended = share * F.one_hot(_LABELS, 3) + (1 - share) * F.one_hot(other, 3)
    expected = share * loss(logits, _LABELS) + (1 - share) * loss(logits, other)
    torch.testing.assert_close(loss(logits, blended), expected)


def test_weights_decide_who_counts_in_a_blend_and_leave_the_size_of_the_loss() -> None:
    shares, logits = torch.tensor([[0.5, 0.0, 0.5]]), _logits()[:1]
    weights = torch.tensor([1 / 0.7, 0.0, 1 / 0.1]) * torch.tensor([0.5, 0.0, 0.5])
    expected = -(weights / weights.sum() * logits[0].log_softmax(0)).sum()
    torch.testing.assert_close(label_loss("weights", _COUNTS)(logits, shares), expected)
