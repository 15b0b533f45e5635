"""Registration against one written out for a single pair with scipy, and against pictures whose shift is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from edgetl.data.near_duplicates.registration import registered

Pixels = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

_CENTRES = (np.arange(64) + 0.5) / 32 - 1


def _picture(
    seed: int = 1,
    scale: tuple[float, float] = (1.0, 1.0),
    shift: tuple[float, float] = (0.0, 0.0),
    gain: float = 1.0,
    light: float = 0.0,
) -> Pixels:
    """A sum of waves, [64, 64], scaled and shifted by so many half pictures."""
    generator = np.random.default_rng(seed)
    y, x = ((_CENTRES - shift[axis]) / scale[axis] for axis in range(2))
    waves = np.zeros((64, 64))
    for _ in range(12):
        (along_y, along_x), phase = generator.normal(0, 4, 2), generator.uniform(0, 2 * np.pi)
        waves += np.cos(along_y * y[:, None] + along_x * x + phase)
    return np.clip(np.rint(128 + light + gain * 15 * waves), 0, 255).astype(np.uint8)


def _sampled(picture: Doubles, scale: Doubles, shift: Doubles) -> tuple[Doubles, Doubles]:
    """The picture where its places were moved to, and 1 where that is no farther than a quarter cell outside of it."""
    cells = [(scale[axis] * _CENTRES + shift[axis] + 1) * 32 - 0.5 for axis in range(2)]
    sample = RegularGridInterpolator((np.arange(64), np.arange(64)), picture, bounds_error=False, fill_value=None)
    within = [((along > -0.75) & (along < 63.75)).astype(float) for along in cells]
    return sample(tuple(np.meshgrid(*cells, indexing="ij"))), np.outer(*within)


def _by_hand(fixed: Pixels, moving: Pixels) -> float:
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    first, second = (ndimage.convolve(one.astype(float), kernel, mode="nearest") for one in (fixed, moving))
    scale, shift = np.ones(2), np.zeros(2)
    for _ in range(6):
        warped, inside = _sampled(second, scale, shift)
        down, right = (np.gradient(warped, axis=axis) * 32 for axis in range(2))
        columns = [down * _CENTRES[:, None], down, right * _CENTRES, right, warped, np.ones((64, 64))]
        basis = np.stack([(column * inside).ravel() for column in columns], axis=1)
        normal = basis.T @ basis
        normal += (1e-4 * np.trace(normal) + 1) * np.eye(6)
        solved = np.linalg.solve(normal, basis.T @ (first * inside).ravel())
        change = np.clip(solved[:4] / max(abs(solved[4]), 0.1), -0.05, 0.05)
        shift += scale * change[1::2]
        scale *= 1 + change[0::2]
    warped, inside = _sampled(second, scale, shift)
    ours, theirs = (np.stack([np.gradient(one, axis=axis) * inside for axis in range(2)]) for one in (first, warped))
    disc = np.add.outer(_CENTRES**2, _CENTRES**2) <= 0.49
    plain = max((ours**2 * disc).sum(), (theirs**2 * disc).sum()) < disc.sum()
    if abs(scale - 1).max() + abs(shift).max() > 0.2 or not (plain or _correlation(ours * disc, theirs * disc) >= 0.9):
        return 0.0
    return _correlation(ours, theirs)


def _correlation(ours: Doubles, theirs: Doubles) -> float:
    return float((ours * theirs).sum() / max(np.sqrt((ours**2).sum() * (theirs**2).sum()), 1.0))


_MOVES = [
    _picture(),
    _picture(shift=(0.06, -0.11)),
    _picture(scale=(1.06, 0.95)),
    _picture(scale=(0.93, 1.05), shift=(-0.05, 0.08), gain=0.7, light=20),
    _picture(gain=0.05),
    _picture(shift=(0.17, 0.0)),
    _picture(shift=(0.0, -0.17)),
    _picture(shift=(0.19, 0.19)),
    _picture(0),
    _picture(2, scale=(1.2, 1.0)),
    np.full((64, 64), 128, np.uint8),
]


def test_pairs_are_registered_as_one_by_one() -> None:
    fixed, moving = np.stack([_picture()] * len(_MOVES)), np.stack(_MOVES)
    for first, second in ((fixed, moving), (moving, fixed)):
        by_hand = [_by_hand(a, b) for a, b in zip(first, second, strict=True)]
        np.testing.assert_allclose(registered(first, second), by_hand, atol=3e-3)


@pytest.mark.parametrize("shift", [0.0, 0.05, -0.12, 0.18])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_moved_picture_is_the_same_one(shift: float, axis: int) -> None:
    moved = _picture(shift=(shift, 0.0) if axis == 0 else (0.0, shift), gain=0.8, light=15)
    assert registered(_picture()[None], moved[None])[0] > 0.99


def test_one_that_was_moved_farther_or_another_one_is_not() -> None:
    far = [_picture(shift=(0.23, 0.0)), _picture(shift=(0.0, -0.23)), _picture(scale=(1.25, 1.25)), _picture(5)]
    values = registered(np.stack([_picture()] * len(far)), np.stack(far))
    assert values[:3].tolist() == [0.0, 0.0, 0.0]
    assert values[3] < 0.6


def _in_a_dermatoscope(middle: Pixels, radius: float = 1.05) -> Pixels:
    """A picture of little contrast in a round field of view with a dark surrounding."""
    lit = np.add.outer(_CENTRES**2, _CENTRES**2) <= radius**2
    return np.where(lit, 180 + (middle.astype(float) - 128) / 2, 20).astype(np.uint8)


def test_two_lesions_in_one_dermatoscope_are_not_one_for_the_edge_that_they_share() -> None:
    first, second = _in_a_dermatoscope(_picture(1)), _in_a_dermatoscope(_picture(2))
    again = _in_a_dermatoscope(_picture(1, gain=0.9, light=5))
    values = registered(np.stack([first, first]), np.stack([second, again]))
    assert values[0] == 0.0
    assert values[1] > 0.99


def test_a_middle_without_structure_is_no_evidence_against_a_copy() -> None:
    blank, lesion = np.full((64, 64), 128, np.uint8), _picture(1)
    noise = np.random.default_rng(0).integers(0, 4, (2, 64, 64)).astype(np.uint8)
    pairs = [_in_a_dermatoscope(each) for each in (blank + noise[0], blank + noise[1], lesion)]
    values = registered(np.stack([pairs[0], pairs[0]]), np.stack([pairs[1], pairs[2]]))
    assert values[0] > 0.99
    assert values[1] == 0.0, "one has something there, the other nothing"


def test_nothing_correlates_with_nothing() -> None:
    flat = np.full((1, 64, 64), 7, np.uint8)
    assert registered(flat, flat).tolist() == [0.0]
