"""Teach, trial, distil and prune on a handful of painted images: what they write, choose and say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from fakes.progress import Heard

from edgetl import pipeline
from edgetl.config.recipe import Recipe
from edgetl.config.training import Prune
from edgetl.console.progress import Silent
from edgetl.data.images import divide, open_images
from edgetl.data.records import SPLITS, Record, Split
from edgetl.data.table import DataTable
from edgetl.models import prune as pruning
from edgetl.models import spec
from edgetl.models.architecture import Network
from edgetl.models.prune import PruneReport
from edgetl.results.training import Choice, DistilResult, PruneResult, Run, TeachResult, TrialResult
from edgetl.stages import distil, prune, teach, trial
from edgetl.stages.common import settings as slices
from edgetl.stages.common import trained
from edgetl.stages.common.networks import networks, shipped
from edgetl.stages.common.stage import Context, Stage
from edgetl.training.inference import predict_logits

_SIZE = 32


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data stage's result: three kinds of noisy checkerboards, two pictures of each lesion."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.choice(3, 120, p=(0.5, 0.3, 0.2)), 2)
    patterns = np.kron(generator.integers(0, 256, (3, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    noise = generator.normal(80, 40, (len(labels), _SIZE, _SIZE, 3))
    np.save(folder / "all.npy", np.clip(0.5 * patterns[labels] + noise, 0, 255).astype(np.uint8))
    splits: tuple[Split, ...] = ("train", "train", "val", "train", "test")
    records = tuple(
        Record(f"{row:04d}.png", "abc"[label], group=f"lesion{row // 2}", split=splits[row // 2 % 5])
        for row, label in enumerate(labels)
    )
    table = DataTable(("a", "b", "c"), records, "folder", True)
    table.save(folder)
    divide(folder / "all.npy", table, folder)
    return folder


_TINY = {"epochs": 3, "batch_size": 32, "ema": 0.9, "learning_rate": 3e-3}


def _recipe(**changes: Any) -> Recipe:
    document = {
        "name": "tiny",
        "data": {"kind": "skin_phantom", "image_size": _SIZE},
        "teacher": {"backbone": "mobilenetv3_small_050", "weights": "none", **_TINY},
        "student": {"backbone": "mobilenetv3_small_050", "attention": "eca"},
        "distil": {"weights": [1.0, 0.0], "trial_epochs": 2, **_TINY},
        "prune": {"macs": 0.6, **_TINY, "epochs": None},
    }
    return Recipe.model_validate(document | changes)


def _run(stage: Stage, recipe: Recipe, inputs: Mapping[str, Path], at: Path, progress: Silent | None = None) -> Path:
    """Run a stage as the pipeline does; its result folder."""
    folder, scratch = at / stage.name, at / f"{stage.name}-scratch"
    folder.mkdir(parents=True)
    scratch.mkdir()
    context = Context(recipe, folder, dict(inputs), scratch, source=at, project=at, progress=progress or Silent())
    stage.run(context)
    return folder


def _needed(stage: Stage) -> set[str]:
    """The stages that it reads in a recipe with two teachers at most."""
    return {need.split("/")[0] for need in stage.needs} & {
        "data",
        "unlabelled",
        "teach",
        "teach.2",
        "trial",
        "distil",
        "prune",
    }


def _built(recipe: Recipe, folders: Mapping[str, Path], at: Path, *stages: Stage) -> dict[str, Path]:
    """Results of stages, one after the other, beside those that are there."""
    found = dict(folders)
    for stage in stages:
        inputs = {name: folder for name, folder in found.items() if name in _needed(stage)}
        found[stage.name] = _run(stage, recipe, inputs, at)
    return found


@pytest.fixture(scope="module")
def built(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four stages, one after the other."""
    stages = (teach.STAGES[0], trial.STAGE, distil.STAGE, prune.STAGE)
    return _built(_recipe(), {"data": data_folder}, tmp_path_factory.mktemp("built"), *stages)


