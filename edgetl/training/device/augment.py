"""edgetl.data.augment on the device: the same changes, as likely, computed for whole batches by torch.

The same distribution, not the same draws. What is drawn is rounded as albumentations 2.0.8 does it: shifts to whole pixels and
whole levels. Pixels stay floats where it rounds after every change; but its brightness rounds down, half a level on average,
and so does this. OpenCV's way back from HSV rounds down too: there its mean is lower by a third of a level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edgetl.data.strengths import STRENGTHS, Affine, Limits, Strength

__all__ = ["COLUMNS", "Changes", "apply", "columns", "draw", "draw_changes"]

COLUMNS = 11
"""Numbers that `apply` takes for each picture."""

_DRAWS = 15
"""Random numbers a row, whether its strength needs them or not."""

_STREAM = 2  # keeps these draws apart from others that are seeded by (seed, epoch)
_TINY = 1e-6  # instead of a division by zero, where what is divided is zero too


@dataclass(frozen=True)
class Changes:
    """What happens to n pictures, in this order; each array is float64 [n], and what does not happen is 0 (a scale: 1).

    mirrored: 1 where left and right are exchanged.
    angle: degrees, anticlockwise.
    scale_x, scale_y: magnification along the axes of the picture that is not yet turned.
    shift_x, shift_y: to the right and down, in pixels.
    contrast: what is added to a factor of 1.
    brightness: levels of 255.
    hue: units of 2 degrees.
    saturation, value: levels of 255.
    """

    mirrored: NDArray[np.float64]
    angle: NDArray[np.float64]
    scale_x: NDArray[np.float64]
    scale_y: NDArray[np.float64]
    shift_x: NDArray[np.float64]
    shift_y: NDArray[np.float64]
    contrast: NDArray[np.float64]
    brightness: NDArray[np.float64]
    hue: NDArray[np.float64]
    saturation: NDArray[np.float64]
    value: NDArray[np.float64]


def draw(
    strength: Strength, rows: NDArray[np.int64], seed: int, epoch: int, size: tuple[int, int]
) -> NDArray[np.float32]:
    """All that `apply` has to know of the pictures in `rows`, from (seed, epoch, row) alone, whatever else is asked for.

    Args:
        strength: as of edgetl.data.augment.
        rows: int64 [n], >= 0.
        seed, epoch: >= 0.
        size: (height, width) of the pictures.

    Returns:
        float32 [n, 11], see `columns`.
    """
    return columns(draw_changes(strength, rows, seed, epoch, size), size)


def draw_changes(strength: Strength, rows: NDArray[np.int64], seed: int, epoch: int, size: tuple[int, int]) -> Changes:
    """What `draw` draws, in units that a person can read."""
    assert rows.min(initial=0) >= 0, "rows count from the first"
    # One generator for an epoch, its numbers handed out by row: one for each row takes a hundred times as long.
    generator = np.random.Generator(np.random.Philox((seed, epoch, _STREAM)))
    uniform = generator.random((int(rows.max(initial=-1)) + 1, _DRAWS))
    return _limited(STRENGTHS[strength], uniform[rows], size)


def _limited(limits: Limits, uniform: NDArray[np.float64], size: tuple[int, int]) -> Changes:
    """As albumentations limits and rounds them; `uniform` is [n, _DRAWS] in [0, 1)."""
    draws = iter(uniform.T)

    def happens(share: float) -> NDArray[np.float64]:
        return np.asarray(next(draws) < share, np.float64)

    def either_side(limit: float) -> NDArray[np.float64]:
        return np.asarray(limit * (2 * next(draws) - 1))

    height, width = size
    affine, light, colour = limits.affine, limits.light, limits.colour
    mirrored, moved, lit = happens(limits.mirrored), happens(affine.p), happens(light.p)
    scale_x, scale_y = _scales(affine, next(draws), next(draws), next(draws))
    angle = either_side(affine.rotate)
    shift_x, shift_y = np.trunc(either_side(affine.translate) * width), np.trunc(either_side(affine.translate) * height)
    contrast, brightness = either_side(light.contrast), either_side(light.brightness) * 255
    hue = saturation = value = np.zeros(len(uniform))
    if colour is not None:
        coloured = happens(colour.p)
        hue = coloured * np.floor(either_side(colour.hue))
        saturation, value = (coloured * np.trunc(either_side(limit)) for limit in (colour.saturation, colour.value))
    return Changes(
        mirrored,
        moved * angle,
        np.where(moved, scale_x, 1.0),
        np.where(moved, scale_y, 1.0),
        moved * shift_x,
        moved * shift_y,
        lit * contrast,
        lit * (brightness - 0.5),  # its table of levels is rounded down
        hue,
        saturation,
        value,
    )


def _scales(
    affine: Affine, side: NDArray[np.float64], along_x: NDArray[np.float64], along_y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Magnification along both axes, each [n], out of uniform numbers."""
    low, high = affine.scale
    if not affine.balanced:
        return low + (high - low) * along_x, low + (high - low) * along_y
    either = np.where(side < 0.5, low + (1 - low) * along_x, 1 + (high - 1) * along_x)
    return either, either


