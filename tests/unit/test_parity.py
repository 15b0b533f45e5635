"""How far two sets of probabilities are apart, and that broken ones are not equal."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.evidence.parity import Parity, compare, widest_flip


def test_parity_lists_the_widest_disagreement_first() -> None:
    ours = np.array([[0.6, 0.4], [0.45, 0.55], [0.1, 0.9]])
    theirs = np.array([[0.6, 0.4], [0.55, 0.45], [0.8, 0.2]])
    parity = compare(ours, theirs)
    assert parity.disagreements == (2, 1)
    assert parity.max_abs_diff == pytest.approx(0.7)
    assert parity.mean_abs_diff == pytest.approx((0.1 + 0.7) / 3)
    assert parity.top1_agreement == pytest.approx(1 / 3)
    assert compare(ours, ours) == Parity(0.0, 0.0, 1.0, ())


def test_parity_lists_twenty_disagreements() -> None:
    ours, theirs = np.tile([0.6, 0.4], (30, 1)), np.tile([0.4, 0.6], (30, 1))
    parity = compare(ours, theirs)
    assert (parity.disagreements, parity.top1_agreement) == (tuple(range(20)), 0.0)


def test_parity_refuses_broken_outputs() -> None:
    for broken in ([[np.nan, 1.0]], [[0.5, np.inf]]):
        for pair in ((broken, [[0.5, 0.5]]), ([[0.5, 0.5]], broken)):
            with pytest.raises(ValueError, match="not finite"):
                compare(*pair)
    for ours, theirs in (([[0.5, 0.5]], [[0.5, 0.25, 0.25]]), ([0.5], [0.5]), (np.zeros((0, 2)), np.zeros((0, 2)))):
        with pytest.raises(ValueError, match="shapes"):
            compare(ours, theirs)


def test_how_sure_the_reference_was_where_the_class_changes() -> None:
    reference = np.array([[0.5, 0.3, 0.2], [0.41, 0.4, 0.19], [0.1, 0.2, 0.7]])
    assert widest_flip(reference, reference) == 0.0
    tied = reference.copy()
    tied[1] = [0.4, 0.41, 0.19]
    assert widest_flip(tied, reference) == pytest.approx(0.01)
    tied[0] = [0.3, 0.5, 0.2]
    assert widest_flip(tied, reference) == pytest.approx(0.2)
