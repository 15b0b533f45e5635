"""Teach, distil and prune on a handful of painted images: what they write, choose and say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes.progress import Heard

from edgetl.config.recipe import Prune, Recipe
from edgetl.console.progress import Silent
from edgetl.data.images import divide, open_images
from edgetl.data.records import SPLITS, Record, Split
from edgetl.data.table import DataTable
from edgetl.models import prune as pruning
from edgetl.models import spec
from edgetl.results.training import Choice, DistilResult, PruneResult, TeachResult
from edgetl.stages import distil, prune, teach
from edgetl.stages.common import trained
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
        "distil": {"weights": [1.0, 0.0], **_TINY},
        "prune": {"macs": 0.6, **_TINY},
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
    """The stages that it reads in a recipe with one teacher."""
    return {need.split("/")[0] for need in stage.needs} & {"data", "teach", "distil", "prune"}


@pytest.fixture(scope="module")
def built(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three stages, one after the other."""
    at, folders = tmp_path_factory.mktemp("built"), {"data": data_folder}
    for stage in (teach.STAGES[0], distil.STAGE, prune.STAGE):
        inputs = {name: folders[name] for name in _needed(stage)}
        folders[stage.name] = _run(stage, _recipe(), inputs, at)
    return folders


def test_each_stage_writes_a_network_that_loads_and_how_it_was_trained(built: dict[str, Path]) -> None:
    teacher, student, pruned = (
        TeachResult.read(built["teach"]),
        DistilResult.read(built["distil"]),
        PruneResult.read(built["prune"]),
    )
    for name, training, run in (
        ("teach", teacher.training, teacher.run),
        ("distil", student.training, student.runs[0]),
        ("prune", pruned.training, pruned.run),
    ):
        assert training is not None
        assert run is not None
        spec.load(built[name] / "network")
        assert [epoch.epoch for epoch in run.history] == [1, 2, 3]
        assert training.kept.epoch in (3, training.kept.best)
        assert (training.kept.planned, training.kept.trained, training.kept.validated) == (3, 3, 3)
        assert training.kept == run.kept or name == "distil"
        assert training.validation.auroc == run.history[run.kept.epoch - 1].val_auroc or name == "distil"
    assert student.training.validation.auroc in {run.history[run.kept.epoch - 1].val_auroc for run in student.runs}


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
    written = DistilResult.read(built["distil"])
    candidates, alone, taught = written.training.candidates, *written.runs
    assert [candidate.weight for candidate in candidates] == [0.0, 1.0]
    (chosen,) = (candidate for candidate in candidates if candidate.chosen)
    assert chosen.weight == written.training.chosen_weight == Choice.read(built["distil"]).weight
    assert chosen.validation == written.training.validation
    assert {epoch.distil_loss for epoch in alone.history} == {None}
    assert all((epoch.distil_loss or 0.0) > 0 for epoch in taught.history)
    assert written.training.seconds in (alone.seconds, taught.seconds)


def test_epochs_that_the_recipe_leaves_open_are_those_that_each_network_needs(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teacher and student start from random weights, the pruned network from those of the student."""
    asked: list[int] = []

    def needed(steps: int, pretrained: bool) -> int:
        asked.append(steps)
        return 1 if pretrained else 2

    monkeypatch.setattr(trained, "epochs_needed", needed)
    left_open = {name: value for name, value in _TINY.items() if name != "epochs"}
    of_teacher = {"backbone": "mobilenetv3_small_050", "weights": "none", **left_open}
    recipe = _recipe(teacher=of_teacher, distil={"weights": [1.0], **left_open}, prune={"macs": 0.6, **left_open})
    folders = {"data": data_folder}
    for stage in (teach.STAGES[0], distil.STAGE, prune.STAGE):
        folders[stage.name] = _run(stage, recipe, {name: folders[name] for name in _needed(stage)}, tmp_path)
    runs = (TeachResult.read(folders["teach"]).run, *DistilResult.read(folders["distil"]).runs)
    runs += (PruneResult.read(folders["prune"]).run,)
    assert [(run.kept.planned, len(run.history)) for run in runs if run] == [(2, 2), (2, 2), (1, 1)]
    assert asked == [144 // 32] * 3


def test_what_the_recipe_says_of_epochs_stands(data_folder: Path, tmp_path: Path) -> None:
    context = Context(_recipe(), tmp_path, {"data": data_folder}, tmp_path, tmp_path, tmp_path, Silent())
    data = trained.open_data(context, trained.open_table(context))
    given, left_open = Prune(epochs=7), Prune(batch_size=4096)
    assert trained.scheduled(given, data, pretrained=False) is given
    assert trained.scheduled(left_open, data, pretrained=False) == left_open.model_copy(update={"epochs": 300})
    assert trained.scheduled(left_open, data, pretrained=True).epochs == 100
    table = DataTable.load(data_folder)
    assert data.val_groups == table.groups("val")
    assert len(set(data.val_groups)) == len(data.val) // 2, "two pictures of each lesion"


def test_pruning_reaches_its_share_and_shows_before_and_after(built: dict[str, Path]) -> None:
    written = PruneResult.read(built["prune"]).training
    assert written is not None
    assert 0.45 < written.pruned.kept_macs <= 0.6
    before, after, recovered = written.before_pruning, written.after_pruning, written.after_recovery
    student, pruned = (pruning.count(spec.load(built[name] / "network"), _SIZE) for name in ("distil", "prune"))
    assert (before.macs, before.parameters) == student
    assert (after.macs, after.parameters) == (recovered.macs, recovered.parameters) == pruned
    assert written.pruned.kept_macs == after.macs / before.macs
    chosen_student = DistilResult.read(built["distil"]).training.validation
    assert before.validation.balanced_accuracy == pytest.approx(chosen_student.balanced_accuracy)
    assert recovered.validation == written.validation
    chosen = Choice.read(built["distil"]).weight
    assert written.taught_by == ("the teacher" if chosen > 0 else "the student before pruning")


def test_without_a_teacher_the_student_learns_from_labels_and_teaches_its_pruned_self(
    data_folder: Path, tmp_path: Path
) -> None:
    recipe, said = _recipe(teacher=None), Heard()
    taught = _run(teach.STAGES[0], recipe, {"data": data_folder}, tmp_path)
    assert TeachResult.read(taught) == TeachResult(training=None, run=None)
    assert [path.name for path in taught.iterdir()] == ["training.json"]
    student = _run(distil.STAGE, recipe, {"data": data_folder, "teach": taught}, tmp_path, said)
    training = DistilResult.read(student).training
    assert training.chosen_weight == 0.0
    assert any("no teacher" in line for line in said.lines)
    assert training.notes
    inputs = {"data": data_folder, "teach": taught, "distil": student}
    pruned = PruneResult.read(_run(prune.STAGE, recipe, inputs, tmp_path))
    assert pruned.training is not None
    assert pruned.run is not None
    assert (pruned.training.taught_by, pruned.training.teacher_weight) == ("the student before pruning", 1.0)
    assert (pruned.run.history[0].distil_loss or 0.0) > 0


def test_without_pruning_the_student_passes_through_unchanged(built: dict[str, Path], tmp_path: Path) -> None:
    recipe = _recipe(prune=None)
    passed = _run(prune.STAGE, recipe, {name: built[name] for name in _needed(prune.STAGE)}, tmp_path)
    before, after = (spec.load(folder / "network").state_dict() for folder in (built["distil"], passed))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert PruneResult.read(passed) == PruneResult(training=None, run=None)
