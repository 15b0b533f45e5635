"""Trial: find out in short trainings how much of the teacher the student should take.

One student is trained for each candidate weight of the teacher's loss, all from the same initial weights and the same
seed. Weight 0 is training on labels alone: with it among the candidates a teacher is only used where it helps. Each of
these trainings is a whole one, with its own warm-up and cosine, but so short that it only sees how things begin.

The chosen one's network is what pruning starts from.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.config.loading import Loaded
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Part, Progress
from edgetl.stages.common import settings as slices
from edgetl.stages.common.files import student_weights
from edgetl.stages.common.needs import TRAINING_DATA, TRAINING_TOOLS, UNLABELLED_DATA
from edgetl.stages.common.networks import TEACHER_NETWORKS
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from edgetl.evidence.model_selection import Standing
    from edgetl.results.training import Candidate
    from edgetl.training.loop import Fit


def _notes(recipe: Recipe) -> list[str]:
    """What a person should know about the candidates."""
    if recipe.teachers or set(recipe.distil.weights) == {0.0}:
        return []
    return ["student: the recipe has no teacher, so it is trained on labels alone (distil.weights is not used)"]


def _files(loaded: Loaded, store: Path) -> dict[str, Path]:
    return student_weights(loaded, store) if slices.has_trial(loaded.recipe) else {}


def _settings(recipe: Recipe) -> Any:
    weights = slices.candidate_weights(recipe)
    if not slices.has_trial(recipe):
        return {"student": None, "distil": None, "weights": weights}
    short = slices.trial_settings(recipe.distil, recipe.distil.epochs)
    training = slices.training(recipe, short)
    training["trial_epochs"] = training.pop("epochs")
    how = {**training, "weights": weights, **slices.distillation(recipe.distil)}
    return {"student": slices.student(recipe), "distil": how}


def _run(context: Context) -> None:
    """Write the chosen trial's `network/`, `choice.json` (its weight), and `training.json` with every candidate.

    With one candidate and no pruning nothing is trained, and there is no network.
    """
    from edgetl.results.training import Choice, Trial, TrialResult

    weights, notes = slices.candidate_weights(context.recipe), _notes(context.recipe)
    for note in notes:
        context.progress.warn(f"warning: {note}")
    if slices.has_trial(context.recipe):
        _try(context, weights, notes)
        return
    Choice(weights[0]).write(context.folder)
    trial = Trial(weights[0], rule=None, epochs=0, weights=None, notes=tuple(notes), candidates=(), seconds=0.0)
    TrialResult(trial, runs=()).write(context.folder)


def _try(context: Context, weights: Sequence[float], notes: Sequence[str]) -> None:
    from edgetl.evidence.model_selection import RULE, choose
    from edgetl.results.training import Choice, Trial, TrialResult
    from edgetl.stages.common import trained
    from edgetl.training.loop import fit

    recipe = context.recipe
    table = trained.open_table(context)
    data = trained.open_data(context, table)
    seed = slices.training_seed(recipe, recipe.distil)
    initial, used = trained.create_student(recipe, len(table.classes))
    teacher = trained.load_teachers(context)
    settings = slices.trial_settings(recipe.distil, trained.student_epochs(recipe, data))
    cautions = slices.cautions("trial", settings, recipe.student.weights)
    for caution in cautions:
        context.progress.warn(f"warning: {caution}")

    networks = [copy.deepcopy(initial) for _ in weights]
    fits = [
        fit(
            network,
            data,
            settings,
            distillation=trained.distillation(recipe.distil, teacher, weight, network, data, seed),
            seed=seed,
            checkpoints=context.scratch / f"weight-{weight!r}",
            progress=Part(context.progress, index, len(weights)),
            label=f"trial with teacher's weight {weight:g}",
        )
        for index, (weight, network) in enumerate(zip(weights, networks, strict=True))
    ]
    logits = [trained.validation_logits(network, data) for network in networks]
    chosen, standings = choose(logits, data.labels[data.val], table.groups("val"), seed)
    _tell(context.progress, weights, chosen, standings)
    trained.save(networks[chosen], context.folder)
    Choice(weights[chosen]).write(context.folder)
    trial = Trial(
        chosen_weight=weights[chosen],
        rule=RULE,
        epochs=fits[0].planned,
        weights=used,
        notes=(*notes, *cautions),
        candidates=_candidates(weights, chosen, standings, fits),
        seconds=sum(each.seconds for each in fits),
    )
    TrialResult(trial, runs=tuple(map(trained.run_of, fits))).write(context.folder)


def _tell(progress: Progress, weights: Sequence[float], chosen: int, standings: Sequence[Standing]) -> None:
    progress.say(f"trial: the teacher's weight is {weights[chosen]:g}, of {', '.join(f'{each:g}' for each in weights)}")
    for index, (weight, standing) in enumerate(zip(weights, standings, strict=True)):
        progress.event("candidate", weight=weight, chosen=index == chosen, **asdict(standing))


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


STAGE = Stage(
    name="trial",
    version=1,
    needs=(*TRAINING_DATA, *UNLABELLED_DATA, *TEACHER_NETWORKS),
    settings=_settings,
    tools=TRAINING_TOOLS,
    run=_run,
    files=_files,
    trains=True,
)
