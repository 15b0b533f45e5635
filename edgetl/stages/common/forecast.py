"""Forecast: how long the trainings of a build will take on this machine, said before the first of them begins.

A few steps of each kind of training that is `planned` are measured (`edgetl.training.pace`), on networks of the same
architecture that are thrown away, mostly by the rehearsal; the rest is arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgetl.config.recipe import Recipe
from edgetl.config.training import Training
from edgetl.console.progress import Progress
from edgetl.console.times import duration
from edgetl.errors import EdgetlError, UsageError
from edgetl.stages.common import settings as slices
from edgetl.stages.common.planned import Architecture, Planned, of_teacher, trainings
from edgetl.stages.common.stage import Context
from edgetl.training.schedules import small_epochs

if TYPE_CHECKING:
    from edgetl.models.architecture import Network
    from edgetl.results.rehearsal import Rehearsal, RehearsedTraining
    from edgetl.training.batches import TrainingData
    from edgetl.training.job import Job
    from edgetl.training.ladder import Ladder
    from edgetl.training.pace import Pace

__all__ = ["Cost", "Kind", "job_of", "kinds_of", "sentence", "shorter", "tell"]

_BUDGET = 60.0
"""Seconds for the steps of all kinds together; each kind has one, however long it takes."""
_SHARE = 0.05
"""Of the steps that are forecast: a measurement of more is not worth it, and such trainings are short."""
_LONG = 30
"""Epochs of the student: of a recipe that says no more than so many itself, shorter ones are not named."""


@dataclass(frozen=True)
class Cost:
    """seconds: of all of these trainings, to the end. steps: how many were measured of a kind, the fewest."""

    planned: Planned
    seconds: float
    steps: int

    @property
    def at_most(self) -> bool:
        """Whether they may take less time."""
        settings = self.planned.settings
        return self.planned.at_most or settings.patience is not None or settings.progressive > 0

    def event(self) -> dict[str, str | int | float | bool]:
        """What progress events say of it."""
        return {
            "stage": self.planned.stage,
            "name": self.planned.name,
            "trainings": self.planned.count,
            "epochs": self.planned.epochs,
            "seconds": self.seconds,
            "at_most": self.at_most,
            "steps": self.steps,
        }


class Kind(NamedTuple):
    """What decides how long a step takes: trainings of one kind are measured once.

    grows: whether some of its epochs see smaller pictures, which not every network takes; measured are whole ones.
    """

    architecture: Architecture
    taught: bool
    batch_size: int
    precision: str
    grows: bool


def tell(
    recipe: Recipe,
    data: Path,
    stages: Collection[str],
    progress: Progress,
    *,
    begun: bool,
    rehearsal: Rehearsal | None = None,
    unlabelled: Path | None = None,
) -> None:
    """Say how long the trainings of these stages will take, and what a shorter schedule of the student would cost.

    Nothing is said where measuring would take long beside what it forecasts.

    Args:
        data: the result of the data stage.
        stages: those that have to be computed.
        begun: whether one of them goes on where it was stopped.
        rehearsal: what was measured already; None measures now.
        unlabelled: the result of the unlabelled pictures' stage; None where there are none.

    Raises:
        UsageError: a network does not take the pictures: the stage that trains it, maybe hours later, would raise it too.
    """
    from edgetl.training.ladder import ladder

    folders = {"data": data} | ({"unlabelled": unlabelled} if unlabelled else {})
    try:
        costs = _costs(recipe, folders, stages, progress, rehearsal)
    except UsageError:
        raise
    except EdgetlError as exc:  # of the training, which is going to say more of it
        progress.say(f"no forecast: {exc.message}")
        return
    if not costs:
        return
    # The rehearsal's batches have no unlabelled pictures, with which a taught step takes more.
    measured = None if unlabelled and any(cost.planned.taught for cost in costs) else rehearsal
    memory = largest(measured, {kind for cost in costs for kind in kinds_of(cost.planned)})
    progress.say(sentence(costs, begun=begun, memory=memory))
    if hint := shorter(costs, recipe, ladder()):
        progress.say(hint)
    progress.event(
        "forecast",
        seconds=sum(cost.seconds for cost in costs),
        peak_mb=memory,
        trainings=[cost.event() for cost in costs],
    )


def largest(rehearsal: Rehearsal | None, kinds: Collection[Kind]) -> float | None:
    """The most memory that a training of these kinds took in the rehearsal, in MB; None where nobody measured it."""
    trainings = rehearsal.trainings if rehearsal else ()
    return max((one.peak_mb for one in trainings if one.peak_mb and _kind(one) in kinds), default=None)


def sentence(costs: Sequence[Cost], *, begun: bool = False, memory: float | None = None) -> str:
    """For example `forecast: teacher (25 epochs) 31 min; student (100 epochs) at most 1 h 5 min; in all about ...`."""
    parts = []
    for cost in costs:
        planned = cost.planned
        times = f"{planned.count} x " if planned.count > 1 else ""
        epochs = f"{planned.epochs} epoch{'s' if planned.epochs > 1 else ''}"
        most = "at most " if cost.at_most else ""
        parts.append(f"{planned.name} ({times}{epochs}) {most}{duration(cost.seconds)}")
    steps = min(cost.steps for cost in costs)
    how = f"median of {steps} steps each" if steps > 1 else "one step each"
    total = duration(sum(cost.seconds for cost in costs))
    less = "; what was trained before the stop comes off that" if begun else ""
    held = f", in up to {memory / 1000:.1f} GB of memory" if memory else ""
    return f"forecast: {'; '.join(parts)}; in all about {total} of training on this machine{held} ({how}){less}"


def shorter(costs: Sequence[Cost], recipe: Recipe, table: Ladder | None) -> str | None:
    """What shorter schedules take, all trainings that are as long as the student's, and what they lost in our study.

    None where there is nothing to say: no table, a person chose a short schedule, or the student starts from weights that
    have seen pictures; the study's starts from random ones, and loses more.
    """
    as_long = {"distil"} if recipe.prune is None or recipe.prune.epochs else {"distil", "prune"}
    ours, chosen = [cost for cost in costs if cost.planned.stage in as_long], recipe.distil.epochs
    if not ours or table is None or slices.is_pretrained(recipe) or (chosen is not None and chosen <= _LONG):
        return None
    epochs, seconds = ours[0].planned.epochs, sum(cost.seconds for cost in ours)
    offers = [
        f"distil.epochs={row.epochs} ({duration(seconds * row.epochs / epochs)}, "
        f"{100 * row.balanced_accuracy:+.1f} points of balanced accuracy, {100 * row.auroc:+.1f} of AUROC)"
        for row in table.rows
        if row.epochs < epochs
    ]
    if not offers:
        return None
    names = " and ".join(cost.planned.name for cost in ours)
    return (
        f"forecast: for a shorter {names}, --set {' or '.join(offers)}: what {table.network} lost on {table.data} against "
        f"{table.epochs} epochs, a guide only"
    )


def _costs(
    recipe: Recipe,
    folders: Mapping[str, Path],
    stages: Collection[str],
    progress: Progress,
    rehearsal: Rehearsal | None,
) -> list[Cost]:
    """What the trainings of these stages take; nothing where that is neither known nor worth measuring."""
    from edgetl.stages.common import trained
    from edgetl.training.pace import STEPS, measured

    # Only its inputs are looked at: nothing is written.
    folder = folders["data"]
    context = Context(recipe, folder, folders, folder, folder, folder, progress)
    data = trained.open_data(context, trained.open_table(context))
    planned = [one for one in trainings(recipe, data) if one.stage in stages]
    kinds: dict[Kind, Planned] = {}
    for one in planned:
        for kind in kinds_of(one):
            kinds.setdefault(kind, one)
    # The rehearsal's trainings see no unlabelled pictures.
    paces = _rehearsed(rehearsal) if rehearsal and data.unlabelled is None else {}
    if paces.keys() >= kinds.keys():
        return [_cost(one, paces, data) for one in planned]
    steps = sum(one.count * one.epochs * _steps_per_epoch(one.settings, data) for one in planned)
    if len(kinds) * STEPS > _SHARE * steps:
        return []
    for index, (kind, one) in enumerate(kinds.items()):
        progress.advance("forecast: a few steps of each training", index, len(kinds))
        paces[kind] = measured(job_of(recipe, data, one, kind.taught), _BUDGET / len(kinds))
    progress.advance("forecast: a few steps of each training", len(kinds), len(kinds))
    return [_cost(one, paces, data) for one in planned]


def _steps_per_epoch(settings: Training, data: TrainingData) -> int:
    from edgetl.training.batches import batch_size_for

    return len(data.train) // batch_size_for(data, settings.batch_size)


def kinds_of(planned: Planned) -> dict[Kind, int]:
    """The kinds of these trainings, and how many are of each."""
    settings = planned.settings
    grows = small_epochs(settings.progressive, planned.epochs) > 0
    return {
        Kind(planned.architecture, taught, settings.batch_size, settings.precision, grows): count
        for taught, count in ((False, planned.alone), (True, planned.taught))
        if count
    }


def _rehearsed(rehearsal: Rehearsal) -> dict[Kind, Pace]:
    """What the rehearsal measured, by the kind of training."""
    from edgetl.training.pace import Pace

    return {_kind(one): Pace(one.step_seconds, one.image_seconds, one.steps) for one in rehearsal.trainings}


def _kind(one: RehearsedTraining) -> Kind:
    architecture = Architecture(one.backbone, one.attention, one.activation, one.image_size)
    return Kind(architecture, one.taught, one.batch_size, one.precision, one.grows)


def _cost(planned: Planned, paces: Mapping[Kind, Pace], data: TrainingData) -> Cost:
    kinds = kinds_of(planned)
    seconds = sum(count * paces[kind].training_seconds(data, planned.settings) for kind, count in kinds.items())
    return Cost(planned, seconds, min(paces[kind].steps for kind in kinds))


def job_of(recipe: Recipe, data: TrainingData, planned: Planned, taught: bool) -> Job:
    """A training like the planned one, of untrained networks: how long they compute does not depend on their weights."""
    from edgetl.stages.common import trained
    from edgetl.training.job import Job

    network = _untrained(planned.architecture, data)
    teachers = [_untrained(of_teacher(teacher), data) for teacher in recipe.teachers if taught]
    teacher = trained.together(teachers) if teachers else None
    seed = slices.training_seed(recipe, planned.settings)
    distillation = trained.distillation(recipe.distil, teacher, 1.0, network, data, seed)
    return Job(network, data, planned.settings, distillation, seed, planned.name)


def _untrained(architecture: Architecture, data: TrainingData) -> Network:
    from edgetl.stages.common import trained

    return trained.untrained(architecture, data.classes, data.images.shape[1])
