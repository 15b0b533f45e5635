"""Which trainings a build of a recipe has, in its order, before the first of them begins: what a forecast counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from edgetl.config.recipe import Recipe
from edgetl.config.training import Teacher, Training
from edgetl.stages.common import settings as slices
from edgetl.stages.common.networks import TEACHERS

if TYPE_CHECKING:
    from edgetl.training.batches import TrainingData

__all__ = ["Architecture", "Planned", "of_teacher", "trainings"]


class Architecture(NamedTuple):
    """Of a network: what decides how long it computes."""

    backbone: str
    attention: str | None = None
    activation: str | None = None
    image_size: int | None = None
    """Side that it resizes pictures to, where it sees others than the student."""


@dataclass(frozen=True)
class Planned:
    """Trainings of one stage that differ only in who teaches them.

    alone, taught: how many learn from labels alone, and how many from a teacher too. at_most: whether they may take less time
    than their plan says.
    """

    stage: str
    name: str
    settings: Training
    architecture: Architecture
    alone: int = 0
    taught: int = 0
    at_most: bool = False

    @property
    def count(self) -> int:
        """All of them."""
        return self.alone + self.taught

    @property
    def epochs(self) -> int:
        """Of each of them."""
        assert self.settings.epochs is not None, "they are planned with what the data need"
        return self.settings.epochs


def of_teacher(teacher: Teacher) -> Architecture:
    """A teacher's architecture."""
    return Architecture(teacher.backbone, image_size=teacher.image_size)


def trainings(recipe: Recipe, data: TrainingData) -> list[Planned]:
    """What a build of the recipe trains, in its order."""
    from edgetl.stages.common import trained

    planned = []
    for (label, stage), teacher in zip(TEACHERS.items(), recipe.teachers, strict=False):
        settings = trained.with_epochs(teacher, data, teacher.weights != "none")
        planned.append(Planned(stage, label.replace("_", " "), settings, of_teacher(teacher), alone=1))
    student = Architecture(recipe.student.backbone, recipe.student.attention, recipe.student.activation)
    weights, epochs = slices.candidate_weights(recipe), trained.student_epochs(recipe, data)
    alone, taught = weights.count(0.0), len(weights) - weights.count(0.0)
    if slices.has_trial(recipe):
        planned.append(Planned("trial", "trial", slices.trial_settings(recipe.distil, epochs), student, alone, taught))
    # Which weight will be chosen is not known yet: with a teacher is what takes longer.
    unknown = alone > 0 and taught > 0
    alone, taught = (0, 1) if taught else (1, 0)
    if slices.has_student(recipe):
        of_student = slices.student_settings(recipe.distil, epochs)
        planned.append(Planned("distil", "student", of_student, student, alone, taught, at_most=unknown))
    if recipe.prune is not None:  # by the student's steps: how much quicker fewer channels are, nobody knows before
        of_pruned = slices.pruned_settings(recipe.prune, epochs)
        planned.append(Planned("prune", "pruned network", of_pruned, student, alone, taught, at_most=True))
    return planned
