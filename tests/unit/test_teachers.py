"""Teachers in a recipe, in lists and as members: what is refused, what they are asked, and what the report says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from edgetl.config.loading import Loaded, load
from edgetl.config.recipe import Recipe
from edgetl.errors import RecipeError, UsageError
from edgetl.report import story
from edgetl.results.document import validated
from edgetl.results.recipe import ShownRecipe
from edgetl.stages.common import preflight, settings, trained
from edgetl.training.batches import TrainingData
from edgetl.training.losses.dkd import dkd

_TWO = "[{backbone: resnet18}, {backbone: resnet34, seed: 3}]"


def _written(folder: Path, teachers: str) -> Path:
    path = folder / "recipe.yaml"
    data = "{kind: ham10000, root: '${EDGETL_TEST_NOWHERE}', stand_in: skin_phantom}"
    path.write_text(f"name: several\ndata: {data}\nteacher: {teachers}\n", encoding="utf-8")
    return path


def test_one_of_them_can_be_overridden_and_the_stand_in_shortens_each(tmp_path: Path) -> None:
    recipe = load(_written(tmp_path, _TWO), ["teacher.1.epochs=2", "teacher.0.weights=hub"], {}).recipe
    assert [(one.epochs, one.weights, one.seed) for one in recipe.teachers] == [(5, "hub", None), (2, "package", 3)]


@pytest.mark.parametrize("override", ["teacher.epochs=2", "teacher.2.epochs=2"])
def test_an_override_that_names_none_of_them_is_told_which_there_are(tmp_path: Path, override: str) -> None:
    with pytest.raises(RecipeError, match=r"teacher is a list(.|\n)*teacher\.0 to teacher\.1"):
        load(_written(tmp_path, _TWO), [override], {})


@pytest.mark.parametrize("seed", ["seed: 0", "weights: package"])
def test_the_same_network_twice_is_refused(tmp_path: Path, seed: str) -> None:
    with pytest.raises(RecipeError, match=r"teacher\.0 and teacher\.1 are the same network.*another seed"):
        load(_written(tmp_path, f"[{{backbone: resnet18}}, {{backbone: resnet18, {seed}}}]"), (), {})


def test_a_wrong_name_in_one_of_them_has_its_place_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.yaml:3:34: teacher\.1\.backbon: unknown field.*'backbone'"):
        load(_written(tmp_path, "[{backbone: resnet18}, {backbon: resnet34}]"), (), {})


def _recipe(**sections: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "data": {"kind": "skin_phantom"}, **sections})


def test_members_are_so_many_teachers_that_differ_in_their_seed() -> None:
    one = _recipe(seed=4, teacher={"backbone": "resnet18", "members": 3, "epochs": 2})
    assert [(each.backbone, each.seed, each.members, each.epochs) for each in one.teachers] == [
        ("resnet18", seed, 1, 2) for seed in (4, 5, 6)
    ]
    several = _recipe(teacher=[{"backbone": "resnet18", "seed": 7, "members": 2}, {"backbone": "resnet34"}])
    assert [(each.backbone, each.seed) for each in several.teachers] == [
        ("resnet18", 7),
        ("resnet18", 8),
        ("resnet34", None),
    ]
    assert _recipe(teacher={"members": 8}).teachers[-1].seed == 7


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("{members: 9}", r"teacher\.members: got 9, expected at most 8"),
        ("[{members: 5}, {members: 4, seed: 9}]", r"teacher lists 9 networks with their members, expected at most 8"),
        ("[{members: 3}, {seed: 2}]", r"teacher\.0 and teacher\.1 are the same network where the seed is 2"),
        (
            "[{members: 2, seed: 1}, {members: 2}]",
            r"teacher\.0 and teacher\.1 are the same network where the seed is 1",
        ),
    ],
)
def test_members_that_are_too_many_or_the_same_are_refused(tmp_path: Path, teacher: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load(_written(tmp_path, teacher), (), {})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"distil": {"label_weight": 0.0}}, "label_weight is 0, and so is one of weights"),
        (
            {"teacher": None, "distil": {"label_weight": 0.0, "weights": [1.0]}},
            r"distil\.label_weight is 0, and teacher: null",
        ),
    ],
)
def test_a_student_that_nothing_teaches_is_refused(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _recipe(**sections)
    assert _recipe(distil={"label_weight": 0.0, "weights": [1.0]}).distil.label_weight == 0


def test_a_network_may_teach_its_like() -> None:
    """Born-again networks: the student's own backbone, from another seed."""
    student = {"backbone": "mobilenetv3_small_050"}
    recipe = _recipe(student=student, teacher={**student, "weights": "none", "seed": 1}, distil={"hints": 1.0})
    (teacher,) = recipe.teachers
    network, _ = trained.create_teacher(recipe, teacher, 3)
    ours, _ = trained.create_student(recipe, 3)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in ours.state_dict().items()
    }
    assert not torch.equal(network.body.conv_stem.weight, ours.body.conv_stem.weight)  # type: ignore[arg-type, union-attr]


