"""What norms add to the variance: a checkpoint may have been trained with another `eps` than timm's network has.

torchvision's MobileNetV3 has 1e-3, timm's 1e-5: with the same tensors and the wrong one, a network computes garbage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn

__all__ = ["changed", "give", "of"]


def of(body: nn.Module) -> dict[str, float]:
    """eps of each norm, by the module's name."""
    found = ((name, getattr(module, "eps", None)) for name, module in body.named_modules())
    return {name: eps for name, eps in found if isinstance(eps, float)}


def changed(fresh: nn.Module, body: nn.Module) -> dict[str, float]:
    """eps of the norms in which `body` is not as it was made."""
    before = of(fresh)
    return {name: eps for name, eps in of(body).items() if before.get(name) != eps}


def give(body: nn.Module, wanted: Mapping[str, object]) -> None:
    """Change eps, in place.

    Raises:
        ValueError: no norm of this name, or no number that an eps can be.
    """
    known = of(body)
    for name, eps in wanted.items():
        if name not in known:
            raise ValueError(f"eps: {name!r}: no norm of this name")
        if not isinstance(eps, float) or not (math.isfinite(eps) and 0.0 < eps <= 1.0):
            raise ValueError(f"eps: {name}: got {eps!r}, expected a number above 0 and at most 1")
        setattr(body.get_submodule(name), "eps", eps)  # noqa: B010  # every norm has one, nn.Module has none
