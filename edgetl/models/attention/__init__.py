"""Attention by name, put where the backbone has squeeze-and-excite, or behind its blocks (`placement`)."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ATTENTION", "NONE", "Attention"]

NONE = "none"
"""What recipes write to take the backbone's own attention away."""


@dataclass(frozen=True)
class Attention:
    """A kind of attention by its name in recipes.

    about: what it is, in a few words, and its paper.
    load: MODULE:FUNCTION that makes a layer from the number of its channels and the name of its gate ("sigmoid",
        "hard_sigmoid"); the layer maps [B, channels, H, W] to the same shape.
    layer: MODULE:CLASS of that layer.
    behind: MODULE:FUNCTION like `load`, for behind a block, where the channels are those of its output instead of the wider
        ones inside; None takes `load` there too.
    """

    name: str
    about: str
    load: str
    layer: str
    behind: str | None = None

    def build(self, channels: int, gate: str, behind: bool = False) -> nn.Module:
        """A new layer, inside a block or behind it; brings torch."""
        name = self.behind if behind and self.behind else self.load
        make = cast("Callable[[int, str], nn.Module]", pkgutil.resolve_name(name))
        return make(channels, gate)


_ENTRIES = (
    Attention(
        "se",
        "one weight a channel from the pooled channels (Hu et al., 2018)",  # https://arxiv.org/abs/1709.01507
        f"{__name__}.layers:squeeze_excite",
        "timm.models._efficientnet_blocks:SqueezeExcite",
        behind=f"{__name__}.layers:squeeze_excite_behind",
    ),
    Attention(
        "eca",
        "one weight a channel from its neighbours, a 1-D convolution (Wang et al., 2020)",  # https://arxiv.org/abs/1910.03151
        f"{__name__}.layers:eca",
        f"{__name__}.eca:Eca",
    ),
    Attention(
        "cbam",
        "channel weights from mean and max, then a spatial map (Woo et al., 2018)",  # https://arxiv.org/abs/1807.06521
        f"{__name__}.layers:cbam",
        "timm.layers.cbam:CbamModule",
    ),
    Attention(
        "coord",
        "weights along the height and along the width (Hou et al., 2021)",  # https://arxiv.org/abs/2103.02907
        f"{__name__}.layers:coord",
        "timm.layers.coord_attn:CoordAttn",
    ),
)

ATTENTION: dict[str, Attention] = {attention.name: attention for attention in _ENTRIES}
"""By name, as `student.attention` of a recipe takes them."""