def _runs(folders: Mapping[str, Path]) -> Iterator[Run]:
    """All trainings but the teacher's."""
    yield from TrialResult.read(folders["trial"]).runs
    for result in (DistilResult.read(folders["distil"]), PruneResult.read(folders["prune"])):
        if result.run:
            yield result.run


def _same(one: Path, other: Path) -> bool:
    """Whether two stages wrote the same network."""
    ours, theirs = (spec.load(folder / "network").state_dict() for folder in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_each_stage_writes_a_network_that_loads_and_how_it_was_trained(built: dict[str, Path]) -> None:
    for name, result in (
        ("teach", TeachResult.read(built["teach"])),
        ("distil", DistilResult.read(built["distil"])),
        ("prune", PruneResult.read(built["prune"])),
    ):
        training, run = result.training, result.run
        assert training is not None
        assert run is not None
        spec.load(built[name] / "network")
        assert [epoch.epoch for epoch in run.history] == [1, 2, 3]
        assert training.kept == run.kept
        assert training.kept.epoch in (3, training.kept.best)
        assert (training.kept.planned, training.kept.trained, training.kept.validated) == (3, 3, 3)
        assert training.validation.auroc == run.history[run.kept.epoch - 1].val_auroc


def test_the_saved_network_has_the_scores_that_are_written(built: dict[str, Path], data_folder: Path) -> None:
    table = DataTable.load(data_folder)
    images = open_images(data_folder, table, SPLITS)
    logits = predict_logits(spec.load(built["teach"] / "network"), images, rows=table.rows("val"))
    labels = table.labels("val")
    recall = np.mean([(logits.argmax(1) == labels)[labels == label].mean() for label in range(3)])
    training = TeachResult.read(built["teach"]).training
    assert training is not None
    assert training.validation.balanced_accuracy == pytest.approx(recall)


def test_candidates_are_sorted_kept_with_their_histories_and_one_is_chosen(built: dict[str, Path]) -> None:
    written = TrialResult.read(built["trial"])
    tried, alone, taught = written.trial, *written.runs
    assert [candidate.weight for candidate in tried.candidates] == [0.0, 1.0]
    (chosen,) = (candidate for candidate in tried.candidates if candidate.chosen)
    assert chosen.weight == tried.chosen_weight == Choice.read(built["trial"]).weight
    assert {epoch.distil_loss for epoch in alone.history} == {None}
    assert all((epoch.distil_loss or 0.0) > 0 for epoch in taught.history)
    assert tried.seconds == alone.seconds + taught.seconds
    assert (tried.epochs, tried.weights is not None, tried.rule is not None) == (2, True, True)


def test_epochs_are_spent_once(built: dict[str, Path]) -> None:
    """Two trials of two epochs, a student of three, a pruned one that takes the student's: and nothing after that."""
    assert [len(run.history) for run in _runs(built)] == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("distil", "prune", "expected"),
    [
        ({"epochs": 15}, {}, (5, 15)),
        ({"epochs": 3}, {}, (3, 3)),
        ({"epochs": 80}, {"epochs": 20}, (8, 20)),
        ({"epochs": 80, "trial_epochs": 2}, {}, (2, 80)),
    ],
)
def test_how_long_the_trial_and_the_pruned_network_are_trained(
    distil: dict[str, int], prune: dict[str, int], expected: tuple[int, int]
) -> None:
    recipe = _recipe(distil=distil, prune=prune)
    assert recipe.prune is not None
    epochs = recipe.distil.epochs
    trial, pruned = slices.trial_settings(recipe.distil, epochs), slices.pruned_settings(recipe.prune, epochs)
    assert (trial.epochs, pruned.epochs) == expected
    assert slices.student_settings(recipe.distil, epochs).epochs == distil["epochs"]


