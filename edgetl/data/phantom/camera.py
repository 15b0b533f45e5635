"""Photograph a painted lesion: pose, artefacts, light, the device's optics and sensor."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgetl.data.phantom import artefacts
from edgetl.data.phantom.devices import DEVICES, Device
from edgetl.data.phantom.fields import EXTENT, Canvas, Field
from edgetl.data.phantom.lesion import Specimen
from edgetl.data.phantom.sampling import stream

_GRAIN = 160  # lattice of the sensor's noise: a grain that pictures of every size share
_SHARP = 0.2  # pixels: blur below it changes nothing


class Photo(NamedTuple):
    """An sRGB-like picture uint8 [size, size, 3] and the lesion's mask bool [size, size]."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def device_of(seed: int, lesion: int, view: int) -> str:
    """Which device took this view."""
    names = list(DEVICES)
    return str(stream(seed, "device", lesion, view).choice(names, p=[DEVICES[name].share for name in names]))


def photograph(specimen: Specimen, size: int, seed: int, lesion: int, view: int) -> Photo:
    """Take view number `view` of a lesion."""
    device = DEVICES[device_of(seed, lesion, view)]
    picture, depth = _pose(specimen, size, stream(seed, "pose", lesion, view))
    frame = Canvas(size, extent=1.0)
    _clutter(picture, frame, device, stream(seed, "clutter", lesion, view))
    _light(picture, frame, device, stream(seed, "light", lesion, view))
    image = _expose(picture, device, stream(seed, "sensor", lesion, view))
    return Photo(image, depth < 1)


def _pose(specimen: Specimen, size: int, rng: np.random.Generator) -> tuple[Field, Field]:
    """Turn, zoom and shift the canvas into the picture's frame: colour [3, size, size] and depth [size, size]."""
    side = specimen.depth.shape[0]
    angle, zoom, shift = rng.uniform(-np.pi, np.pi), np.exp(rng.uniform(-0.12, 0.22)), rng.uniform(-0.10, 0.10, 2)
    # Pixel of the picture -> half fields of view -> turned and scaled -> pixel of the canvas.
    pitch, density = 2 / size, side / (2 * EXTENT)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    linear = turn * (pitch * density)
    offset = (turn @ (np.full(2, 0.5 * pitch - 1) + shift) + EXTENT) * density - 0.5
    matrix = np.concatenate([linear, offset[:, None]], axis=1)
    # One warp of four channels is faster than four. Outside the canvas lies more skin, hardly ever a second lesion.
    layers = cv2.merge([*specimen.colour, specimen.depth])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(layers, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    red, green, blue, depth = cv2.split(seen)
    return np.stack([red, green, blue]), depth


def _clutter(picture: Field, frame: Canvas, device: Device, rng: np.random.Generator) -> None:
    with_gel, with_ruler, with_rim = rng.random(3) < (device.gel, 0.06, device.rim)
    artefacts.hair(picture, frame, rng)
    if with_ruler:
        artefacts.ruler(picture, frame, rng)
    if with_gel:
        artefacts.bubbles(picture, frame, rng)
    if with_rim:
        artefacts.rim(picture, frame, rng)


def _light(picture: Field, frame: Canvas, device: Device, rng: np.random.Generator) -> None:
    """A slope of light across the field, the vignette, exposure and white balance."""
    heading, slope = rng.uniform(-np.pi, np.pi), rng.uniform(0, 0.16)
    x0, y0 = rng.normal(0, 0.12, 2)
    across = frame.x * np.float32(slope * np.cos(heading)) + frame.y * np.float32(slope * np.sin(heading))
    squared = (frame.x - np.float32(x0)) ** 2 + (frame.y - np.float32(y0)) ** 2
    shade = 1 + across - squared * np.float32(device.vignette * rng.uniform(0.6, 1.4) / 2)
    balance = np.exp(rng.normal(0, (0.05, 0.03, 0.06))) * np.exp(rng.normal(0.0, 0.10))
    picture *= np.maximum(shade, 0.05)
    picture *= balance.astype(np.float32)[:, None, None]


def _expose(picture: Field, device: Device, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Optics, sensor and coding: linear light [3, size, size] -> uint8 [size, size, 3]."""
    size = picture.shape[1]
    seen = (device.response @ picture.reshape(3, -1)).reshape(picture.shape)
    sigma = device.blur * np.exp(rng.normal(0, 0.35)) * size / 2
    if sigma > _SHARP:
        seen = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in seen])
    np.clip(seen, 0, 1, out=seen)
    # A gamma of 2 instead of sRGB's curve: faster and hardly different.
    coded = np.sqrt(seen) if device.contrast == 1 else np.power(seen, np.float32(device.contrast / 2))
    coded *= np.float32(255)
    grain = rng.standard_normal((_GRAIN, _GRAIN), dtype=np.float32)
    finer = cv2.INTER_AREA if size < _GRAIN else cv2.INTER_LINEAR
    coded += cv2.resize(grain, (size, size), interpolation=finer) * np.float32(device.noise) + np.float32(0.5)
    image: NDArray[np.uint8] = cv2.merge(list(np.clip(coded, 0, 255).astype(np.uint8)))
    return image
