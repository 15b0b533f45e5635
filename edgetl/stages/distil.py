"""Distil: train the student on labels and teacher, and find out how much of the teacher it should take.

One student is trained for each candidate weight of the teacher's loss, all from the same initial weights and the same
seed. Weight 0 is training on labels alone: with it among the candidates a teacher is only used where it helps.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Distil, Recipe
from edgetl.console.progress import Part, Progress
from edgetl.stages.common import settings as slices
from edgetl.stages.common.files import weights
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS
from edgetl.stages.common.networks import TEACHER_NETWORKS
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from torch import nn

    from edgetl.evidence.model_selection import Standing
    from edgetl.results.training import Candidate, InitialWeights, StudentTraining
    from edgetl.training.batches import TrainingData
    from edgetl.training.loop import Fit


def _files(loaded: Loaded, store: Path) -> dict[str, Path]:
    return weights(loaded.recipe.student.backbone, loaded.recipe.student.weights, store)


def _settings(recipe: Recipe) -> Any:
    student = recipe.student.model_dump(mode="json") | {"weights": slices.weights_name(recipe.student.weights)}
    return {"student": student, "distil": slices.training(recipe, recipe.distil)}


def _run(context: Context) -> None:
    """Write the chosen student's `network/`, `choice.json` (its weight), and `training.json` with every candidate."""
    from edgetl.evidence.model_selection import choose
    from edgetl.results.training import Choice, DistilResult
    from edgetl.stages.common import trained

    recipe = context.recipe
    table = trained.open_table(context)
    data = trained.open_data(context, table)
    student = recipe.student
    seed = slices.training_seed(recipe, recipe.distil)
    initial, used = trained.create(
        seed, student.backbone, len(table.classes), student.weights, student.attention, student.activation
    )
    teacher = trained.load_teachers(context)
    weights, notes = _candidate_weights(recipe)
    notes += slices.cautions("student", recipe.distil, student.weights)
    for note in notes:
        context.progress.warn(f"warning: {note}")
    networks = [copy.deepcopy(initial) for _ in weights]
    settings = trained.scheduled(recipe.distil, data, pretrained=used.source != "none")
    fits = [
        _train(context, data, network, settings, teacher, weight, Part(context.progress, index, len(weights)))
        for index, (network, weight) in enumerate(zip(networks, weights, strict=True))
    ]
    logits = [trained.validation_logits(network, data) for network in networks]
    chosen, standings = choose(logits, data.labels[data.val], table.groups("val"), seed)
    context.progress.say(f"student: the teacher's weight is {weights[chosen]:g}, of {', '.join(map(str, weights))}")
    trained.save(networks[chosen], context.folder)
    Choice(weights[chosen]).write(context.folder)
    for index, (weight, standing) in enumerate(zip(weights, standings, strict=True)):
        context.progress.event("candidate", weight=weight, chosen=index == chosen, **asdict(standing))
    candidates = _candidates(weights, chosen, standings, fits)
    training = _training(recipe, used, notes, candidates, chosen, fits[chosen])
    DistilResult(training, runs=tuple(map(trained.run_of, fits))).write(context.folder)


def _candidate_weights(recipe: Recipe) -> tuple[list[float], list[str]]:
    """The weights to try, smallest first, and what a person should know about them."""
    weights = sorted(set(recipe.distil.weights))
    if recipe.teacher is not None or weights == [0.0]:
        return weights, []
    return [0.0], ["student: the recipe has no teacher, so it is trained on labels alone (distil.weights is not used)"]


def _candidates(
    weights: Sequence[float], chosen: int, standings: Sequence[Standing], fits: Sequence[Fit]
) -> tuple[Candidate, ...]:
    """How every candidate went and stands."""
    from edgetl.results.training import Candidate, Scores

    return tuple(
        Candidate(
            weight=weight,
            chosen=index == chosen,
            score=standing.score,
            behind=standing.behind,
            standard_error=standing.standard_error,
            allowed=standing.allowed,
            validation=Scores(**fit.scores),
        )
        for index, (weight, standing, fit) in enumerate(zip(weights, standings, fits, strict=True))
    )


def _training(
    recipe: Recipe,
    weights: InitialWeights,
    notes: Sequence[str],
    candidates: Sequence[Candidate],
    chosen: int,
    fit: Fit,
) -> StudentTraining:
    """What the report says of the chosen student."""
    from edgetl.evidence.model_selection import RULE
    from edgetl.results.training import StudentTraining
    from edgetl.stages.common import trained

    return StudentTraining(
        weights=weights,
        loss=recipe.distil.loss,
        rule=RULE,
        chosen_weight=candidates[chosen].weight,
        notes=tuple(notes),
        kept=trained.kept_of(fit),
        validation=candidates[chosen].validation,
        seconds=fit.seconds,
        candidates=tuple(candidates),
    )


def _train(
    context: Context,
    data: TrainingData,
    network: nn.Module,
    settings: Distil,
    teacher: nn.Module | None,
    weight: float,
    progress: Progress,
) -> Fit:
    """Train one candidate; a finished one is taken from its checkpoints."""
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    return fit(
        network,
        data,
        settings,
        distillation=trained.distillation(settings, teacher, weight),
        seed=slices.training_seed(context.recipe, context.recipe.distil),
        checkpoints=context.scratch / f"weight-{weight!r}",
        progress=progress,
        label=f"student with teacher's weight {weight:g}",
    )


STAGE = Stage(
    name="distil",
    version=4,
    needs=(*TRAINING_DATA, *TEACHER_NETWORKS),
    settings=_settings,
    tools=TRAINING_TOOLS,
    run=_run,
    files=_files,
    trains=True,
    network="student",
)
