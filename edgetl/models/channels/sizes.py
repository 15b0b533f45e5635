"""The plain numbers of a module that say how many channels it has, and so may shrink with them."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

__all__ = ["numbers_of", "rescale", "rows_of"]

_WORDS = re.compile(
    r"(^|_)(groups?|heads?|\w*dims?|c|chs?|chans|channels|features|width|planes|parameters|shape|splits?|sizes|indexes|"
    r"untouched|conv3|out|in|gc)(_|$)"
)
_NOT = re.compile(
    r"stride|dilation|kernel|pad|window|patch|img|image|grid|resolution|stages|branches|(^|_)(spatial|classes|layers)(_|$)|feat_size"
)


def _is_size(name: str) -> bool:
    return not name.startswith("_") and bool(_WORDS.search(name)) and not _NOT.search(name)


def numbers_of(module: nn.Module) -> dict[str, int]:
    """Attributes that are one number of channels, heads or groups."""
    return {name: value for name, value in vars(module).items() if type(value) is int and value > 0 and _is_size(name)}


def rows_of(module: nn.Module) -> dict[str, tuple[int, ...] | list[int]]:
    """Attributes that are several numbers at once, such as the parts of a split."""
    return {
        name: value
        for name, value in vars(module).items()
        if type(value) in (tuple, list) and value and _is_size(name) and all(type(n) is int and n > 0 for n in value)
    }


def rescale(module: nn.Module, attribute: str, size: Any) -> dict[str, float]:
    """What else follows when a size changes: attention divides by the root of its key dimension."""
    old, scale = getattr(module, attribute), vars(module).get("scale")
    if type(scale) is float and type(size) is int and old != size and scale == old**-0.5:
        return {"scale": size**-0.5}
    return {}
