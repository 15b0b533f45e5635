"""The table of rules, and what several of them do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from edgetl.models.channels.bonds import Atoms

if TYPE_CHECKING:
    from edgetl.models.channels.trace import Tracer

__all__ = ["RULES", "Dims", "Rule", "join_rows", "known", "none", "rule", "tensors"]

Dims = list[Atoms | None]
Rule = Callable[["Tracer", tuple[Any, ...], Any], Dims]

RULES: dict[str, Rule] = {}
"""By the name of the operation."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for operations of these names."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def none(shape: Sequence[int]) -> Dims:
    """No dimension has atoms."""
    return [None] * len(shape)


def known(one: Atoms | None, other: Atoms | None) -> Atoms | None:
    """The atoms of two dimensions that were joined."""
    return other if one is None else one


def join_rows(tracer: Tracer, rows: Atoms) -> None:
    """[n, m]: position i of every row goes with position i of the first."""
    if len(rows) > 1:
        tracer.bonds.join(np.tile(rows[0], len(rows) - 1), rows[1:].reshape(-1))


def tensors(args: Sequence[Any]) -> list[Tensor]:
    """Those of an operation's arguments that are tensors."""
    return [value for value in args if isinstance(value, Tensor)]
