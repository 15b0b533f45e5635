"""The recipe's PyTorch networks, under the names that report.json gives them."""

from __future__ import annotations

from pathlib import Path

from edgetl.config.recipe import Recipe
from edgetl.config.training import MOST_TEACHERS
from edgetl.stages.common.stage import Context

# Each teacher has a stage of its own: one that is added to the recipe's list leaves those before it trained.
TEACHERS = {"teacher": "teach"} | {f"teacher_{number}": f"teach.{number}" for number in range(2, MOST_TEACHERS + 1)}
TEACHER_NETWORKS = tuple(f"{stage}/network" for stage in TEACHERS.values())

AVERAGE = "teachers"
"""What report.json calls the average of several teachers, which is no network of its own."""


def networks(context: Context) -> dict[str, Path]:
    """Folders of the networks that the stage reads, in the order of the pipeline; some recipes leave some of them out."""
    return {name: folder for name, folder in context.networks.items() if folder.is_dir()}


# What a stage needs that reads the network that is going to ship, and which of them it leaves unread in a recipe.
SHIPPED = ("distil/network", "prune/network")


def not_shipped(recipe: Recipe) -> frozenset[str]:
    """The one of `SHIPPED` that does not ship: with pruning, the unpruned student is there to be compared with alone."""
    return frozenset(SHIPPED[:1] if recipe.prune else SHIPPED[1:])


def shipped(context: Context) -> Path:
    """Folder of the network that ships, for a stage that reads no other one."""
    (folder,) = networks(context).values()
    return folder
