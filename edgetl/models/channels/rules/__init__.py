"""What each of PyTorch's basic operations (ATen) does to channels; one function for each kind.

A rule takes the tracer, the operation's arguments, and its outputs, and returns the atoms of each dimension of the first
output (`Dims`); the other outputs have none. A dimension without atoms (None) is no dimension of channels: batch, height,
width, tokens. An operation without a rule lets nothing of its inputs be pruned.
"""

from __future__ import annotations

from typing import Any

import torch

from edgetl.models.channels.rules import layers, places, values, views
from edgetl.models.channels.rules.table import RULES, Dims, Rule, none
from edgetl.models.channels.rules.values import elementwise

__all__ = ["Dims", "Rule", "layers", "none", "places", "rule_of", "values", "views"]


def rule_of(operation: Any) -> Rule | None:
    """The rule for an operation as torch dispatches it (torch.ops.aten.add.Tensor), or None."""
    name = operation.overloadpacket.__name__
    base = name.removesuffix("_")  # in place
    if name in RULES or base in RULES:
        return RULES.get(name) or RULES[base]
    same = getattr(torch.ops.aten, base, operation.overloadpacket)
    tagged = (getattr(same, overload).tags for overload in same.overloads())
    return elementwise if any(torch.Tag.pointwise in tags for tags in tagged) else None
