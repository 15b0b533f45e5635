"""Preflight: what would otherwise fail after an hour of training fails now."""

from __future__ import annotations

from collections.abc import Callable

from edgetl import devices
from edgetl.config import target
from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.errors import UsageError
from edgetl.stages.common import settings as slices
from edgetl.stages.common.networks import TEACHERS
from edgetl.training.losses import DISTIL_LOSSES

SIZES = "set data.image_size to what it takes; a teacher may see another size: teacher: {image_size: 224}"
"""What to do about a network that does not take the recipe's pictures."""


def _quiet(_: str) -> None:
    return


def require_targets(loaded: Loaded, *, reach: bool = False) -> None:
    """Ask for every device that will be measured on.

    reach: whether to connect to those that are reached over a wire, too.

    Raises:
        RecipeError: there is no such target, or two have one name.
        MissingAccelerator: it is not on this machine.
        DeviceError: it cannot be reached.
    """
    for each in target.load_all(loaded.recipe.targets, loaded.project):
        if reach:
            devices.reach(each)
        else:
            devices.require(each)


def check(loaded: Loaded, say: Callable[[str], None] = _quiet) -> None:
    """Look up every name that later stages rely on: targets, backbones, attention, activation, and weights but the hub's.

    say: is told where attention is, and what pretrained weights fill.

    Raises:
        RecipeError: there is no such target, or two have one name.
        UsageError: there is no such backbone, it has no place for the attention, no features for hints or does not take such
            pictures, or the weights do not fit it.
        EnvironmentFault, IntegrityError: the weights' package is missing or damaged.
    """
    recipe = loaded.recipe
    target.load_all(recipe.targets, loaded.project)
    from edgetl.models import backbones
    from edgetl.models.architecture import require_size
    from edgetl.training.hints import channels

    student, side = recipe.student, recipe.data.image_size

    def look(name: str, backbone: str, weights: str, own: int | None = None, **parts: str | None) -> None:
        network, used = backbones.create(
            backbone, 2, _here(weights), **parts, image_size=own or side, resizes=own is not None
        )
        require_size(network, side, SIZES)
        if recipe.distil.hints > 0 and any(slices.candidate_weights(recipe)):
            channels(network, side, side)
        for said in filter(None, (network.placement.said, used.said)):
            say(f"{name.replace('_', ' ')} {backbone}: {said}")

    look("student", student.backbone, student.weights, attention=student.attention, activation=student.activation)
    for name, teacher in zip(TEACHERS, recipe.teachers, strict=False):
        look(name, teacher.backbone, teacher.weights, teacher.image_size)


def require_a_lesson(recipe: Recipe, classes: int) -> None:
    """Raise UsageError where the teacher's loss would teach nothing of so few classes."""
    loss = DISTIL_LOSSES[recipe.distil.loss]
    if classes < loss.fewest_classes and recipe.teachers and any(recipe.distil.weights):
        others = [name for name, each in DISTIL_LOSSES.items() if classes >= each.fewest_classes]
        raise UsageError(
            f"distil.loss: {loss.name} teaches nothing of {classes} classes, expected at least {loss.fewest_classes}",
            hint=f"set distil.loss to one of {', '.join(others)}",
        )


def _here(weights: str) -> str:
    """Weights without asking the hub, which has its own quick failure."""
    return "none" if weights == "hub" else weights
