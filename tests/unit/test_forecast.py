"""What a build says of the time its trainings will take: which there are, what is measured, the sums, and when nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.progress import Heard

from edgetl.config.recipe import Recipe
from edgetl.errors import EnvironmentFault
from edgetl.stages.common import trained
from edgetl.stages.common.forecast import Architecture, Cost, Planned, sentence, shorter, tell, trainings
from edgetl.training import forecast as training_forecast
from edgetl.training import ladder as training_ladder
from edgetl.training.batches import TrainingData
from edgetl.training.forecast import Pace
from edgetl.training.job import Job
from edgetl.training.ladder import Ladder, Rung

_SMALL = "mobilenetv3_small_050"
_TEACHER = {"backbone": _SMALL, "weights": "none", "epochs": 30, "batch_size": 16}
_RECIPE: dict[str, Any] = {
    "name": "tiny",
    "data": {"kind": "skin_phantom", "image_size": 32},
    "teacher": _TEACHER,
    "student": {"backbone": _SMALL, "attention": "eca"},
    "distil": {"weights": [0.0, 1.0, 2.0], "epochs": 60, "batch_size": 16},
}
_PRUNE = {"epochs": 12, "batch_size": 16}
_STUDENT = Architecture(_SMALL, "eca")
_LADDER = Ladder(
    note="",
    data="HAM10000",
    network="mobilenetv3_large_100",
    epochs=100,
    commit="0123abc",
    rows=(
        Rung(epochs=60, balanced_accuracy=-0.01, auroc=-0.004),
        Rung(epochs=30, balanced_accuracy=-0.031, auroc=0.002),
    ),
)


def _recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(_RECIPE | changes)


class _Progress(Heard):
    """Keeps the events too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, kind: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((kind, fields))


class TestWhatIsTrained:
    def test_a_teacher_and_a_student_for_each_weight(self) -> None:
        recipe = _recipe()
        assert trainings(recipe) == [
            Planned("teach", "teacher", recipe.teachers[0], Architecture(_SMALL), alone=1),
            Planned("distil", "student", recipe.distil, _STUDENT, alone=1, taught=2),
        ]

    def test_several_teachers_and_pruning(self) -> None:
        recipe = _recipe(teacher=[_TEACHER, {**_TEACHER, "seed": 3}], prune=_PRUNE)
        first, second, _, pruned = trainings(recipe)
        assert (first.stage, first.name, second.stage, second.name) == ("teach", "teacher", "teach.2", "teacher 2")
        assert pruned == Planned("prune", "pruned network", recipe.prune, _STUDENT, taught=1, at_most=True)  # type: ignore[arg-type]

    def test_without_a_teacher_one_student(self) -> None:
        (student,) = trainings(_recipe(teacher=None))
        assert (student.alone, student.taught) == (1, 0)

    def test_weights_that_are_named_twice_or_without_zero(self) -> None:
        _, student = trainings(_recipe(distil={"weights": [1.0, 1.0, 2.0]}))
        assert (student.alone, student.taught) == (0, 2)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, float]]:
    """The jobs that are measured, with their budgets: a taught epoch takes 20 s, another one 10 s."""
    seen: list[tuple[Job, float]] = []

    def measured(job: Job, budget: float) -> Pace:
        seen.append((job, budget))
        return Pace(20.0 if job.distillation else 10.0, 1.0, 5 - len(seen))

    images = np.zeros((200, 32, 32, 3), np.uint8)
    data = TrainingData(images, np.arange(200) % 2, np.arange(160), np.arange(160, 200), 2)
    monkeypatch.setattr(training_forecast, "measured", measured)
    monkeypatch.setattr(trained, "open_table", lambda context: context.inputs["data"])
    monkeypatch.setattr(trained, "open_data", lambda context, table: data)
    monkeypatch.setattr(training_ladder, "ladder", lambda: _LADDER)
    return seen


_ALL = {"teach", "teach.2", "distil", "prune"}


