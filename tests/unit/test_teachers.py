"""A list of teachers in a recipe: what is refused, what can be overridden, and what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.errors import RecipeError
from edgetl.report import story
from edgetl.results.document import validated
from edgetl.results.recipe import ShownRecipe
from edgetl.stages.common import settings

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
