"""Random but repeatable changes to a training picture; the only place that knows albumentations.

albumentations 2.0.8 is the last release under MIT and is no longer maintained, so it must be easy to replace.
Three of its traps are closed here: a wrong argument name only warns and leaves the default; its import asks the package
index for updates; and seeding a `Compose` gives every transform the *same* seed, so that what should be independent
(angle, brightness, whether at all) moves together.
"""

from __future__ import annotations

import copy
import os
import random
import threading
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2

__all__ = ["Augment", "Strength"]

Strength = Literal["light", "standard", "strong"]

_REFLECT = cv2.BORDER_REFLECT_101


class Augment:
    """Changes a picture in a way that depends on (seed, epoch, index) alone, whatever was augmented before.

    Several threads may call it at once.

    standard: for pictures without an up or a down (dermatoscopy, histology): a mirror image, any angle, mild scale,
        shift, brightness, contrast and colour.
    strong: as standard, for long trainings of networks that would learn the pictures by heart: as often a crop, magnified
        up to 1 / 0.6, as a view from further away, down to 1 / 1.2, with its proportions kept; more shift, and 1.6 times
        the changes of brightness, contrast and colour.
    light: for pictures with one (ultrasound, X-ray): a mirror image, a few degrees, slight scale, shift, brightness and
        contrast.
    Borders are filled by reflection, so that no black corner tells an augmented picture from an original.
    """

    def __init__(self, size: int, strength: Strength = "standard") -> None:
        """For pictures of `size` x `size`.

        Raises:
            ValueError: no such strength, or no such size.
        """
        if strength not in _STRENGTHS:
            raise ValueError(f"got strength {strength!r}, expected one of {', '.join(_STRENGTHS)}")
        if size < 1:
            raise ValueError(f"got size {size}, expected at least 1")
        self._shape = (size, size, 3)
        # The transforms carry their random state: two threads in one would make pictures unrepeatable. Each has a copy.
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # wrong argument names are only warned of
            self._pattern = _STRENGTHS[strength]()
        self._own = threading.local()
        # At these sizes OpenCV's threads cost more than they bring, and they take the cores from torch.
        cv2.setNumThreads(0)

    def __call__(self, image: npt.NDArray[np.uint8], seed: int, epoch: int, index: int) -> npt.NDArray[np.uint8]:
        """A changed copy.

        Args:
            image: uint8 [size, size, 3], RGB; left as it is.
            seed: of the training run, >= 0.
            epoch: >= 0.
            index: the picture's row in the cache, >= 0.

        Returns:
            uint8 [size, size, 3].

        Raises:
            ValueError: another type or shape, or a negative number.
        """
        if image.dtype != np.uint8 or image.shape != self._shape:
            raise ValueError(f"got {image.dtype} {list(image.shape)}, expected uint8 {list(self._shape)}")
        generator = np.random.default_rng((seed, epoch, index))
        python_random = random.Random(int(generator.integers(2**63)))
        changed = np.array(image)  # also out of a read-only memory map, which OpenCV does not take
        for transform in self._of_this_thread():
            transform.set_random_state(generator, python_random)
            changed = transform(image=changed)["image"]
        return np.ascontiguousarray(changed)

    def _of_this_thread(self) -> list[Any]:
        if not hasattr(self._own, "transforms"):
            self._own.transforms = copy.deepcopy(self._pattern)
        transforms: list[Any] = self._own.transforms
        return transforms


# The transforms in the order in which they are applied; each draws for itself whether it is.


def _light() -> list[Any]:
    return [
        albumentations.HorizontalFlip(p=0.5),
        albumentations.Affine(
            rotate=(-8, 8), scale=(0.95, 1.05), translate_percent=(-0.03, 0.03), border_mode=_REFLECT, p=0.7
        ),
        albumentations.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=0.5),
    ]


def _standard() -> list[Any]:
    return [
        albumentations.HorizontalFlip(p=0.5),
        albumentations.Affine(
            rotate=(-180, 180), scale=(0.85, 1.15), translate_percent=(-0.06, 0.06), border_mode=_REFLECT, p=1.0
        ),
        albumentations.RandomBrightnessContrast(brightness_limit=0.12, contrast_limit=0.15, p=0.7),
        albumentations.HueSaturationValue(hue_shift_limit=6, sat_shift_limit=16, val_shift_limit=8, p=0.5),
    ]


def _strong() -> list[Any]:
    return [
        albumentations.HorizontalFlip(p=0.5),
        # albumentations magnifies by `scale`: 1.67 fills the frame with 0.6 of the picture's width. Uniform over all of the
        # range, four of five would be magnified; drawn for each axis by itself, a circle could become twice as wide as high.
        albumentations.Affine(
            rotate=(-180, 180),
            scale=(1 / 1.2, 1 / 0.6),
            balanced_scale=True,
            keep_ratio=True,
            translate_percent=(-0.1, 0.1),
            border_mode=_REFLECT,
            p=1.0,
        ),
        albumentations.RandomBrightnessContrast(brightness_limit=0.192, contrast_limit=0.24, p=0.7),
        albumentations.HueSaturationValue(hue_shift_limit=9.6, sat_shift_limit=25.6, val_shift_limit=12.8, p=0.5),
    ]


_STRENGTHS: dict[Strength, Callable[[], list[Any]]] = {"light": _light, "standard": _standard, "strong": _strong}
