"""Do two artefacts say the same about the same images?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Parity", "compare", "widest_flip"]

_LISTED = 20


@dataclass(frozen=True)
class Parity:
    """How far two sets of probabilities are apart.

    max_abs_diff, mean_abs_diff: over all images and classes, in [0, 1].
    top1_agreement: share of the images with the same most probable class.
    disagreements: rows where it differs, widest change of probability first, at most 20.
    """

    max_abs_diff: float
    mean_abs_diff: float
    top1_agreement: float
    disagreements: tuple[int, ...]


def compare(ours: ArrayLike, reference: ArrayLike) -> Parity:
    """Compare probabilities [N, C] of the same images at the same temperature.

    Raises:
        ValueError: shapes differ, there is no image, or a probability is not finite (broken must not pass as equal).
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or not a.size:
        raise ValueError(f"probabilities have shapes {a.shape} and {b.shape}, expected the same [N > 0, C > 0]")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("probabilities are not finite")
    difference = np.abs(a - b)
    flipped = np.flatnonzero(a.argmax(axis=1) != b.argmax(axis=1))
    widest_first = flipped[np.argsort(-difference[flipped].max(axis=1), kind="stable")]
    return Parity(
        max_abs_diff=float(difference.max()),
        mean_abs_diff=float(difference.mean()),
        top1_agreement=1.0 - len(flipped) / len(a),
        disagreements=tuple(widest_first[:_LISTED].tolist()),
    )


def widest_flip(ours: ArrayLike, reference: ArrayLike) -> float:
    """How sure the reference was where the other one names another class: 0 where it does so nowhere.

    Returns:
        The largest lead of the reference's most probable class over its second one, in [0, 1], among those images.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    flipped = a.argmax(axis=1) != b.argmax(axis=1)
    if not flipped.any():
        return 0.0
    first_two = np.sort(b[flipped], axis=1)[:, -2:]
    return float((first_two[:, 1] - first_two[:, 0]).max())
