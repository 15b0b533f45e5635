"""Spectra against scipy's cosine transform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn, idctn

from edgetl.data.near_duplicates.spectra import BAND, bounding, inside, oriented, spectra
from edgetl.data.near_duplicates.thumbnails import turned

_FREQUENCY = np.hypot(*np.mgrid[:12, :12])


def test_a_spectrum_is_the_low_part_of_the_cosine_transform_weighted_by_frequency() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    low = dctn(pictures.astype(float), axes=(1, 2), norm="ortho")[:, :12, :12]
    weighted = low * np.where(_FREQUENCY < 12, _FREQUENCY, 0.0)
    expected = weighted / np.sqrt((weighted**2).sum((1, 2), keepdims=True))
    np.testing.assert_allclose(spectra(pictures), expected, atol=1e-5)


def test_the_band_is_what_lies_within_twelve_frequencies_but_the_mean() -> None:
    assert BAND == 12
    np.testing.assert_array_equal(inside(), (_FREQUENCY > 0) & (_FREQUENCY < 12))


@pytest.mark.parametrize(("length", "structured"), [(0.0, False), (0.99, False), (1.01, True)])
def test_less_than_one_grey_level_of_structure_is_none(length: float, structured: bool) -> None:
    of_picture = np.zeros((64, 64))
    of_picture[0, 2] = length / 2  # its frequency weighs it by 2
    of_picture[0, 0] = 64.0
    expected = np.zeros((12, 12))
    expected[0, 2] = float(structured)
    np.testing.assert_allclose(spectra(idctn(of_picture, norm="ortho")[None])[0], expected, atol=2e-3)


@pytest.mark.parametrize("turn", range(8))
def test_turning_a_picture_turns_its_spectrum(turn: int) -> None:
    picture = np.random.default_rng(turn).integers(0, 256, (64, 64), dtype=np.uint8)
    np.testing.assert_allclose(oriented(spectra(picture[None]), turn), spectra(turned(picture, turn)[None]), atol=1e-5)


def test_the_eight_orientations_are_all_different_and_the_first_is_upright() -> None:
    picture = np.arange(64 * 64).reshape(64, 64).astype(np.uint8)
    assert np.array_equal(turned(picture, 0), picture)
    assert np.array_equal(turned(picture, 1), picture[:, ::-1])
    assert np.array_equal(turned(picture, 2), picture[::-1])
    assert np.array_equal(turned(picture, 4), picture.T)
    assert len({turned(picture, turn).tobytes() for turn in range(8)}) == 8


def test_the_bound_is_tight_for_a_picture_and_its_best_orientation() -> None:
    """The larger of each two entries that an orientation may swap meets the larger one, and the smaller the smaller."""
    one = np.zeros((1, 12, 12), np.float32)
    one[0, 3, 1], one[0, 1, 3], one[0, 2, 2] = -0.8, 0.36, 0.48
    bound = bounding(one)[0]
    assert (bound[3, 1], bound[1, 3], bound[2, 2]) == pytest.approx((0.8, 0.36, 0.48))
    swapped = one.transpose(0, 2, 1)
    np.testing.assert_array_equal(bounding(swapped), bounding(one))
    assert (bounding(one) * bounding(swapped)).sum() == pytest.approx(1.0)
