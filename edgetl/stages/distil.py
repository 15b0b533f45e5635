"""Distil: train the student to the end, on labels and teacher, with the weight that the trial chose.

It starts from the initial weights again, not from the trial's network. Where the recipe prunes, this is the unpruned network
that the pruned one is compared with, and `prune.reference: false` spares it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.stages.common import settings as slices
from edgetl.stages.common.files import student_weights
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS, UNLABELLED_DATA
from edgetl.stages.common.networks import TEACHER_NETWORKS
from edgetl.stages.common.stage import Context, Stage


def _files(loaded: Loaded, store: Path) -> dict[str, Path]:
    return student_weights(loaded, store) if slices.has_student(loaded.recipe) else {}


def _settings(recipe: Recipe) -> Any:
    if not slices.has_student(recipe):
        return {"student": None, "distil": None, "prune": {"reference": False}}
    training = slices.training(recipe, slices.student_settings(recipe.distil, recipe.distil.epochs))
    return {"student": slices.student(recipe), "distil": {**training, **slices.distillation(recipe.distil)}}


def _run(context: Context) -> None:
    """Write the student's `network/` and `training.json`; where the recipe spares it, only the latter, saying so."""
    from edgetl.results.training import Choice, DistilResult, Scores, StudentTraining
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    recipe = context.recipe
    if not slices.has_student(recipe):
        DistilResult(training=None, run=None).write(context.folder)
        return
    table = trained.open_table(context)
    network, used = trained.create_student(recipe, len(table.classes))
    data = trained.open_data(context, table)
    settings = slices.student_settings(recipe.distil, trained.student_epochs(recipe, data))
    notes = slices.cautions("student", settings, recipe.student.weights)
    for note in notes:
        context.progress.warn(f"warning: {note}")
    weight, seed = Choice.read(context.inputs["trial"]).weight, slices.training_seed(recipe, recipe.distil)
    student = fit(
        network,
        data,
        settings,
        distillation=trained.distillation(recipe.distil, trained.load_teachers(context), weight, network, data, seed),
        seed=seed,
        checkpoints=context.scratch / "student",
        progress=context.progress,
        label="student",
    )
    trained.save(network, context.folder)
    training = StudentTraining(
        weights=used,
        loss=recipe.distil.loss,
        chosen_weight=weight,
        notes=tuple(notes),
        kept=trained.kept_of(student),
        validation=Scores(**student.scores),
        seconds=student.seconds,
    )
    DistilResult(training, trained.run_of(student)).write(context.folder)


STAGE = Stage(
    name="distil",
    version=5,
    needs=(*TRAINING_DATA, *UNLABELLED_DATA, *TEACHER_NETWORKS, "trial/choice.json"),
    settings=_settings,
    tools=TRAINING_TOOLS,
    run=_run,
    files=_files,
    trains=True,
    network="student",
)
