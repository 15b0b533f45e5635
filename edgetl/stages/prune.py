"""Prune: take channels out of the trial's network until its share of multiply-accumulates is reached, then train it to the end.

Pruning comes early, so that no training is spent on channels that go: what is left is trained as long as the student is, by
the same teacher with the weight that the trial chose, or on labels alone where that is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgetl.config.recipe import Recipe
from edgetl.stages.common import settings as slices
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS, UNLABELLED_DATA
from edgetl.stages.common.networks import TEACHER_NETWORKS
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from edgetl.config.training import Prune, Training
    from edgetl.console.progress import Progress
    from edgetl.models.architecture import Network
    from edgetl.training.batches import TrainingData


def _settings(recipe: Recipe) -> Any:
    if recipe.prune is None:
        return {"prune": None}
    training = slices.training(recipe, slices.pruned_settings(recipe.prune, None))
    training["epochs"] = recipe.prune.epochs or slices.student_epochs_key(recipe)
    how = {**training, "macs": recipe.prune.macs, "round_to": recipe.prune.round_to}
    return {"prune": how, "distil": slices.distillation(recipe.distil)}


def _run(context: Context) -> None:
    """Write the pruned `network/` and `training.json`; without pruning in the recipe only the latter, saying so."""
    from edgetl.results.training import Choice, KeptMacs, PrunedTraining, PruneResult, Scores
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    recipe, prune = context.recipe, context.recipe.prune
    if prune is None:
        PruneResult(training=None, run=None).write(context.folder)
        return
    data = trained.open_data(context, trained.open_table(context))
    # The student's epochs are looked at only where they count: the key of a pruning with its own does not know them.
    settings = slices.pruned_settings(prune, prune.epochs or trained.student_epochs(recipe, data))
    seed = slices.training_seed(recipe, prune)
    network = trained.load(context.inputs["trial"])
    before = trained.cut(network, data, recipe.data.image_size)
    _prune(network, data, recipe.data.image_size, prune, settings, seed, context.progress)
    after = trained.cut(network, data, recipe.data.image_size)
    context.progress.say(f"pruned: {after.macs / before.macs:.0%} of the student's MACs are left")
    weight = Choice.read(context.inputs["trial"]).weight
    teacher = trained.load_teachers(context)
    distillation = trained.distillation(recipe.distil, teacher, weight, network, data, seed)
    pruned = fit(
        network,
        data,
        settings,
        distillation=distillation,
        seed=seed,
        checkpoints=context.scratch / "pruned",
        progress=context.progress,
        label="pruned student",
    )
    trained.save(network, context.folder)
    training = PrunedTraining(
        pruned=KeptMacs(wanted_macs=prune.macs, kept_macs=after.macs / before.macs),
        loss=recipe.distil.loss,
        taught_by=_taught_by(recipe) if distillation else "the labels alone",
        teacher_weight=weight,
        before_pruning=before,
        after_pruning=after,
        after_training=replace(after, validation=Scores(**pruned.scores)),
        kept=trained.kept_of(pruned),
        validation=Scores(**pruned.scores),
        seconds=pruned.seconds,
    )
    PruneResult(training, trained.run_of(pruned)).write(context.folder)


def _prune(
    network: Network,
    data: TrainingData,
    image_size: int,
    prune: Prune,
    settings: Training,
    seed: int,
    progress: Progress,
) -> None:
    """Prune `network` in place and measure its BatchNorm anew."""
    from edgetl.models.prune import prune_to_macs
    from edgetl.training.batches import batch_size_for, plain_batches
    from edgetl.training.ema import recalibrate
    from edgetl.training.run import RECALIBRATION_IMAGES

    report = prune_to_macs(
        network, image_size, prune.macs, prune.round_to, lambda done, total: progress.advance("pruning", done, total)
    )
    for line in report.left_whole:
        progress.event("left whole", layer=line)
    if report.left_whole:
        progress.say(f"pruning left {len(report.left_whole)} layers whole, {report.left_whole[0]}")
    batch_size = batch_size_for(data, settings.batch_size)
    recalibrate(network, plain_batches(data, RECALIBRATION_IMAGES, batch_size, seed))


def _taught_by(recipe: Recipe) -> str:
    return "the teacher" if len(recipe.teachers) == 1 else "the average of the teachers"


STAGE = Stage(
    name="prune",
    version=5,
    needs=(*TRAINING_DATA, *UNLABELLED_DATA, *TEACHER_NETWORKS, "trial/network", "trial/choice.json"),
    settings=_settings,
    tools=TRAINING_TOOLS,
    run=_run,
    trains=True,
    network="pruned",
)