def test_a_trial_trains_more_than_the_classifier() -> None:
    recipe = _recipe(distil={"epochs": 40, "freeze_epochs": 30})
    assert slices.trial_settings(recipe.distil, 40).freeze_epochs == 2
    assert slices.student_settings(recipe.distil, 40).freeze_epochs == 30


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_student_starts_anew_and_learns_with_the_weight_that_was_chosen(
    built: dict[str, Path], tmp_path: Path, weight: float
) -> None:
    choice = tmp_path / "choice"
    choice.mkdir()
    Choice(weight).write(choice)  # and no network
    found = _built(_recipe(), built | {"trial": choice}, tmp_path, distil.STAGE)
    written = DistilResult.read(found["distil"])
    assert written.training is not None
    assert written.run is not None
    assert written.training.chosen_weight == weight
    assert [(epoch.distil_loss or 0.0) > 0 for epoch in written.run.history] == 3 * [weight > 0]
    assert _same(found["distil"], built["distil"]) == (weight == Choice.read(built["trial"]).weight)


def test_epochs_that_the_recipe_leaves_open_are_those_that_each_network_needs(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pruned network takes the student's, the trial a part of them."""
    asked: list[tuple[int, bool]] = []

    def needed(steps: int, pretrained: bool) -> int:
        asked.append((steps, pretrained))
        return 6

    monkeypatch.setattr(trained, "epochs_needed", needed)
    left_open = {name: value for name, value in _TINY.items() if name != "epochs"}
    of_teacher = {"backbone": "mobilenetv3_small_050", "weights": "none", **left_open}
    recipe = _recipe(
        teacher=of_teacher,
        distil={"weights": [1.0], "trial_epochs": None, **left_open},
        prune={"macs": 0.6, **left_open},
    )
    found = _built(recipe, {"data": data_folder}, tmp_path, teach.STAGES[0], trial.STAGE, distil.STAGE, prune.STAGE)
    assert [len(run.history) for run in _runs(found)] == [5, 6, 6]
    assert set(asked) == {(144 // 32, False)}


def test_what_the_recipe_says_of_epochs_stands(data_folder: Path, tmp_path: Path) -> None:
    context = Context(_recipe(), tmp_path, {"data": data_folder}, tmp_path, tmp_path, tmp_path, Silent())
    data = trained.open_data(context, trained.open_table(context))
    given, left_open = Prune(epochs=7), Prune(batch_size=4096)
    assert trained.with_epochs(given, data, pretrained=False) is given
    assert trained.with_epochs(left_open, data, pretrained=False) == left_open.model_copy(update={"epochs": 300})
    assert trained.with_epochs(left_open, data, pretrained=True).epochs == 100
    table = DataTable.load(data_folder)
    assert data.val_groups == table.groups("val")
    assert len(set(data.val_groups)) == len(data.val) // 2, "two pictures of each lesion"


def test_pruning_takes_from_the_trials_network_and_shows_before_and_after(built: dict[str, Path]) -> None:
    written = PruneResult.read(built["prune"]).training
    assert written is not None
    assert 0.45 < written.pruned.kept_macs <= 0.6
    before, after, trained = written.before_pruning, written.after_pruning, written.after_training
    whole, pruned = (pruning.count(spec.load(built[name] / "network"), _SIZE) for name in ("trial", "prune"))
    assert (before.macs, before.parameters) == whole
    assert (after.macs, after.parameters) == (trained.macs, trained.parameters) == pruned
    assert written.pruned.kept_macs == after.macs / before.macs
    (chosen,) = (candidate for candidate in TrialResult.read(built["trial"]).trial.candidates if candidate.chosen)
    assert before.validation.balanced_accuracy == pytest.approx(chosen.validation.balanced_accuracy)
    assert before.validation.auroc == pytest.approx(chosen.validation.auroc)
    assert trained.validation == written.validation


@pytest.mark.parametrize(("weight", "taught_by"), [(0.0, "the labels alone"), (1.0, "the teacher")])
def test_what_is_left_starts_from_the_trials_weights_and_has_its_teacher(
    built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: float, taught_by: str
) -> None:
    tried = shutil.copytree(built["trial"], tmp_path / "tried")
    Choice(weight).write(tried)
    left: list[torch.Tensor] = []

    def nothing_is_cut(network: Network, *about: object, **more: object) -> PruneReport:
        left.append(network.state_dict()["body.conv_stem.weight"].clone())
        return PruneReport(1.0, 1.0, 1, 1, 1, 1)

    monkeypatch.setattr(pruning, "prune_to_macs", nothing_is_cut)
    found = _built(_recipe(), built | {"trial": tried}, tmp_path, prune.STAGE)
    start = spec.load(tried / "network").state_dict()["body.conv_stem.weight"]
    assert torch.equal(left[0], start)
    written = PruneResult.read(found["prune"])
    assert written.training is not None
    assert written.run is not None
    assert (written.training.taught_by, written.training.teacher_weight) == (taught_by, weight)
    assert [(epoch.distil_loss or 0.0) > 0 for epoch in written.run.history] == 3 * [weight > 0]


def test_without_a_teacher_all_learn_from_labels_alone(data_folder: Path, tmp_path: Path) -> None:
    recipe, said = _recipe(teacher=None), Heard()
    found = _built(recipe, {"data": data_folder}, tmp_path, teach.STAGES[0])
    assert TeachResult.read(found["teach"]) == TeachResult(training=None, run=None)
    assert [path.name for path in found["teach"].iterdir()] == ["training.json"]
    found["trial"] = _run(trial.STAGE, recipe, found, tmp_path, said)
    written = TrialResult.read(found["trial"]).trial
    assert (written.chosen_weight, len(written.candidates)) == (0.0, 1)
    assert any("no teacher" in line for line in said.lines)
    assert any("no teacher" in note for note in written.notes)
    found = _built(recipe, found, tmp_path, distil.STAGE, prune.STAGE)
    student, pruned = DistilResult.read(found["distil"]).training, PruneResult.read(found["prune"]).training
    assert student is not None
    assert pruned is not None
    assert student.chosen_weight == pruned.teacher_weight == 0.0
    assert pruned.taught_by == "the labels alone"
    assert {epoch.distil_loss for run in _runs(found) for epoch in run.history} == {None}


def test_two_members_teach_student_and_pruned_student_with_hints_that_ship_nowhere(
    data_folder: Path, tmp_path: Path
) -> None:
    short = {**_TINY, "epochs": 1}
    recipe = _recipe(
        teacher={"backbone": "mobilenetv3_small_050", "weights": "none", "members": 2, **short},
        distil={"loss": "dkd", "hints": 1.0, "label_weight": 0.5, "weights": [1.0], "trial_epochs": 1, **short},
        prune={"macs": 0.6, **short},
    )
    stages = (*teach.STAGES[:2], trial.STAGE, distil.STAGE, prune.STAGE)
    found = _built(recipe, {"data": data_folder}, tmp_path, *stages)
    first, second, student, pruned = (
        spec.load(found[name] / "network") for name in ("teach", "teach.2", "distil", "prune")
    )
    assert not torch.equal(first.body.conv_stem.weight, second.body.conv_stem.weight)  # type: ignore[arg-type, union-attr]
    fresh, _ = trained.create_student(recipe, 3)
    assert student.state_dict().keys() == pruned.state_dict().keys() == fresh.state_dict().keys()
    assert all((epoch.distil_loss or 0.0) > 0 for run in _runs(found) for epoch in run.history)
    written = PruneResult.read(found["prune"]).training
    assert written is not None
    assert written.taught_by == "the average of the teachers"


def test_unlabelled_pictures_change_who_has_a_teacher_and_nobody_else(built: dict[str, Path], tmp_path: Path) -> None:
    further = tmp_path / "further"
    further.mkdir()
    np.save(further / "pixels.npy", np.random.default_rng(1).integers(0, 256, (40, _SIZE, _SIZE, 3), dtype=np.uint8))
    for weight in (0.0, 1.0):
        place = tmp_path / str(weight)
        chosen = place / "choice"
        chosen.mkdir(parents=True)
        Choice(weight).write(chosen)
        without, found = (
            _built(_recipe(), built | {"trial": chosen} | more, place / name, distil.STAGE)
            for name, more in (("without", {}), ("with", {"unlabelled": further}))
        )
        assert _same(without["distil"], found["distil"]) == (weight == 0)


def test_one_candidate_without_pruning_is_not_tried(built: dict[str, Path], tmp_path: Path) -> None:
    recipe = _recipe(prune=None, distil={"weights": [0.5], **_TINY})
    found = _built(recipe, built, tmp_path, trial.STAGE)
    assert {path.name for path in found["trial"].iterdir()} == {"choice.json", "training.json"}
    assert Choice.read(found["trial"]).weight == 0.5
    written = TrialResult.read(found["trial"])
    assert (written.runs, written.trial.candidates, written.trial.epochs, written.trial.rule) == ((), (), 0, None)
    assert not any((tmp_path / "trial-scratch").iterdir())


def test_one_candidate_with_pruning_is_tried(built: dict[str, Path], tmp_path: Path) -> None:
    recipe = _recipe(distil={"weights": [1.0], "trial_epochs": 1, **_TINY})
    found = _built(recipe, built, tmp_path, trial.STAGE)
    assert [len(run.history) for run in TrialResult.read(found["trial"]).runs] == [1]
    spec.load(found["trial"] / "network")


def test_without_a_reference_no_unpruned_student_is_trained_and_the_pruned_one_is_the_same(
    built: dict[str, Path], tmp_path: Path
) -> None:
    recipe = _recipe(prune={"macs": 0.6, **_TINY, "reference": False})
    found = _built(recipe, built, tmp_path, distil.STAGE)
    assert [path.name for path in found["distil"].iterdir()] == ["training.json"]
    assert DistilResult.read(found["distil"]) == DistilResult(training=None, run=None)
    assert not any((tmp_path / "distil-scratch").iterdir())
    assert [len(run.history) for run in _runs(found)] == [2, 2, 3]
    reads = prune.STAGE.reads(recipe)
    assert not any(need.startswith("distil") for need in reads)
    assert prune.STAGE.settings(recipe) == prune.STAGE.settings(_recipe())


def test_without_pruning_there_is_no_pruned_network(built: dict[str, Path], tmp_path: Path) -> None:
    passed = _built(_recipe(prune=None), built, tmp_path, prune.STAGE)["prune"]
    assert [path.name for path in passed.iterdir()] == ["training.json"]
    assert PruneResult.read(passed) == PruneResult(training=None, run=None)


@pytest.mark.parametrize(
    ("changes", "ships", "measured"),
    [
        ({}, "prune", ["student", "pruned"]),
        ({"prune": {"macs": 0.6, **_TINY, "reference": False}}, "prune", ["pruned"]),
        ({"prune": None}, "distil", ["student"]),
    ],
)
def test_which_networks_a_stage_finds(
    changes: dict[str, Any], ships: str, measured: list[str], built: dict[str, Path], tmp_path: Path
) -> None:
    """The trial's is none that is exported, evaluated or measured."""
    recipe = _recipe(**changes)
    found = _built(
        recipe, {name: built[name] for name in ("data", "teach", "trial")}, tmp_path, distil.STAGE, prune.STAGE
    )

    def seen(stage: Stage) -> Context:
        inputs = {name: folder for name, folder in found.items() if f"{name}/network" in stage.reads(recipe)}
        loaded = SimpleNamespace(recipe=recipe, project=tmp_path)
        return pipeline._context(cast(Any, loaded), tmp_path, inputs, tmp_path, tmp_path, Silent())

    stages = {stage.name: stage for stage in pipeline.all_stages()}
    assert shipped(seen(stages["export.onnx"])) == found[ships] / "network"
    assert shipped(seen(stages["quantize.onnx"])) == found[ships] / "network"
    for name in ("evaluate", "benchmark"):
        assert list(networks(seen(stages[name]))) == ["teacher", *measured]
