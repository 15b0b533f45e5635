"""Which stage depends on what, held against a table: every recipe field, file and environment variable in turn.

A stage that depends on the change has another key, each other one the same. The tables are written by hand.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Set
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_project
from pydantic import BaseModel
from recipe_changes import (
    AFTER_CALIBRATE,
    AFTER_DISTIL,
    AFTER_PRUNE,
    AFTER_QUANTIZE,
    AFTER_TEACH,
    AFTER_TRIAL,
    ALL,
    CHANGES,
    EXPORT,
    NULL_EPOCHS,
    OF_OPENVINO,
    OF_TFLITE,
    ONE_VALUE,
    PHANTOM,
    VERIFY,
)
from tiny_project import keys, picture

from edgetl import models
from edgetl.config.fields import fields, section
from edgetl.config.recipe import Recipe
from edgetl.pipeline import all_stages
from edgetl.stages.common.environment import VARIABLES
from edgetl.stages.common.files import fetch_weights


def _fields(model: type[BaseModel] = Recipe, path: str = "") -> Iterator[str]:
    """Dotted paths of all fields; of a section its own path too where it can be left out."""
    for field in fields(model):
        inner = section(field.info.annotation)
        if inner is None or field.takes_null:
            yield f"{path}{field.name}"
        if inner is not None:
            yield from _fields(inner, f"{path}{field.name}.")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tiny_project.write(tmp_path_factory.mktemp("keys"))
    shutil.copytree(project / "data", project / "moved")
    return project


@pytest.fixture(scope="module")
def before(project: Path) -> dict[str, str]:
    return keys(project)


@pytest.fixture(scope="module")
def before_null(project: Path) -> dict[str, str]:
    return keys(project, NULL_EPOCHS)


def _changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Stages in both with another key."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def test_every_field_of_the_recipe_is_in_the_table() -> None:
    assert set(_fields()) == CHANGES.keys() | ONE_VALUE


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field(project: Path, before: dict[str, str], field: str) -> None:
    changes, expected = CHANGES[field]
    reference = keys(project, PHANTOM) if field == "data.images" else before
    shown = {"report"} if field != "data.root" else set()
    assert _changed(reference, keys(project, changes)) == expected | shown


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_where_the_data_say_how_long_to_train(
    project: Path, before_null: dict[str, str], field: str
) -> None:
    changes, expected = CHANGES[field]
    reference = keys(project, NULL_EPOCHS | PHANTOM) if field == "data.images" else before_null
    shown = {"report"} if field != "data.root" else set()
    assert _changed(reference, keys(project, NULL_EPOCHS | changes)) == expected | shown


# What is set before -> what is changed then, and the stages: where a field decides what others mean.
TWO_FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any], Set[str]]] = {
    "a student of other epochs than its trial": ({"distil.trial_epochs": 1}, {"distil.epochs": 2}, AFTER_DISTIL),
    "the trial's own epochs, written out": ({}, {"distil.trial_epochs": 1}, set()),
    "a tenth of the student's epochs": ({"distil.epochs": 50}, {"distil.epochs": 59}, AFTER_DISTIL),
    "a longer tenth of the student's epochs": ({"distil.epochs": 50}, {"distil.epochs": 60}, AFTER_TRIAL),
    "a pruned network that is trained as long as the student": (
        {"distil.trial_epochs": 1, "prune.epochs": None},
        {"distil.epochs": 2},
        AFTER_DISTIL | AFTER_PRUNE,
    ),
    "the student's epochs where it is not trained": (
        {"distil.trial_epochs": 1, "prune.reference": False},
        {"distil.epochs": 2},
        set(),
    ),
    "frozen epochs that the trial cuts to half": (
        {"distil.trial_epochs": 2, "distil.freeze_epochs": 1},
        {"distil.freeze_epochs": 2},
        AFTER_DISTIL,
    ),
    "one candidate that is not tried": (
        {"prune": None, "distil.weights": [1.0]},
        {"distil.learning_rate": 0.1},
        {"distil", "evaluate", *EXPORT, *AFTER_QUANTIZE},
    ),
    "one candidate that is tried for the sake of pruning": (
        {"distil.weights": [1.0]},
        {"distil.learning_rate": 0.1},
        AFTER_TRIAL,
    ),
    "epochs that the data decide, of a student that is not tried": (
        {"distil.epochs": None, "prune": None, "distil.weights": [1.0]},
        {"distil.batch_size": 16},
        {"distil", "evaluate", *EXPORT, *AFTER_QUANTIZE},
    ),
    "epochs that the data decide, written out, after a trial of its own": (
        {"distil.epochs": None, "distil.trial_epochs": 1, "prune.epochs": None},
        {"distil.epochs": 2},
        AFTER_DISTIL | AFTER_PRUNE,
    ),
    "both files of a format, one by one": ({}, {"export": ["onnx-fp32", "openvino", "onnx-int8", "tflite"]}, set()),
    "a format without its int8 file": (
        {},
        {"export": ["onnx", "openvino", "tflite-fp32"]},
        {"calibrate.tflite", "verify.tflite", "benchmark"},
    ),
    "a format whose fp32 file is there to hold int8 against": (
        {},
        {"export": ["onnx-int8", "openvino", "tflite"]},
        {"benchmark"},
    ),
    "the loss that int8 may have, of a format that has none": (
        {"export": ["onnx", "tflite-fp32"]},
        {"quantize.max_drop": 0.5},
        {"verify.onnx"},
    ),
    "formats without int8 as without quantization": (
        {"export": ["onnx-fp32", "tflite-fp32"]},
        {"export": ["onnx", "tflite"], "quantize": None},
        set(),
    ),
    "the student's epochs, written out for the pruned network": (
        {"distil.epochs": 2, "prune.epochs": None},
        {"prune.epochs": 2},
        set(),
    ),
}


@pytest.mark.parametrize("case", TWO_FIELDS)
def test_a_changed_field_where_another_one_decides_what_it_means(project: Path, case: str) -> None:
    first, then, expected = TWO_FIELDS[case]
    assert _changed(keys(project, first), keys(project, first | then)) - {"report"} == expected


_BOTH = {"distil.epochs": None, "prune.epochs": None}
# What is set before -> what is changed then, and the training stages whose own slice of the recipe changes. In a key the
# trial's network hides what a slice lacks: whatever changes the trial changes the pruned network too.
SLICES: dict[str, tuple[dict[str, Any], dict[str, Any], Set[str]]] = {
    "batches": (_BOTH, {"distil.batch_size": 16}, {"trial", "distil", "prune"}),
    "random weights": (_BOTH, {"student.weights": "none"}, {"trial", "distil", "prune"}),
    "other pretrained weights": (_BOTH, {"student.weights": "other.pth"}, {"trial", "distil"}),
    "the teacher's batches": (_BOTH | {"teacher.epochs": None}, {"teacher.batch_size": 16}, {"teach"}),
    "the pruned network's batches": (_BOTH, {"prune.batch_size": 16}, {"prune"}),
    "what decides no epochs": (_BOTH, {"distil.learning_rate": 0.1}, {"trial", "distil"}),
    "epochs of all": (_BOTH, {"distil.epochs": 50}, {"trial", "distil", "prune"}),
    "epochs after a trial of its own": (_BOTH | {"distil.trial_epochs": 1}, {"distil.epochs": 50}, {"distil", "prune"}),
    "batches without a reference": (_BOTH | {"prune.reference": False}, {"distil.batch_size": 16}, {"trial", "prune"}),
    "a pruned network with its own epochs": ({"distil.epochs": None}, {"distil.batch_size": 16}, {"trial", "distil"}),
    "its own epochs, and random weights": ({"distil.epochs": None}, {"student.weights": "none"}, {"trial", "distil"}),
    "a student with epochs": ({"prune.epochs": None}, {"distil.batch_size": 16}, {"trial", "distil"}),
    "a student with epochs, and random weights": (
        {"prune.epochs": None},
        {"student.weights": "none"},
        {"trial", "distil"},
    ),
    "nothing to try": (
        {"distil.epochs": None, "prune": None, "distil.weights": [1]},
        {"distil.batch_size": 16},
        {"distil"},
    ),
}


@pytest.mark.parametrize("case", SLICES)
def test_what_decides_epochs_that_are_null(project: Path, case: str) -> None:
    first, then, expected = SLICES[case]
    before, after = (tiny_project.read(project, changes).recipe for changes in (first, first | then))
    changed = {stage.name for stage in all_stages() if stage.trains and stage.settings(before) != stage.settings(after)}
    assert changed == expected


def test_which_stages_there_are_follows_from_the_files_that_are_wanted(project: Path) -> None:
    def of(*export: str, **changes: Any) -> set[str]:
        wanted = keys(project, {"export": export, **changes})
        return {name for name in wanted if name.startswith(("export.", "quantize."))}

    assert of("onnx-int8", "tflite-fp32") == {"export.onnx", "quantize.onnx", "export.tflite"}
    assert of("onnx") == of("onnx-fp32", "onnx-int8") == {"export.onnx", "quantize.onnx"}
    assert of("onnx", quantize=None) == {"export.onnx"}


def test_another_teacher_leaves_the_first_one_as_it_is(project: Path, before: dict[str, str]) -> None:
    teacher = tiny_project.RECIPE["teacher"]
    several = keys(project, {"teacher": [teacher, {**teacher, "seed": 3}]})
    assert _changed(before, several) == AFTER_TRIAL | {"report"}
    assert "teach.2" in several


def test_members_are_kept_like_teachers_of_a_list_and_one_more_trains_one_more(project: Path) -> None:
    teacher = tiny_project.RECIPE["teacher"]
    two, three = (keys(project, {"teacher.members": members}) for members in (2, 3))
    listed = keys(project, {"teacher": [teacher, {**teacher, "seed": 2}]})  # the recipe's seed is 1
    assert {name: key for name, key in two.items() if name != "report"} == {
        name: key for name, key in listed.items() if name != "report"
    }
    assert _changed(two, three) == AFTER_TRIAL | {"report"}
    assert three.keys() - two.keys() == {"teach.3"}


def test_unlabelled_pictures_are_keyed_by_their_content_and_leave_teachers_and_data_alone(project: Path) -> None:
    changes = {"data.unlabelled": "further"}
    before = keys(project, changes)
    assert before.keys() - keys(project).keys() == {"unlabelled"}
    picture(project / "further" / "inner" / "0.png", 900)
    changed = keys(project, changes)
    assert _changed(before, changed) == {"unlabelled"} | AFTER_TRIAL | {"report"}
    (project / "further" / "inner" / "0.png").rename(project / "further" / "0.png")
    assert _changed(changed, keys(project, changes)) == {"unlabelled"} | AFTER_TRIAL | {"report"}
    (project / "further" / "notes.txt").write_text("no picture")
    assert _changed(keys(project, changes), keys(project, changes)) == set()
    shutil.move(project / "further" / "0.png", project / "further" / "inner" / "0.png")
    shutil.copytree(project / "further", project / "elsewhere")
    assert _changed(changed, keys(project, {"data.unlabelled": "elsewhere"})) == {"report"}, (
        "where it lies is in no key"
    )


def test_a_recipe_that_is_read_from_elsewhere(
    project: Path, before: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert keys(project) == before
    (tmp_path / "student.pth").write_text("what the command finds where it runs comes first")
    assert _changed(before, keys(project)) == AFTER_TRIAL | {"report"}


_Change = Callable[[Path], object]


def _in_table(before: str, after: str) -> _Change:
    def change(project: Path) -> None:
        table = project / "data" / "table.csv"
        assert before in table.read_text()
        table.write_text(table.read_text().replace(before, after))

    return change


def _image(number: int, **how: Any) -> _Change:
    return lambda project: picture(project / "data" / "images" / f"{number:02}.png", **how)


# Pictures 0 to 3 are for training, 4 for validation, 5 for the test; file of the user -> what is changed, and the stages.
FILES: dict[str, tuple[_Change, Set[str]]] = {
    "a training picture": (_image(0, seed=99), ALL),
    "a validation picture": (_image(4, seed=99), ALL),
    "a test picture": (_image(5, seed=99), {"data", "evaluate", *VERIFY}),
    "a training picture saved again": (_image(0, seed=0, compress=0), {"data"}),
    "a validation picture saved again": (_image(4, seed=4, compress=0), {"data", "evaluate", *AFTER_CALIBRATE}),
    "a test picture saved again": (_image(5, seed=5, compress=0), {"data", "evaluate", *VERIFY}),
    "a mask": (lambda project: picture(project / "data" / "masks" / "00.png", 99), {"data"}),
    "a picture that is left out": (_image(23, seed=99), set()),
    "the patient of a training picture": (_in_table(",P0,", ",P900,"), ALL),
    "the patient of a test picture": (_in_table(",P5,", ",P905,"), {"data", "evaluate", *VERIFY}),
    "the label of a test picture": (
        _in_table("images/05.png,a,P5", "images/05.png,b,P5"),
        {"data", "evaluate", *VERIFY},
    ),
    "a further column, which records keep": (_in_table("split2", "split3"), ALL),
    "a remark among the patterns": (lambda project: (project / "out.txt").write_text("# x\nimages/23.png\n"), {"data"}),
    "the target": (lambda project: (project / "targets" / "mine.yaml").write_text("{name: mine}"), {"benchmark"}),
    "another target": (lambda project: (project / "targets" / "other.yaml").write_text("{name: x}"), set()),
    "the teacher's weights": (lambda project: (project / "teacher.pth").write_text("new"), AFTER_TEACH),
    "the student's weights": (lambda project: (project / "student.pth").write_text("new"), AFTER_TRIAL),
    "other weights": (lambda project: (project / "other.pth").write_text("new"), set()),
    "a file that is none of ours": (lambda project: (project / "notes.txt").write_text("new"), set()),
}


@pytest.mark.parametrize("file", FILES)
def test_a_changed_file(file: str, tmp_path: Path) -> None:
    project = tiny_project.write(tmp_path)
    before = keys(project, real_data=True)
    change, expected = FILES[file]
    change(project)
    assert _changed(before, keys(project, real_data=True)) - {"report"} == expected


_BY_TOOL = {
    "litert-torch": OF_TFLITE,
    "numpy": ALL,
    "opencv-python-headless": AFTER_TEACH,
    "openvino": OF_OPENVINO,
    "timm": AFTER_TEACH,
    "torch": AFTER_TEACH,
}
_VARIABLES = {
    name: set().union(*(_BY_TOOL[tool] for tool in VARIABLES if name in VARIABLES[tool]))
    for names in VARIABLES.values()
    for name in names
}


@pytest.mark.parametrize("name", _VARIABLES)
def test_a_variable_that_changes_what_a_tool_computes(
    project: Path, before: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "")
    assert keys(project) == before, "set to nothing is not set"
    monkeypatch.setenv(name, "1")
    assert _changed(before, keys(project)) - {"report"} == _VARIABLES[name]


def test_a_variable_that_changes_how_pictures_are_drawn(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(project, PHANTOM)
    monkeypatch.setenv("OPENCV_IPP", "disabled")
    assert _changed(before, keys(project, PHANTOM)) - {"report"} == ALL


def test_another_scipy_fits_temperatures_and_intervals_anew(
    project: Path, before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = metadata.version
    monkeypatch.setattr(metadata, "version", lambda tool: "0" if tool == "scipy" else installed(tool))
    assert _changed(before, keys(project)) - {"report"} == {"evaluate", *AFTER_CALIBRATE}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "KMP_BLOCKTIME", "CUDA_VISIBLE_DEVICES", "EDGETL_QUIET"])
def test_a_variable_that_changes_no_number(
    project: Path, before: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, os.environ.get(name, "") + "1")
    assert keys(project) == before


def test_the_hubs_weights_are_keyed_by_their_content_once_they_are_here(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes = {"student.weights": "hub"}
    unknown = keys(project, changes)
    fake = SimpleNamespace(fetch=lambda backbone: (tmp_path / "model.safetensors", "timm/x"))
    monkeypatch.setattr(models, "hub", fake, raising=False)  # the real one imports timm, for seconds
    found = []
    for content in ("one", "two"):
        (tmp_path / "model.safetensors").write_text(content)
        fetch_weights(tiny_project.read(project, changes), project / ".edgetl")
        found.append(keys(project, changes))
    assert _changed(unknown, found[0]) == _changed(found[0], found[1]) == AFTER_TRIAL | {"report"}


def test_each_of_two_targets_whose_files_have_one_name_counts(project: Path) -> None:
    paths = [project / folder / "one.yaml" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("{name: x, threads: [1]}")
    changes = {"targets": [str(path) for path in paths]}
    for path in paths:
        before = keys(project, changes)
        path.write_text("{name: x, threads: [2]}")
        assert _changed(before, keys(project, changes)) - {"report"} == {"benchmark"}, path
