"""Preflight: what would otherwise fail after an hour of training fails now."""

from __future__ import annotations

from edgetl.config import target
from edgetl.config.loading import Loaded


def check(loaded: Loaded) -> None:
    """Look up every name that later stages rely on: targets, backbones, attention, activation, and weights but the hub's.

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
    backbones.create(student.backbone, 2, _here(student.weights), student.attention, student.activation)
    for teacher in recipe.teachers:
        backbones.create(teacher.backbone, 2, _here(teacher.weights))


def _here(weights: str) -> str:
    """Weights without asking the hub, which has its own quick failure."""
    return "none" if weights == "hub" else weights
