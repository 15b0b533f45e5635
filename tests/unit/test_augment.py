"""Augmentation: repeatable from (seed, epoch, index), independent draws, no black corners, fast enough."""

from __future__ import annotations

import time
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgetl.data.augment import Augment, Strength

STRENGTHS = get_args(Strength)


@pytest.fixture
def picture() -> npt.NDArray[np.uint8]:
    """uint8 [64, 64, 3]: smooth, bright everywhere, without any symmetry."""
    rows, columns = np.mgrid[0:64, 0:64] / 64
    return np.stack([120 + 80 * rows, 110 + 90 * columns, 150 + 50 * rows * columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize("strength", STRENGTHS)
class TestEveryStrength:
    def test_repeatable_whatever_came_before(self, strength: Strength, picture: npt.NDArray[np.uint8]) -> None:
        first, second = Augment(64, strength), Augment(64, strength)
        for index in range(20):
            second(picture, 3, 0, 100 + index)
            np.testing.assert_array_equal(first(picture, 1, 2, index), second(picture, 1, 2, index))

    def test_seed_epoch_and_index_all_matter(self, strength: Strength, picture: npt.NDArray[np.uint8]) -> None:
        augment = Augment(64, strength)
        for part in range(3):
            keys = [[0, 0, 0] for _ in range(8)]
            for value, key in enumerate(keys):
                key[part] = value
            assert len({augment(picture, *key).tobytes() for key in keys}) >= 6

    def test_shape_type_and_the_original_stay(self, strength: Strength, picture: npt.NDArray[np.uint8]) -> None:
        before = picture.copy()
        picture.flags.writeable = False  # as out of the memory-mapped cache
        for index in range(30):
            changed = Augment(64, strength)(picture, 0, 0, index)
            assert changed.shape == (64, 64, 3)
            assert changed.dtype == np.uint8
            assert changed.flags.c_contiguous
            assert changed.flags.writeable
        np.testing.assert_array_equal(picture, before)

    def test_no_black_corners(self, strength: Strength, picture: npt.NDArray[np.uint8]) -> None:
        augment = Augment(64, strength)
        assert min(int(augment(picture, 0, 0, index).min()) for index in range(200)) > 20

    def test_fast_enough_for_training(self, strength: Strength) -> None:
        image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        augment = Augment(128, strength)
        rates = []
        for epoch in range(5):
            start = time.thread_time()
            for index in range(200):
                augment(image, 0, epoch, index)
            rates.append(200 / (time.thread_time() - start))
        assert max(rates) > 2000, "images/s on one core; the fastest training here eats 300"


def test_whether_to_mirror_and_how_bright_are_drawn_independently(picture: npt.NDArray[np.uint8]) -> None:
    """One seed for all transforms would tie their first draws together: mirrored would mean changed in brightness."""
    augment = Augment(64, "light")
    changed = [augment(picture, 0, 0, index).astype(float) for index in range(600)]
    mirrored = np.array([image[:, :32, 1].mean() > image[:, 32:, 1].mean() for image in changed])
    brightened = np.array([abs(image.mean() - float(picture.mean())) > 4 for image in changed])
    assert 0.4 < mirrored.mean() < 0.6
    assert 0.2 < brightened.mean() < 0.8
    assert abs(np.corrcoef(mirrored, brightened)[0, 1]) < 0.15


def _both(limit: float) -> tuple[float, float]:
    return (-limit, limit)


def _along_both(low: float, high: float) -> dict[str, tuple[float, float]]:
    return {"x": (low, high), "y": (low, high)}


_DRAWN: dict[Strength, dict[str, dict[str, Any]]] = {
    "light": {
        "HorizontalFlip": {"p": 0.5},
        "Affine": {
            "p": 0.7,
            "rotate": _both(8.0),
            "scale": _along_both(0.95, 1.05),
            "translate_percent": _along_both(-0.03, 0.03),
            "border_mode": cv2.BORDER_REFLECT_101,
        },
        "RandomBrightnessContrast": {"p": 0.5, "brightness_limit": _both(0.1), "contrast_limit": _both(0.1)},
    },
    "standard": {
        "HorizontalFlip": {"p": 0.5},
        "Affine": {
            "p": 1.0,
            "rotate": _both(180.0),
            "scale": _along_both(0.85, 1.15),
            "translate_percent": _along_both(-0.06, 0.06),
            "border_mode": cv2.BORDER_REFLECT_101,
        },
        "RandomBrightnessContrast": {"p": 0.7, "brightness_limit": _both(0.12), "contrast_limit": _both(0.15)},
        "HueSaturationValue": {
            "p": 0.5,
            "hue_shift_limit": _both(6.0),
            "sat_shift_limit": _both(16.0),
            "val_shift_limit": _both(8.0),
        },
    },
    "strong": {
        "HorizontalFlip": {"p": 0.5},
        "Affine": {
            "p": 1.0,
            "rotate": _both(180.0),
            "scale": _along_both(1 / 1.2, 1 / 0.6),
            "balanced_scale": True,
            "keep_ratio": True,
            "translate_percent": _along_both(-0.1, 0.1),
            "border_mode": cv2.BORDER_REFLECT_101,
        },
        "RandomBrightnessContrast": {"p": 0.7, "brightness_limit": _both(0.192), "contrast_limit": _both(0.24)},
        "HueSaturationValue": {
            "p": 0.5,
            "hue_shift_limit": _both(9.6),
            "sat_shift_limit": _both(25.6),
            "val_shift_limit": _both(12.8),
        },
    },
}


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_strength_draws_what_it_always_drew(strength: Strength) -> None:
    """A release that draws otherwise would make another network of the same recipe."""
    drawn = {type(one).__name__: one.get_transform_init_args() for one in Augment(64, strength)._pattern}
    assert list(drawn) == list(_DRAWN[strength]), "in this order"
    for name, wanted in _DRAWN[strength].items():
        assert {argument: drawn[name][argument] for argument in wanted} == wanted


_RADIUS = 15
_DRAWS = 400


@pytest.fixture(scope="module")
def discs() -> dict[Strength, dict[str, npt.NDArray[np.float64]]]:
    """What became of a dark red disc in the middle of a picture in `_DRAWS` draws, by property; float64 [_DRAWS]."""
    rows, columns = np.mgrid[0:128, 0:128] - 63.5
    inside = rows**2 + columns**2 < _RADIUS**2
    picture = np.where(inside[..., None], [140, 60, 50], [200, 180, 170]).astype(np.uint8)
    return {strength: _of_discs(Augment(128, strength), picture) for strength in STRENGTHS}


def _of_discs(augment: Augment, picture: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float64]]:
    found = []
    for index in range(_DRAWS):
        changed = augment(picture, 0, 0, index)
        green = changed[..., 1].astype(int)
        disc = green < (green.min() + green.max()) / 2
        rows, columns = np.nonzero(disc)
        hue, saturation, _ = cv2.cvtColor(changed[~disc].mean(axis=0).astype(np.uint8)[None, None], cv2.COLOR_RGB2HSV)[
            0, 0
        ]
        found.append(
            {
                "magnified": float(np.sqrt(disc.sum() / np.pi) / _RADIUS),
                "shift": float(np.abs([rows.mean() - 63.5, columns.mean() - 63.5]).max()),
                "brightness": float(green[~disc].mean()),
                "contrast": float(green[~disc].mean() - green[disc].mean()),
                "hue": float((int(hue) + 90) % 180),
                "saturation": float(saturation),
            }
        )
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def test_strong_magnifies_as_often_as_it_shrinks_and_over_all_of_its_range(
    discs: dict[Strength, dict[str, npt.NDArray[np.float64]]],
) -> None:
    magnified = discs["strong"]["magnified"]
    assert magnified.min() == pytest.approx(1 / 1.2, abs=0.02)
    assert magnified.max() == pytest.approx(1 / 0.6, abs=0.04)
    assert 0.42 < (magnified > 1).mean() < 0.58
    cells = np.histogram(magnified, [1 / 1.2, 0.89, 0.94, 1.0, 1.22, 1.44, 1 / 0.6])[0] / _DRAWS
    assert cells.min() > 0.1, "each third of either side has a sixth of the draws"


@pytest.mark.parametrize("name", ["magnified", "shift", "brightness", "contrast", "hue", "saturation"])
def test_strong_changes_more_than_standard(
    name: str, discs: dict[Strength, dict[str, npt.NDArray[np.float64]]]
) -> None:
    strong, standard = (np.ptp(np.quantile(discs[strength][name], [0.02, 0.98])) for strength in ("strong", "standard"))
    assert strong > 1.25 * standard


def test_standard_is_what_is_drawn_where_nothing_is_said(picture: npt.NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(Augment(64)(picture, 1, 2, 3), Augment(64, "standard")(picture, 1, 2, 3))


def test_wrong_argument_names_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    import albumentations  # after edgetl.data.augment, which keeps it from asking the package index for updates

    real = albumentations.HorizontalFlip
    monkeypatch.setattr(albumentations, "HorizontalFlip", lambda p: real(p=p, probability=p))
    with pytest.raises(UserWarning, match="probability"):
        Augment(64)


def test_unknown_strengths_and_sizes_are_errors() -> None:
    with pytest.raises(ValueError, match="'lihgt', expected one of light, standard, strong"):
        Augment(32, "lihgt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size 0"):
        Augment(0)
    assert Augment(1)(np.zeros((1, 1, 3), np.uint8), 0, 0, 0).shape == (1, 1, 3)


def test_other_pictures_and_negative_numbers_are_errors(picture: npt.NDArray[np.uint8]) -> None:
    augment = Augment(64)
    wrongs: list[npt.NDArray[Any]] = [picture / 255, picture[:32], picture[:, :, :1]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"expected uint8 \[64, 64, 3\]"):
            augment(wrong, 0, 0, 0)
    for numbers in ((-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        with pytest.raises(ValueError, match="non-negative"):
            augment(picture, *numbers)