class TestWhatIsSaid:
    def test_each_kind_is_measured_once_and_multiplied(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(prune=_PRUNE), Path(), {"data", *_ALL, "evaluate"}, progress, begun=False)
        assert [(job.label, job.distillation is not None) for job, _ in jobs] == [
            ("teacher", False),
            ("student", False),
            ("student", True),
        ], "the pruned network's steps are those of a taught student"
        assert {budget for _, budget in jobs} == {20.0}
        # 30 x 10 s, 60 x (10 + 2 x 20) s, 12 x 20 s
        assert progress.lines[0] == (
            "forecast: teacher (30 epochs) 5 min; student (3 x 60 epochs) 50 min; pruned network (12 epochs) at most "
            "4 min; in all about 59 min of training on this machine (median of 2 steps each)"
        )
        ((kind, fields),) = progress.events
        assert (kind, fields["seconds"]) == ("forecast", 3540.0)
        assert fields["trainings"][1] == {
            "stage": "distil",
            "name": "student",
            "trainings": 3,
            "epochs": 60,
            "seconds": 3000.0,
            "at_most": False,
            "steps": 2,
        }

    def test_of_the_stages_that_are_missing_alone(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(prune=_PRUNE), Path(), {"prune", "evaluate"}, progress, begun=True)
        assert [job.label for job, _ in jobs] == []
        tell(_recipe(prune={**_PRUNE, "epochs": 60}), Path(), {"prune", "evaluate"}, progress, begun=True)
        assert [job.label for job, _ in jobs] == ["pruned network"]
        (line,) = progress.lines
        assert line.endswith("(median of 4 steps each); what was trained before the stop comes off that")
        tell(_recipe(), Path(), {"evaluate"}, progress, begun=False)
        assert len(progress.lines) == 1

    def test_shorter_schedules_with_what_they_lost(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(), Path(), _ALL, progress, begun=False)
        assert progress.lines[1] == (
            "forecast: a shorter student is --set distil.epochs=30 (25 min, -3.1 points of balanced accuracy, +0.2 of "
            "AUROC): what mobilenetv3_large_100 lost on HAM10000 against 100 epochs, a guide only"
        )

    def test_nothing_where_measuring_is_not_worth_it(self, jobs: list[tuple[Job, float]]) -> None:
        """Two kinds are 14 steps; of 10 steps an epoch, 28 epochs in all are the fewest that are worth it."""
        progress = _Progress()
        short = {"weights": [0.0], "batch_size": 16}
        tell(
            _recipe(teacher={**_TEACHER, "epochs": 20}, distil={**short, "epochs": 7}),
            Path(),
            _ALL,
            progress,
            begun=False,
        )
        assert (jobs, progress.lines, progress.events) == ([], [], [])
        tell(
            _recipe(teacher={**_TEACHER, "epochs": 20}, distil={**short, "epochs": 8}),
            Path(),
            _ALL,
            progress,
            begun=False,
        )
        assert len(jobs) == 2
        assert len(progress.lines) == 1

    def test_what_ends_a_training_does_not_end_a_forecast_and_ctrl_c_does(
        self, jobs: list[tuple[Job, float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def raising(error: BaseException) -> Any:
            def measured(job: Job, budget: float) -> Pace:
                raise error

            return measured

        progress = _Progress()
        monkeypatch.setattr(training_forecast, "measured", raising(EnvironmentFault("out of memory", hint="buy some")))
        tell(_recipe(), Path(), _ALL, progress, begun=False)
        assert (progress.lines, progress.events) == (["no forecast: out of memory"], [])
        monkeypatch.setattr(training_forecast, "measured", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tell(_recipe(), Path(), _ALL, progress, begun=False)


class TestJobs:
    def test_networks_are_those_that_the_stages_would_make(self, jobs: list[tuple[Job, float]]) -> None:
        recipe = _recipe(teacher=[_TEACHER, {**_TEACHER, "seed": 3}], seed=7)
        tell(recipe, Path(), _ALL, _Progress(), begun=False)
        (teacher, alone, taught) = (job for job, _ in jobs)
        assert teacher.settings == recipe.teachers[0]
        assert (alone.settings, alone.distillation, alone.seed) == (recipe.distil, None, 7)
        assert taught.distillation is not None
        assert len(taught.distillation.teacher.networks) == 2  # type: ignore[arg-type]
        wanted, _ = trained.create(0, _SMALL, 2, "none", "eca")
        assert alone.network.state_dict().keys() == wanted.state_dict().keys() != teacher.network.state_dict().keys()

    def test_without_a_teacher_the_student_teaches_its_pruned_self(self, jobs: list[tuple[Job, float]]) -> None:
        tell(_recipe(teacher=None, prune={**_PRUNE, "epochs": 60}), Path(), {"prune"}, _Progress(), begun=False)
        ((job, _),) = jobs
        assert job.distillation is not None
        assert job.distillation.teacher is not job.network
        assert job.distillation.teacher.state_dict().keys() == job.network.state_dict().keys()


def _cost(seconds: float, steps: int = 5, at_most: bool = False, **settings: Any) -> Cost:
    distil = _recipe(distil=settings).distil
    return Cost(Planned("distil", "student", distil, _STUDENT, alone=1, at_most=at_most), seconds, steps)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (1860, "31 min"), (3599, "1 h 0 min"), (6720, "1 h 52 min")],
)
def test_times_as_people_say_them(seconds: float, said: str) -> None:
    assert f"student (15 epochs) {said}; in all about {said} of" in sentence([_cost(seconds)])


def test_one_epoch_one_step_and_patience() -> None:
    assert sentence([_cost(60, steps=1, epochs=1, patience=3)]) == (
        "forecast: student (1 epoch) at most 60 s; in all about 60 s of training on this machine (one step each)"
    )


@pytest.mark.parametrize(
    ("distil", "offers"),
    [
        ({"epochs": 100}, ["distil.epochs=60 (6 min,", "distil.epochs=30 (3 min,"]),
        ({"epochs": 31}, ["distil.epochs=30"]),
        ({"epochs": 30}, []),
        ({"epochs": 20}, []),
        ({}, []),  # 15 of them today: the table has none that is shorter
    ],
)
def test_which_shorter_schedules_are_named(distil: dict[str, Any], offers: list[str]) -> None:
    line = shorter([_cost(600, **distil)], _recipe(distil=distil).distil, _LADDER)
    assert (line or "").count("distil.epochs=") == len(offers)
    assert all(offer in (line or "") for offer in offers)


def test_a_default_is_offered_what_is_shorter_however_short_it_is() -> None:
    rows = (Rung(epochs=5, balanced_accuracy=-0.1, auroc=-0.1),)
    table = _LADDER.model_copy(update={"rows": rows})
    assert "distil.epochs=5" in (shorter([_cost(600)], _recipe(distil={}).distil, table) or "")
    assert shorter([_cost(600)], _recipe(distil={"epochs": 15}).distil, table) is None


def test_no_student_or_no_table_is_no_offer() -> None:
    distil = _recipe(distil={"epochs": 100}).distil
    assert shorter([_cost(600)], distil, None) is None
    teacher = Cost(Planned("teach", "teacher", distil, _STUDENT, alone=1), 600, 5)
    assert shorter([teacher], distil, _LADDER) is None
