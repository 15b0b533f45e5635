"""Preflight: what would otherwise fail after an hour of training fails now."""

from __future__ import annotations

from collections.abc import Callable

from edgetl.config import target
from edgetl.config.loading import Loaded
from edgetl.stages.common.networks import TEACHERS


def _quiet(_: str) -> None:
    return


def check(loaded: Loaded, say: Callable[[str], None] = _quiet) -> None:
    """Look up every name that later stages rely on: targets, backbones, attention, activation, and weights but the hub's.

    say: is told where attention is, and what pretrained weights fill.

    Raises:
        RecipeError: there is no such target.
        UsageError: there is no such backbone, it has no place for the attention, or the weights do not fit it.
        EnvironmentFault, IntegrityError: the weights' package is missing or damaged.
    """
    recipe = loaded.recipe
    for name in recipe.targets:
        target.load(name, loaded.project)
    from edgetl.models import backbones

    student = recipe.student
    wanted = [(student.backbone, student.weights, student.attention, student.activation)]
    wanted += [(teacher.backbone, teacher.weights, None, None) for teacher in recipe.teachers]
    for name, (backbone, weights, attention, activation) in zip(("student", *TEACHERS), wanted, strict=False):
        network, used = backbones.create(backbone, 2, _here(weights), attention, activation)
        for said in filter(None, (network.placement.said, used.said)):
            say(f"{name.replace('_', ' ')} {backbone}: {said}")


def _here(weights: str) -> str:
    """Weights without asking the hub, which has its own quick failure."""
    return "none" if weights == "hub" else weights