_DATA = TrainingData(np.zeros((8, 32, 32, 3), np.uint8), np.arange(8) % 2, np.arange(6), np.arange(6, 8), 2)


def test_what_a_recipe_asks_of_a_teacher_reaches_the_training() -> None:
    recipe = _recipe(
        student={"backbone": "mobilenetv3_small_050"},
        distil={"loss": "dkd", "temperature": 3.0, "hints": 0.5, "label_weight": 0.25, "weights": [0.0, 2.0]},
    )
    student, _ = trained.create_student(recipe, 2)
    teacher, _ = trained.create(0, "test_convnext", 2)
    assert trained.distillation(recipe.distil, teacher, 0.0, student, _DATA, 0) is None
    assert trained.distillation(recipe.distil, None, 2.0, student, _DATA, 0) is None
    taught = trained.distillation(recipe.distil, teacher, 2.0, student, _DATA, 0)
    assert taught is not None
    assert (taught.teacher, taught.loss, taught.weight, taught.temperature) == (teacher, dkd, 2.0, 3.0)
    assert taught.label_weight == 0.25
    assert taught.hints is not None
    assert taught.hints.weight == 0.5
    without = trained.distillation(recipe.distil.model_copy(update={"hints": 0.0}), teacher, 2.0, student, _DATA, 0)
    assert without is not None
    assert without.hints is None


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_network_without_features_for_hints_is_refused_before_anything_is_trained(role: str) -> None:
    sections = {"student": {"backbone": "mobilenetv3_small_050"}, "teacher": {"backbone": "test_convnext"}}
    sections[role] = {"backbone": "coat_tiny"}
    sections["teacher"]["weights"] = "none"

    def checked(**distil: Any) -> None:
        data = {"kind": "skin_phantom", "image_size": 64}
        recipe = Recipe.model_validate({"name": "x", "data": data, "targets": [], "distil": distil, **sections})
        preflight.check(Loaded(recipe, Path(), None, None))

    with pytest.raises(UsageError, match="features of CoaT are no map"):
        checked(hints=1.0)
    checked()
    checked(hints=1.0, weights=[0.0])


@pytest.mark.parametrize(
    ("changes", "weights", "words"),
    [
        ({"freeze_epochs": 2}, "none", "freeze_epochs would keep"),
        ({"layer_decay": 0.8}, "none", "layer_decay would keep"),
        ({"freeze_epochs": 2, "layer_decay": 0.8}, "none", "freeze_epochs and layer_decay would keep"),
        ({"freeze_epochs": 2}, "package", None),
        ({}, "none", None),
    ],
)
def test_keeping_random_layers_is_cautioned_against(changes: dict[str, Any], weights: str, words: str | None) -> None:
    recipe = Recipe.model_validate({"name": "x", "data": {"kind": "skin_phantom"}, "distil": changes})
    said = settings.cautions("student", recipe.distil, weights)
    assert (words is None and not said) or (words is not None and words in said[0])


@pytest.mark.parametrize(
    ("teacher", "sentence"),
    [
        (None, "It learned from the labels alone"),
        ({"backbone": "resnet18"}, "A resnet18 taught it"),
        ([{"backbone": "resnet18"}], "A resnet18 taught it"),
        ([{"backbone": "resnet18"}, {"backbone": "resnet34"}], "The average of resnet18 and resnet34 taught it"),
        ({"backbone": "resnet18", "members": 3}, "The average of 3 × resnet18 taught it"),
        (
            [{"backbone": "resnet18", "members": 2}, {"backbone": "resnet34"}],
            "The average of 2 × resnet18 and resnet34 taught it",
        ),
    ],
)
def test_the_report_tells_who_taught(teacher: Any, sentence: str) -> None:
    document = {"name": "x", "data": {"kind": "skin_phantom"}, "teacher": teacher}
    recipe = Recipe.model_validate_json(json.dumps(document))
    teachers = validated(ShownRecipe, recipe.model_dump(mode="json")).teachers
    assert story._taught(teachers, 0.5) == sentence
    alone = story._taught(teachers, 0.0)
    assert alone.startswith("It learned from the labels alone")
    assert all(name in alone for name in teachers)