def columns(changes: Changes, size: tuple[int, int]) -> NDArray[np.float32]:
    """The changes as `apply` takes them.

    Returns:
        float32 [n, 11]: a matrix [2, 3] by rows, from pixels right of and below the middle of the new picture to the place in
        the old one, where -1 and 1 are the middles of its outermost pixels; then the factor of contrast, brightness, hue,
        saturation and value.
    """
    height, width = size
    right, down = max(width - 1, 1) / 2, max(height - 1, 1) / 2  # from the middle to the outermost pixel
    cos, sin = np.cos(np.deg2rad(changes.angle)), np.sin(np.deg2rad(changes.angle))
    # The new picture is the old one mirrored, scaled, turned and shifted; its pixels are looked up the other way round.
    x, y = (1 - 2 * changes.mirrored) / changes.scale_x / right, 1 / changes.scale_y / down
    x_row, y_row = (x * cos, -x * sin), (y * sin, y * cos)
    x_offset, y_offset = (-row[0] * changes.shift_x - row[1] * changes.shift_y for row in (x_row, y_row))
    colours = [1 + changes.contrast, changes.brightness, changes.hue, changes.saturation, changes.value]
    return np.stack([*x_row, x_offset, *y_row, y_offset, *colours], axis=1).astype(np.float32)


def apply(images: Tensor, drawn: Tensor) -> Tensor:
    """The changed pictures.

    Safe in a CUDA graph: shapes depend on shapes alone, nothing is drawn, and nothing comes from the host.

    Args:
        images: uint8 [B, H, W, 3], RGB.
        drawn: float32 [B, 11] from `draw` for pictures of (H, W), on the same device.

    Returns:
        float32 [B, 3, H, W] in [0, 255].
    """
    pixels = _moved(images.permute(0, 3, 1, 2).float(), drawn[:, :6])
    contrast, brightness, hue, saturation, value = drawn[:, 6:, None, None, None].unbind(1)
    return _recoloured(torch.addcmul(brightness, pixels, contrast).clamp(0, 255), hue, saturation, value)


def _moved(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Float [B, 3, H, W] looked up where `matrices` [B, 6] say."""
    height, width = pixels.shape[2:]
    right = torch.arange(width, device=pixels.device, dtype=torch.float32) - (width - 1) / 2
    down = torch.arange(height, device=pixels.device, dtype=torch.float32)[:, None] - (height - 1) / 2
    by_right, by_down, offset = matrices.reshape(-1, 2, 3, 1, 1).unbind(2)
    # Not affine_grid: it multiplies matrices, where TF32 or autocast may leave it wrong by parts of a pixel.
    places = torch.addcmul(offset + by_down * down, by_right, right).permute(0, 2, 3, 1)
    # With aligned corners the outermost pixels are not repeated: OpenCV's BORDER_REFLECT_101.
    return F.grid_sample(pixels, places, mode="bilinear", padding_mode="reflection", align_corners=True)


def _recoloured(pixels: Tensor, hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Float [B, 3, H, W] in [0, 255] with hue, saturation and value shifted by [B, 1, 1, 1] each, as in OpenCV's HSV.

    Smith, "Color gamut transform pairs", SIGGRAPH 1978, https://doi.org/10.1145/800248.807361
    """
    red, green, blue = pixels.chunk(3, dim=1)
    brightest = pixels.amax(dim=1, keepdim=True)
    chroma = brightest - pixels.amin(dim=1, keepdim=True)
    # Hues in sixths of the circle: 0 is red, 2 green, 4 blue. Here times chroma.
    not_red = torch.where(brightest == green, (blue - red).add(chroma, alpha=2), (red - green).add(chroma, alpha=4))
    sixths = torch.where(brightest == red, green - blue, not_red) / chroma.clamp_min(_TINY) + hue / 30
    # Grey has no hue to become more of, and stays grey; albumentations asks for it in whole levels.
    more = (chroma >= 0.5) * (saturation / 255)
    new_value = (brightest + value).clamp(0, 255)
    new_chroma = (chroma / brightest.clamp_min(_TINY) + more).clamp(0, 1) * new_value
    # A channel is the brightest up to one sixth from its own hue, and the darkest from two sixths on.
    channels = torch.arange(5, 0, -2, device=pixels.device)[:, None, None]
    place = (sixths + channels).remainder(6)
    return torch.addcmul(new_value, new_chroma, torch.minimum(place, 4 - place).clamp(0, 1), value=-1)
