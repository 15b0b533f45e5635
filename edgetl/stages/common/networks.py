"""The recipe's PyTorch networks, under the names that report.json gives them."""

from __future__ import annotations

from pathlib import Path

from edgetl.config.recipe import MOST_TEACHERS
from edgetl.stages.common.stage import Context

# Each teacher has a stage of its own: one that is added to the recipe's list leaves those before it trained.
TEACHERS = {"teacher": "teach"} | {f"teacher_{number}": f"teach.{number}" for number in range(2, MOST_TEACHERS + 1)}
TEACHER_NETWORKS = tuple(f"{stage}/network" for stage in TEACHERS.values())

AVERAGE = "teachers"
"""What report.json calls the average of several teachers, which is no network of its own."""


def networks(context: Context) -> dict[str, Path]:
    """Folders of the networks there are, in the order of the pipeline; without pruning the student is the last one."""
    without = {"pruned"} if context.recipe.prune is None else set()
    return {name: folder for name, folder in context.networks.items() if folder.is_dir() and name not in without}
