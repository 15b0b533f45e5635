"""Prune: take channels out of the student until its share of multiply-accumulates is reached, then let it recover.

Recovery is distillation again: by the teacher with the weight that was chosen for the student, or, where that weight is
0 or there is no teacher, by the student as it was before pruning (with weight 1).
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgetl.config.recipe import Recipe
from edgetl.stages.common import settings as slices
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS
from edgetl.stages.common.networks import TEACHER_NETWORKS
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from torch import nn

    from edgetl.models.architecture import Network
    from edgetl.training.batches import TrainingData

_SELF_WEIGHT = 1.0


def _settings(recipe: Recipe) -> Any:
    if recipe.prune is None:
        return {"prune": None}
    return {
        "prune": slices.training(recipe, recipe.prune),
        "loss": recipe.distil.loss,
        "temperature": recipe.distil.temperature,
    }


def _run(context: Context) -> None:
    """Write the pruned `network/` and `training.json`; without pruning in the recipe, the student as it is."""
    from edgetl.results.training import KeptMacs, PrunedTraining, PruneResult, Scores
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    recipe, settings = context.recipe, context.recipe.prune
    student = trained.load(context.inputs["distil"])
    if settings is None:
        trained.save(student, context.folder)
        PruneResult(training=None, run=None).write(context.folder)
        return
    data = trained.open_data(context, trained.open_table(context))
    network = copy.deepcopy(student)
    before = trained.cut(student, data, recipe.data.image_size)
    _prune(context, network, data)
    after = trained.cut(network, data, recipe.data.image_size)
    context.progress.say(f"pruned: {after.macs / before.macs:.0%} of the student's MACs are left")
    teacher, weight, taught_by = _teacher(context, student)
    recovery = fit(
        network,
        data,
        trained.scheduled(settings, data, pretrained=True),
        distillation=trained.distillation(recipe.distil, teacher, weight),
        seed=slices.training_seed(recipe, settings),
        checkpoints=context.scratch / "recovery",
        progress=context.progress,
        label="recovery after pruning",
    )
    trained.save(network, context.folder)
    training = PrunedTraining(
        pruned=KeptMacs(wanted_macs=settings.macs, kept_macs=after.macs / before.macs),
        loss=recipe.distil.loss,
        taught_by=taught_by,
        teacher_weight=weight,
        before_pruning=before,
        after_pruning=after,
        after_recovery=replace(after, validation=Scores(**recovery.scores)),
        kept=trained.kept_of(recovery),
        validation=Scores(**recovery.scores),
        seconds=recovery.seconds,
    )
    PruneResult(training, trained.run_of(recovery)).write(context.folder)


def _prune(context: Context, network: Network, data: TrainingData) -> None:
    """Prune `network` in place and measure its BatchNorm anew."""
    from edgetl.models.prune import prune_to_macs
    from edgetl.training.batches import batch_size_for, plain_batches
    from edgetl.training.ema import recalibrate
    from edgetl.training.run import RECALIBRATION_IMAGES

    recipe, settings = context.recipe, context.recipe.prune
    assert settings is not None
    prune_to_macs(network, recipe.data.image_size, settings.macs, settings.round_to)
    batch_size = batch_size_for(data, settings.batch_size)
    recalibrate(network, plain_batches(data, RECALIBRATION_IMAGES, batch_size, slices.training_seed(recipe, settings)))


def _teacher(context: Context, student: nn.Module) -> tuple[nn.Module, float, str]:
    """Who teaches the recovery, with which weight, and its name."""
    from edgetl.results.training import Choice
    from edgetl.stages.common import trained

    chosen = Choice.read(context.inputs["distil"]).weight
    teacher = trained.load_teachers(context)
    if teacher is None or chosen == 0:
        return student, _SELF_WEIGHT, "the student before pruning"
    return teacher, chosen, "the teacher" if len(context.recipe.teachers) == 1 else "the average of the teachers"


STAGE = Stage(
    name="prune",
    version=3,
    needs=(*TRAINING_DATA, *TEACHER_NETWORKS, "distil/network", "distil/choice.json"),
    settings=_settings,
    tools=(*TRAINING_TOOLS, "torch-pruning"),
    run=_run,
    trains=True,
    network="pruned",
)
