"""What a build says of the time its trainings will take: which there are, what is measured, the sums, and when nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.progress import Heard

from edgetl.config.recipe import Recipe
from edgetl.config.training import Training
from edgetl.errors import EnvironmentFault, UsageError
from edgetl.results.rehearsal import Rehearsal, RehearsedTraining
from edgetl.stages.common import settings as slices
from edgetl.stages.common import trained
from edgetl.stages.common.forecast import Cost, Kind, kinds_of, largest, sentence, shorter, tell
from edgetl.stages.common.planned import Architecture, Planned, trainings
from edgetl.training import ladder as training_ladder
from edgetl.training import pace as training_pace
from edgetl.training.batches import TrainingData
from edgetl.training.job import Job
from edgetl.training.ladder import Ladder, Rung
from edgetl.training.pace import Pace
from edgetl.training.schedules import epochs_needed

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
_DATA = TrainingData(np.zeros((200, 32, 32, 3), np.uint8), np.arange(200) % 2, np.arange(160), np.arange(160, 200), 2)
"""Ten steps in batches of 16."""
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
    def test_a_teacher_a_trial_of_each_weight_and_one_student(self) -> None:
        recipe = _recipe()
        assert trainings(recipe, _DATA) == [
            Planned("teach", "teacher", recipe.teachers[0], Architecture(_SMALL), alone=1),
            Planned("trial", "trial", slices.trial_settings(recipe.distil, 60), _STUDENT, alone=1, taught=2),
            Planned("distil", "student", slices.student_settings(recipe.distil, 60), _STUDENT, taught=1, at_most=True),
        ]
        assert [one.epochs for one in trainings(recipe, _DATA)] == [30, 6, 60]

    def test_several_teachers_and_pruning(self) -> None:
        recipe = _recipe(teacher=[_TEACHER, {**_TEACHER, "seed": 3}], prune=_PRUNE)
        first, second, _, _, pruned = trainings(recipe, _DATA)
        assert (first.stage, first.name, second.stage, second.name) == ("teach", "teacher", "teach.2", "teacher 2")
        assert recipe.prune is not None
        settings = slices.pruned_settings(recipe.prune, 60)
        assert pruned == Planned("prune", "pruned network", settings, _STUDENT, taught=1, at_most=True)
        assert pruned.epochs == 12

    def test_the_unpruned_student_may_be_spared(self) -> None:
        recipe = _recipe(prune={**_PRUNE, "reference": False})
        assert [one.stage for one in trainings(recipe, _DATA)] == ["teach", "trial", "prune"]

    def test_one_candidate_is_tried_only_for_the_sake_of_pruning(self) -> None:
        distil = {"weights": [1.0], "epochs": 60, "batch_size": 16}
        _, student = trainings(_recipe(distil=distil), _DATA)
        assert (student.stage, student.alone, student.taught, student.at_most) == ("distil", 0, 1, False)
        _, trial, student, _ = trainings(_recipe(distil=distil, prune=_PRUNE), _DATA)
        assert (trial.stage, trial.alone, trial.taught) == ("trial", 0, 1)
        assert (student.stage, student.at_most) == ("distil", False)

    def test_without_a_teacher_nothing_is_taught(self) -> None:
        (student,) = trainings(_recipe(teacher=None), _DATA)
        assert (student.stage, student.alone, student.taught, student.at_most) == ("distil", 1, 0, False)
        planned = trainings(_recipe(teacher=None, prune=_PRUNE), _DATA)
        assert [(one.stage, one.alone, one.taught, one.at_most) for one in planned] == [
            ("trial", 1, 0, False),
            ("distil", 1, 0, False),
            ("prune", 1, 0, True),
        ]

    def test_weights_that_are_named_twice_or_without_zero(self) -> None:
        """Where each candidate has a teacher, it is known how long the student takes, whichever is chosen."""
        _, trial, student = trainings(_recipe(distil={"weights": [1.0, 1.0, 2.0]}), _DATA)
        assert (trial.alone, trial.taught) == (0, 2)
        assert (student.alone, student.taught, student.at_most) == (0, 1, False)

    def test_the_weight_zero_alone_is_no_choice(self) -> None:
        _, student = trainings(_recipe(distil={"weights": [0.0], "epochs": 60}), _DATA)
        assert (student.stage, student.alone, student.taught, student.at_most) == ("distil", 1, 0, False)

    def test_epochs_that_the_recipe_leaves_to_the_data(self) -> None:
        null = {"teacher": {"backbone": _SMALL, "batch_size": 16}, "distil": {"batch_size": 2}, "prune": {}}
        recipe = _recipe(**null)
        teacher, trial, student, pruned = trainings(recipe, _DATA)
        assert teacher.epochs == epochs_needed(10, pretrained=True)
        assert student.epochs == pruned.epochs == trained.student_epochs(recipe, _DATA) == epochs_needed(80, False)
        assert trial.epochs == student.epochs // 10
        _, _, student, _ = trainings(_recipe(**null, student={"backbone": _SMALL, "weights": "package"}), _DATA)
        assert student.epochs == epochs_needed(80, pretrained=True)

    def test_a_trial_is_as_long_as_the_recipe_says(self) -> None:
        _, trial, student = trainings(_recipe(distil={**_RECIPE["distil"], "trial_epochs": 9}), _DATA)
        assert (trial.epochs, student.epochs) == (9, 60)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, float]]:
    """The jobs that are measured, with their budgets: a taught epoch takes 20 s, another one 10 s."""
    seen: list[tuple[Job, float]] = []

    def measured(job: Job, budget: float) -> Pace:
        seen.append((job, budget))
        return Pace(2.0 if job.distillation else 1.0, 0.0, 5 - len(seen))  # ten steps an epoch

    monkeypatch.setattr(training_pace, "measured", measured)
    monkeypatch.setattr(trained, "open_table", lambda context: context.inputs["data"])
    monkeypatch.setattr(trained, "open_data", lambda context, table: _DATA)
    monkeypatch.setattr(training_ladder, "ladder", lambda: _LADDER)
    return seen


_ALL = {"teach", "teach.2", "trial", "distil", "prune"}


class TestWhatIsSaid:
    def test_each_kind_is_measured_once_and_multiplied(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(prune=_PRUNE), Path(), {"data", *_ALL, "evaluate"}, progress, begun=False)
        assert [(job.label, job.distillation is not None) for job, _ in jobs] == [
            ("teacher", False),
            ("trial", False),
            ("trial", True),
        ], "the steps of student and pruned network are those of a taught trial"
        assert {budget for _, budget in jobs} == {20.0}
        # 30 x 10 s, 6 x (10 + 2 x 20) s, 60 x 20 s, 12 x 20 s
        assert progress.lines[0] == (
            "forecast: teacher (30 epochs) 5 min; trial (3 x 6 epochs) 5 min; student (60 epochs) at most 20 min; pruned "
            "network (12 epochs) at most 4 min; in all about 34 min of training on this machine (median of 2 steps each)"
        )
        ((kind, fields),) = progress.events
        assert (kind, fields["seconds"]) == ("forecast", 2040.0)
        assert fields["trainings"][1:3] == [
            {
                "stage": "trial",
                "name": "trial",
                "trainings": 3,
                "epochs": 6,
                "seconds": 300.0,
                "at_most": False,
                "steps": 2,
            },
            {
                "stage": "distil",
                "name": "student",
                "trainings": 1,
                "epochs": 60,
                "seconds": 1200.0,
                "at_most": True,
                "steps": 2,
            },
        ]

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

    def test_no_memory_of_batches_that_are_larger_than_the_rehearsed_ones(self, jobs: list[tuple[Job, float]]) -> None:
        """With unlabelled pictures in them, which no rehearsal sees; a teacher sees none either."""
        rehearsed = [
            RehearsedTraining(*kind.architecture, *kind[1:], 1.0, 0.1, 3, 5000.0, None)
            for planned in trainings(_recipe(), _DATA)
            for kind in kinds_of(planned)
        ]
        rehearsal = Rehearsal(tuple(rehearsed), None, (), 1.0, None)
        for stage, unlabelled, said in (
            ("distil", None, True),
            ("distil", Path(), False),
            ("teach", None, True),
            ("teach", Path(), True),
        ):
            progress = _Progress()
            tell(_recipe(), Path(), {stage}, progress, begun=False, rehearsal=rehearsal, unlabelled=unlabelled)
            assert ("in up to 5.0 GB of memory" in progress.lines[0]) is said

    def test_shorter_schedules_with_what_they_lost(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(), Path(), _ALL, progress, begun=False)
        assert progress.lines[1] == (
            "forecast: for a shorter student, --set distil.epochs=30 (10 min, -3.1 points of balanced accuracy, +0.2 of "
            "AUROC): what mobilenetv3_large_100 lost on HAM10000 against 100 epochs, a guide only"
        )

    def test_a_pruned_network_becomes_shorter_with_the_student(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        tell(_recipe(prune={"batch_size": 16}), Path(), _ALL, progress, begun=False)
        assert progress.lines[1].startswith(
            "forecast: for a shorter student and pruned network, --set distil.epochs=30 (20 min, -3.1"
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
        monkeypatch.setattr(training_pace, "measured", raising(EnvironmentFault("out of memory", hint="buy some")))
        tell(_recipe(), Path(), _ALL, progress, begun=False)
        assert (progress.lines, progress.events) == (["no forecast: out of memory"], [])
        monkeypatch.setattr(training_pace, "measured", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tell(_recipe(), Path(), _ALL, progress, begun=False)

    def test_pictures_that_a_network_does_not_take_end_the_build_before_hours_of_another_training(
        self, jobs: list[tuple[Job, float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def measured(job: Job, budget: float) -> Pace:
            if job.settings.progressive > 0:
                raise UsageError("progressive: 24 x 24 pixels are not what a network here takes")
            return Pace(1.0, 0.0, 5)

        monkeypatch.setattr(training_pace, "measured", measured)
        with pytest.raises(UsageError, match="progressive"):
            tell(_recipe(distil={**_RECIPE["distil"], "progressive": 0.5}), Path(), _ALL, _Progress(), begun=False)
        with pytest.raises(UsageError, match="progressive"):  # though the pruned network is no longer than the student
            tell(_recipe(prune={**_PRUNE, "progressive": 0.5}), Path(), _ALL, _Progress(), begun=False)

    def test_smaller_pictures_take_at_most_what_whole_ones_take(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        distil = {"weights": [0.0], "epochs": 60, "batch_size": 16, "progressive": 0.5}
        tell(_recipe(teacher=None, distil=distil), Path(), _ALL, progress, begun=False)
        assert progress.lines[0].startswith("forecast: student (60 epochs) at most 10 min")

    def test_batches_that_are_larger_than_the_data_are_steps_too(self, jobs: list[tuple[Job, float]]) -> None:
        progress = _Progress()
        distil = {"weights": [0.0], "epochs": 1000, "batch_size": 512}
        tell(_recipe(teacher=None, distil=distil), Path(), _ALL, progress, begun=False)
        assert progress.lines[0].startswith("forecast: student (1000 epochs)")

    def test_no_loss_of_a_random_start_is_told_of_a_student_that_has_seen_pictures(
        self, jobs: list[tuple[Job, float]]
    ) -> None:
        progress = _Progress()
        tell(_recipe(student={"backbone": _SMALL, "weights": "package"}), Path(), _ALL, progress, begun=False)
        assert len(progress.lines) == 1


class TestJobs:
    def test_networks_are_those_that_the_stages_would_make(self, jobs: list[tuple[Job, float]]) -> None:
        recipe = _recipe(teacher=[_TEACHER, {**_TEACHER, "seed": 3}], seed=7)
        tell(recipe, Path(), _ALL, _Progress(), begun=False)
        (teacher, alone, taught) = (job for job, _ in jobs)
        assert teacher.settings == recipe.teachers[0]
        assert (alone.settings, alone.distillation, alone.seed) == (slices.trial_settings(recipe.distil, 60), None, 7)
        assert taught.distillation is not None
        assert len(taught.distillation.teacher.networks) == 2  # type: ignore[arg-type]
        wanted, _ = trained.create(0, _SMALL, 2, "none", "eca")
        assert alone.network.state_dict().keys() == wanted.state_dict().keys() != teacher.network.state_dict().keys()

    def test_members_are_told_like_teachers_of_a_list(self, jobs: list[tuple[Job, float]]) -> None:
        lines = []
        for teacher in ({**_TEACHER, "members": 2}, [_TEACHER, {**_TEACHER, "seed": 1}]):
            progress = _Progress()
            tell(_recipe(teacher=teacher), Path(), _ALL, progress, begun=False)
            lines.append(progress.lines[0].partition("; in all")[0])
        assert lines[0] == lines[1]
        assert "teacher (30 epochs) 5 min; teacher 2 (30 epochs) 5 min" in lines[0]
        taught = [job for job, _ in jobs if job.distillation is not None]
        assert [len(job.distillation.teacher.networks) for job in taught if job.distillation] == [2, 2]  # type: ignore[arg-type]

    def test_the_steps_of_hints_are_measured(self, jobs: list[tuple[Job, float]]) -> None:
        tell(_recipe(distil={**_RECIPE["distil"], "hints": 0.5}), Path(), {"distil"}, _Progress(), begun=False)
        ((job, _),) = jobs
        assert job.distillation is not None
        assert job.distillation.hints is not None
        assert job.distillation.hints.weight == 0.5

    def test_one_teacher_is_itself(self, jobs: list[tuple[Job, float]]) -> None:
        tell(_recipe(), Path(), {"distil"}, _Progress(), begun=False)
        ((job, _),) = jobs
        wanted, _ = trained.create(0, _SMALL, 2, "none")
        assert job.distillation is not None
        assert job.distillation.teacher.state_dict().keys() == wanted.state_dict().keys()

    def test_without_a_teacher_a_pruned_network_learns_from_labels_alone(self, jobs: list[tuple[Job, float]]) -> None:
        tell(_recipe(teacher=None, prune={**_PRUNE, "epochs": 60}), Path(), {"prune"}, _Progress(), begun=False)
        ((job, _),) = jobs
        assert job.distillation is None


def test_memory_is_that_of_the_trainings_that_are_missing() -> None:
    """A teacher that is in the store already needs none."""
    teacher = RehearsedTraining(_SMALL, None, None, None, False, 16, "fp32", False, 1.0, 0.1, 3, 5000.0, None)
    student = replace(teacher, attention="eca", taught=True, peak_mb=3000.0)
    rehearsal = Rehearsal((teacher, student, replace(student, batch_size=8, peak_mb=9000.0)), None, (), 1.0, None)
    of_teacher, of_student = (
        Kind(Architecture(_SMALL, each), each is not None, 16, "fp32", False) for each in (None, "eca")
    )
    assert largest(rehearsal, {of_teacher, of_student}) == 5000
    assert largest(rehearsal, {of_student}) == 3000
    assert largest(rehearsal, set()) is None
    assert largest(None, {of_student}) is None


def _cost(
    seconds: float, steps: int = 5, *, stage: str = "distil", name: str = "student", epochs: int = 100, **settings: Any
) -> Cost:
    planned = Planned(stage, name, Training(epochs=epochs, **settings), _STUDENT, alone=1)
    return Cost(planned, seconds, steps)


def _pruned_cost(seconds: float, epochs: int = 100) -> Cost:
    return _cost(seconds, stage="prune", name="pruned network", epochs=epochs)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (1860, "31 min"), (3599, "1 h 0 min"), (6720, "1 h 52 min")],
)
def test_times_as_people_say_them(seconds: float, said: str) -> None:
    assert f"student (100 epochs) {said}; in all about {said} of" in sentence([_cost(seconds)])


def test_one_epoch_one_step_and_patience() -> None:
    assert sentence([_cost(60, steps=1, epochs=1, patience=3)]) == (
        "forecast: student (1 epoch) at most 60 s; in all about 60 s of training on this machine (one step each)"
    )


class TestShorter:
    @pytest.mark.parametrize(
        ("epochs", "offers"),
        [
            (100, ["distil.epochs=60 (6 min,", "distil.epochs=30 (3 min,"]),
            (60, ["distil.epochs=30 (5 min,"]),
            (31, ["distil.epochs=30"]),
            (30, []),
            (20, []),
        ],
    )
    @pytest.mark.parametrize("chosen", [True, False])
    def test_which_are_named(self, epochs: int, offers: list[str], chosen: bool) -> None:
        recipe = _recipe(distil={"epochs": epochs} if chosen else {})
        line = shorter([_cost(600, epochs=epochs)], recipe, _LADDER)
        assert (line or "").count("distil.epochs=") == len(offers)
        assert all(offer in (line or "") for offer in offers)

    def test_what_the_data_ask_for_is_offered_what_is_shorter_however_short_it_is(self) -> None:
        rows = (Rung(epochs=5, balanced_accuracy=-0.1, auroc=-0.1),)
        table = _LADDER.model_copy(update={"rows": rows})
        cost = _cost(600, epochs=15)
        assert "distil.epochs=5" in (shorter([cost], _recipe(distil={}), table) or "")
        assert shorter([cost], _recipe(distil={"epochs": 15}), table) is None

    def test_a_pruned_network_that_is_as_long_as_the_student(self) -> None:
        costs = [_cost(600), _pruned_cost(1200)]
        line = shorter(costs, _recipe(distil={}, prune={}), _LADDER)
        assert (line or "").startswith(
            "forecast: for a shorter student and pruned network, --set distil.epochs=60 (18 min"
        )

    def test_a_pruned_network_with_epochs_of_its_own(self) -> None:
        costs = [_cost(600), _pruned_cost(1200, epochs=50)]
        recipe = _recipe(distil={}, prune={"epochs": 50})
        assert (shorter(costs, recipe, _LADDER) or "").startswith(
            "forecast: for a shorter student, --set distil.epochs=60 (6 min"
        )
        assert shorter(costs[1:], recipe, _LADDER) is None, "distil.epochs would not change it"

    def test_a_pruned_network_whose_reference_is_spared(self) -> None:
        line = shorter([_pruned_cost(1200)], _recipe(distil={}, prune={"reference": False}), _LADDER)
        assert (line or "").startswith("forecast: for a shorter pruned network, --set distil.epochs=60 (12 min")

    def test_no_student_or_no_table_is_no_offer(self) -> None:
        recipe = _recipe(distil={"epochs": 100})
        assert shorter([_cost(600)], recipe, None) is None
        assert shorter([_cost(600, stage="teach", name="teacher")], recipe, _LADDER) is None
        assert shorter([_cost(600, stage="trial", name="trial")], recipe, _LADDER) is None
