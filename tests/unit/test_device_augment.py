"""Augmentation on the device: each change as albumentations makes it, drawn as often and as far."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode

from edgetl.data.augment import Augment
from edgetl.data.strengths import STRENGTHS, Strength
from edgetl.training.device.augment import Changes, apply, columns, draw, draw_changes

import albumentations  # isort: skip (after edgetl.data.augment, which keeps it from asking the package index for updates)

ALL = get_args(Strength)
FIELDS = [field.name for field in dataclasses.fields(Changes)]
SIZE = (72, 96)
SIDE = 100
"""Of the pictures whose shifts are compared: up to 3, 6 and 10 pixels."""


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """uint8 [72, 96, 3]: smooth blots in all colours, dark and bright, without any symmetry."""
    noise = np.random.default_rng(0).normal(size=(*SIZE, 3))
    blots = np.stack([cv2.GaussianBlur(noise[..., channel], (0, 0), 5) for channel in range(3)], axis=2)
    return np.asarray(np.clip(125 + 60 * blots / blots.std(), 0, 255), np.uint8)


def _one(**changed: float) -> Changes:
    """One picture that is changed in this only."""
    still = {"scale_x": 1.0, "scale_y": 1.0}
    return Changes(**{name: np.array([changed.get(name, still.get(name, 0.0))]) for name in FIELDS})


def _on_device(picture: NDArray[np.uint8], changes: Changes) -> NDArray[np.float32]:
    """float32 [H, W, 3]."""
    drawn = torch.from_numpy(columns(changes, (picture.shape[0], picture.shape[1])))
    changed = apply(torch.from_numpy(picture)[None], drawn)
    assert changed.shape == (1, 3, *picture.shape[:2])
    assert changed.dtype == torch.float32
    return np.asarray(changed[0].permute(1, 2, 0))


def _affine(**arguments: Any) -> Any:
    return albumentations.Affine(border_mode=cv2.BORDER_REFLECT_101, p=1, **arguments)


def _light(brightness: float, contrast: float) -> Any:
    limits = {"brightness_limit": (brightness, brightness), "contrast_limit": (contrast, contrast)}
    return albumentations.RandomBrightnessContrast(p=1, **limits)


def _colour(hue: float = 0, saturation: float = 0, value: float = 0) -> Any:
    limits = {"hue_shift_limit": hue, "sat_shift_limit": saturation, "val_shift_limit": value}
    return albumentations.HueSaturationValue(p=1, **{name: (shift, shift) for name, shift in limits.items()})


CASES: dict[str, tuple[Any, Changes]] = {
    "mirrored": (albumentations.HorizontalFlip(p=1), _one(mirrored=1)),
    "turned": (_affine(rotate=(30, 30)), _one(angle=30)),
    "turned the other way": (_affine(rotate=(-100, -100)), _one(angle=-100)),
    "wider": (_affine(scale={"x": 1.4, "y": 1.0}), _one(scale_x=1.4)),
    "less high": (_affine(scale={"x": 1.0, "y": 0.7}), _one(scale_y=0.7)),
    "wider, then turned": (_affine(scale={"x": 1.4, "y": 1.0}, rotate=(40, 40)), _one(scale_x=1.4, angle=40)),
    "to the right": (_affine(translate_px={"x": 7, "y": 0}), _one(shift_x=7)),
    "down": (_affine(translate_px={"x": 0, "y": 7}), _one(shift_y=7)),
    "turned, then up": (_affine(translate_px={"x": 0, "y": -9}, rotate=(90, 90)), _one(shift_y=-9, angle=90)),
    "brighter": (_light(0.1, 0), _one(brightness=25.5 - 0.5)),
    "darker": (_light(-0.15, 0), _one(brightness=-38.25 - 0.5)),
    "more contrast": (_light(0, 0.24), _one(contrast=0.24, brightness=-0.5)),
    "less contrast": (_light(0, -0.24), _one(contrast=-0.24, brightness=-0.5)),
    "other hue": (_colour(hue=7.5), _one(hue=7)),
    "other hue the other way": (_colour(hue=-7.5), _one(hue=-8)),
    "more saturated": (_colour(saturation=20.7), _one(saturation=20)),
    "less saturated": (_colour(saturation=-20.7), _one(saturation=-20)),
    "more value": (_colour(value=12.7), _one(value=12)),
    "less value": (_colour(value=-12.7), _one(value=-12)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_that_of_albumentations(name: str, picture: NDArray[np.uint8]) -> None:
    transform, changes = CASES[name]
    wanted = transform(image=picture)["image"].astype(np.float32)
    off = np.abs(_on_device(picture, changes) - wanted)
    assert np.abs(wanted - picture).mean() > 3, "else the case shows nothing"
    # Hues are whole units of 2 degrees there, and HSV is whole levels of three numbers.
    mean, largest = (0.7, 6) if isinstance(transform, albumentations.HueSaturationValue) else (0.3, 2)
    assert off.mean() < mean
    assert off.max() < largest


@pytest.mark.parametrize("strength", ALL)
def test_all_changes_together_are_those_of_albumentations(strength: Strength, picture: NDArray[np.uint8]) -> None:
    square = np.ascontiguousarray(picture[:, :72])
    augment = Augment(72, strength)
    off = []
    for index in range(60):
        wanted = augment(square, 0, 0, index).astype(np.float32)
        off.append(_on_device(square, _as_applied(augment, 72)) - wanted)
    assert np.abs(off).mean(axis=(1, 2, 3)).max() < 1
    assert abs(np.mean(off)) < 0.25


def _as_applied(augment: Augment, side: int) -> Changes:
    """What the last call changed in a picture [side, side, 3]."""
    applied = {type(one).__name__: one.params for one in augment._of_this_thread()}  # empty where it was not applied
    changed: dict[str, float] = {"mirrored": float(bool(applied["HorizontalFlip"]))}
    if affine := applied["Affine"]:
        middle = np.array([(side - 1) / 2, (side - 1) / 2, 1])
        shift_x, shift_y, _ = np.round(affine["matrix"] @ middle - middle, 6)
        changed |= {"angle": affine["rotate"], "shift_x": shift_x, "shift_y": shift_y}
        changed |= {f"scale_{axis}": affine["scale"][axis] for axis in "xy"}
    if light := applied["RandomBrightnessContrast"]:
        changed |= {"contrast": light["alpha"] - 1, "brightness": light["beta"] - 0.5}
    if colour := applied.get("HueSaturationValue"):
        saturation, value = np.trunc(colour["sat_shift"]), np.trunc(colour["val_shift"])
        changed |= {"hue": np.floor(colour["hue_shift"]), "saturation": saturation, "value": value}
    return _one(**changed)


def test_grey_stays_grey(picture: NDArray[np.uint8]) -> None:
    grey = np.repeat(picture[..., :1], 3, axis=2)
    for changes in (_one(angle=25, saturation=25, hue=6), _one(contrast=0.2, brightness=-20, saturation=-25)):
        changed = _on_device(grey, changes)
        assert np.ptp(changed, axis=2).max() < 1e-3
        assert changed.std() > 20
    wanted = _colour(hue=5, saturation=20, value=6)(image=grey)["image"]
    np.testing.assert_allclose(_on_device(grey, _one(hue=5, saturation=20, value=6)), wanted, atol=1e-3)


def test_no_change_leaves_the_picture(picture: NDArray[np.uint8]) -> None:
    np.testing.assert_allclose(_on_device(picture, _one()), picture, atol=0.01)
    noise = np.random.default_rng(1).integers(0, 256, (33, 20, 3), dtype=np.uint8)
    np.testing.assert_allclose(_on_device(noise, _one()), noise, atol=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_small_pictures(size: tuple[int, int]) -> None:
    images = torch.full((50, *size, 3), 100, dtype=torch.uint8)
    for strength in ALL:
        changed = apply(images, torch.from_numpy(draw(strength, np.arange(50), 0, 0, size)))
        assert changed.shape == (50, 3, *size)
        assert changed.min() > 30
        assert changed.max() < 200


def test_pixels_stay_in_their_range() -> None:
    images = torch.from_numpy(np.random.default_rng(0).choice([0, 255], (100, 24, 24, 3)).astype(np.uint8))
    changed = apply(images, torch.from_numpy(draw("strong", np.arange(100), 0, 0, (24, 24))))
    assert changed.min() >= 0
    assert changed.max() <= 255


class _OnMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where a tensor is made elsewhere. On "meta" there are no values, so that asking for one fails by itself."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, list | tuple) else [made]:
            assert one.device.type == "meta", func
        return made


def test_nothing_comes_from_the_host_or_goes_there() -> None:
    """A CUDA graph allows neither."""
    images = torch.empty((4, *SIZE, 3), dtype=torch.uint8, device="meta")
    drawn = torch.empty((4, 11), device="meta")
    with _OnMeta():  # type: ignore[no-untyped-call]
        assert apply(images, drawn).shape == (4, 3, *SIZE)


@pytest.fixture(scope="module", params=ALL)
def drawn(request: pytest.FixtureRequest) -> tuple[Strength, Changes, dict[str, NDArray[np.float64]]]:
    """A strength, what the device draws for 20,000 rows, and what albumentations draws for 3000."""
    strength: Strength = request.param
    augment, black = Augment(SIDE, strength), np.zeros((SIDE, SIDE, 3), np.uint8)
    applied = []
    for index in range(3000):
        augment(black, 1, 0, index)
        applied.append(_as_applied(augment, SIDE))
    ours = draw_changes(strength, np.arange(20000), 0, 0, (SIDE, SIDE))
    return strength, ours, {name: np.concatenate([getattr(one, name) for one in applied]) for name in FIELDS}


Drawn = tuple[Strength, Changes, dict[str, NDArray[np.float64]]]


@pytest.mark.parametrize("name", FIELDS)
def test_drawn_as_by_albumentations(name: str, drawn: Drawn) -> None:
    _, ours, theirs = drawn
    mine, wanted = getattr(ours, name), theirs[name]
    assert stats.ks_2samp(mine, wanted).pvalue > 0.001
    unchanged = 1.0 if name.startswith("scale") else 0.0
    assert (mine == unchanged).mean() == pytest.approx((wanted == unchanged).mean(), abs=0.04), "as often"
    for end in (np.min, np.max):
        assert end(mine) == pytest.approx(end(wanted), abs=0.01 * np.ptp(wanted)), "as far"


def test_numbers_of_a_row_are_independent(drawn: Drawn) -> None:
    """But for what is one: whether brightness and contrast are changed, and a scale that keeps proportions."""
    strength, ours, _ = drawn
    values = {name: getattr(ours, name) for name in FIELDS if np.ptp(getattr(ours, name)) > 0}
    if STRENGTHS[strength].affine.balanced:
        np.testing.assert_array_equal(values["scale_x"], values.pop("scale_y"))
    between = np.corrcoef(list(values.values()))
    assert np.abs(between - np.eye(len(between))).max() < 0.03
    np.testing.assert_array_equal(ours.contrast != 0, ours.brightness != 0)
    happened = {name: getattr(ours, name) != 0 for name in ("mirrored", "angle", "contrast", "hue")}
    between = np.corrcoef([one for one in happened.values() if np.ptp(one.astype(int))])
    assert np.abs(between - np.eye(len(between))).max() < 0.03


@pytest.mark.parametrize("strength", ALL)
class TestEveryStrength:
    def test_a_row_is_drawn_alike_whatever_else_is_asked_for(self, strength: Strength) -> None:
        every = draw(strength, np.arange(1000), 3, 7, SIZE)
        assert every.shape == (1000, 11)
        assert every.dtype == np.float32
        some = np.array([999, 4, 4, 512, 0])
        np.testing.assert_array_equal(draw(strength, some, 3, 7, SIZE), every[some])
        for row in (0, 63):
            np.testing.assert_array_equal(draw(strength, np.array([row]), 3, 7, SIZE), every[[row]])
        assert draw(strength, np.array([], np.int64), 3, 7, SIZE).shape == (0, 11)

    def test_seed_epoch_and_row_all_matter(self, strength: Strength) -> None:
        rows = np.arange(500)
        every = draw(strength, rows, 3, 7, SIZE)
        for other in (
            draw(strength, rows, 4, 7, SIZE),
            draw(strength, rows, 3, 8, SIZE),
            draw(strength, rows + 1, 3, 7, SIZE),
        ):
            # In light, a picture in seven is not changed at all but for the mirror image.
            assert (every == other).all(axis=1).mean() < 0.1
        assert len(np.unique(every, axis=0)) > 300

    def test_the_size_changes_the_shift_alone(self, strength: Strength) -> None:
        small, large = (draw_changes(strength, np.arange(500), 0, 0, size) for size in ((100, 100), (100, 1000)))
        for name in FIELDS:
            same = np.array_equal(getattr(small, name), getattr(large, name))
            assert same == (name != "shift_x")
        np.testing.assert_allclose(large.shift_x / 10, small.shift_x, atol=1)


def test_negative_numbers_are_errors() -> None:
    for seed, epoch in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="non-negative"):
            draw("light", np.arange(3), seed, epoch, SIZE)
    with pytest.raises(AssertionError):
        draw("light", np.array([3, -1]), 0, 0, SIZE)
