"""edgetl.data.augment's `standard` and `strong` on the device, as one affine map of places and one of colours.

The distribution is close to albumentations', not the same: hue is turned in YIQ instead of HSV, saturation multiplied instead
of shifted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from edgetl.runtime.preprocessing import DIVISOR, OFFSET

_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Strength:
    """side: smallest and largest of what is seen, in sides of the picture; shift: in sides; the rest as in albumentations."""

    side: tuple[float, float]
    shift: float
    brightness: float
    contrast: float
    hue: float
    saturation: float
    value: float


STANDARD = Strength((0.87, 1.18), 0.06, 0.12, 0.15, 12.0, 0.18, 8 / 255)
STRONG = Strength((0.6, 1.2), 0.10, 0.19, 0.24, 19.2, 0.29, 13 / 255)


def draw(count: int, strength: Strength, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places [count, 2, 3] for `affine_grid` and colours [count, 3, 4] in [0, 255]."""
    device = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, device=device, generator=generator) * (high - low) + low

    def seldom(share: float, values: Tensor) -> Tensor:
        return values * (torch.rand(count, device=device, generator=generator) < share)

    angle, side = uniform(-math.pi, math.pi), uniform(*strength.side)
    mirror = (torch.rand(count, device=device, generator=generator) < 0.5) * 2.0 - 1
    cos, sin = angle.cos() * side, angle.sin() * side
    shifts = [uniform(-2 * strength.shift, 2 * strength.shift) for _ in range(2)]
    places = torch.stack([cos * mirror, -sin, shifts[0], sin * mirror, cos, shifts[1]], dim=1).reshape(count, 2, 3)

    contrast = 1 + seldom(0.7, uniform(-strength.contrast, strength.contrast))
    brightness = seldom(0.7, uniform(-strength.brightness, strength.brightness))
    hue = seldom(0.5, uniform(-strength.hue, strength.hue)) * math.pi / 180
    saturation = 1 + seldom(0.5, uniform(-strength.saturation, strength.saturation))
    value = seldom(0.5, uniform(-strength.value, strength.value))
    zero, one = torch.zeros_like(hue), torch.ones_like(hue)
    turn = torch.stack(
        [one, zero, zero, zero, saturation * hue.cos(), -saturation * hue.sin(), zero, saturation * hue.sin(),
         saturation * hue.cos()], dim=1
    ).reshape(count, 3, 3)  # fmt: skip
    matrix = _FROM_YIQ.to(device) @ turn @ _TO_YIQ.to(device) * contrast[:, None, None]
    offset = ((brightness + value) * 255)[:, None, None].expand(count, 3, 1)
    return places, torch.cat([matrix, offset], dim=2)


def apply(images: Tensor, places: Tensor, colours: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in [-1, 1), channels last."""
    pixels = images.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(places, list(pixels.shape), align_corners=False)
    seen = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    batch, _, height, width = seen.shape
    coloured = torch.baddbmm(colours[:, :, 3:], colours[:, :, :3], seen.reshape(batch, 3, -1)).clamp(0, 255)
    return (
        coloured.reshape(batch, 3, height, width).sub(OFFSET).div(DIVISOR).contiguous(memory_format=torch.channels_last)
    )


def plain(images: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in [-1, 1), channels last."""
    return images.permute(0, 3, 1, 2).float().sub(OFFSET).div(DIVISOR).contiguous(memory_format=torch.channels_last)
