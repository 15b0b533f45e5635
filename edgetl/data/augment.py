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
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2

from edgetl.data.strengths import STRENGTHS, Limits, Strength

__all__ = ["Augment", "Strength"]


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
        if strength not in STRENGTHS:
            raise ValueError(f"got strength {strength!r}, expected one of {', '.join(STRENGTHS)}")
        if size < 1:
            raise ValueError(f"got size {size}, expected at least 1")
        self.strength = strength
        self.strength = strength
        self._shape = (size, size, 3)
        # The transforms carry their random state: two threads in one would make pictures unrepeatable. Each has a copy.
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # wrong argument names are only warned of
            self._pattern = _transforms(STRENGTHS[strength])
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


def _transforms(limits: Limits) -> list[Any]:
    """In the order in which they are applied; each draws for itself whether it is."""
    affine, light, colour = limits.affine, limits.light, limits.colour
    transforms = [
        albumentations.HorizontalFlip(p=limits.mirrored),
        albumentations.Affine(
            rotate=(-affine.rotate, affine.rotate),
            scale=affine.scale,
            balanced_scale=affine.balanced,
            keep_ratio=affine.balanced,
            translate_percent=(-affine.translate, affine.translate),
            border_mode=cv2.BORDER_REFLECT_101,
            p=affine.p,
        ),
        albumentations.RandomBrightnessContrast(
            brightness_limit=light.brightness, contrast_limit=light.contrast, p=light.p
        ),
    ]
    if colour is not None:
        transforms.append(
            albumentations.HueSaturationValue(
                hue_shift_limit=colour.hue, sat_shift_limit=colour.saturation, val_shift_limit=colour.value, p=colour.p
            )
        )
    return transforms
