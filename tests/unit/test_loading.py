"""From a recipe file to a resolved recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetl.config import loading, target
from edgetl.devices import DEVICES
from edgetl.devices.local import LocalTarget
from edgetl.errors import DataError, EdgetlError, RecipeError, UsageError

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipes" / "r.yaml"
    path.parent.mkdir()
    path.write_text(
        "name: r\ndata:\n  kind: ham10000\n  root: ${EDGETL_TEST_ROOT}\n  stand_in: skin_phantom\n"
        "distil: {loss: dist, epochs: 15}\nprune: {macs: 0.6}\n",
        encoding="utf-8",
    )
    return path


def test_main_recipe_is_short_and_loads() -> None:
    path = RECIPES / "skin_mobile.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 25
    loaded = loading.load(path, environment={})
    assert loaded.recipe.student.attention == "coord"
    assert loaded.project == RECIPES.parent


def test_without_the_variable_the_stand_in_brings_its_own_small_sizes(recipe: Path) -> None:
    loaded = loading.load(recipe, environment={})
    assert (loaded.stand_in, loaded.data_root) == ("skin_phantom", None)
    assert loaded.recipe.data.kind == "skin_phantom"
    assert loaded.recipe.distil.epochs == 10


def test_what_the_user_sets_by_hand_wins_over_the_stand_in(recipe: Path) -> None:
    loaded = loading.load(recipe, ["distil.epochs=2", "prune=null", "data.images=140"], environment={})
    assert (loaded.recipe.distil.epochs, loaded.recipe.prune, loaded.recipe.data.images) == (2, None, 140)


def test_with_the_variable_the_real_folder_is_used(recipe: Path, tmp_path: Path) -> None:
    loaded = loading.load(recipe, environment={"EDGETL_TEST_ROOT": str(tmp_path)})
    assert (loaded.stand_in, loaded.data_root) == (None, tmp_path)
    assert loaded.recipe.distil.epochs == 15


def test_a_root_that_is_set_never_falls_back_to_the_stand_in(recipe: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    with pytest.raises(DataError, match="does not exist") as caught:
        loading.load(recipe, environment={"EDGETL_TEST_ROOT": missing})
    assert str(caught.value.place).endswith("r.yaml:4:3")


def test_an_unset_variable_without_a_stand_in_is_named(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("  stand_in: skin_phantom\n", ""))
    with pytest.raises(RecipeError, match="EDGETL_TEST_ROOT is not set"):
        loading.load(recipe, environment={})


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("epochs: 15", "epoch: 15", "6:22", "distil.epoch: unknown field; did you mean 'epochs'"),
        ("distil:", "distill:", "6:1", "did you mean 'distil'"),
        ("loss: dist", "loss: disst", "6:10", "did you mean 'dist'"),
        ("epochs: 15", "epochs: many", "6:22", 'got "many", expected a whole number'),
        ("epochs: 15", "epochs: 0", "6:22", "got 0, expected at least 1"),
        ("macs: 0.6", "macs: 1.5", "7:9", "got 1.5, expected at most 1"),
        ("name: r", "name: ../r", "1:1", "name"),
        ("name: r", "schema: 2", "1:1", "schema: got 2"),
    ],
)
def test_a_wrong_field_is_one_line_with_place_field_and_nearest_name(
    recipe: Path, old: str, new: str, place: str, words: str
) -> None:
    recipe.write_text(recipe.read_text().replace(old, new))
    with pytest.raises(RecipeError) as caught:
        loading.load(recipe, environment={})
    lines = str(caught.value).splitlines()
    assert any(f"r.yaml:{place}: " in line and words in line for line in lines), lines


@pytest.mark.parametrize("override", ["distil", "=3", "a..b=1", ""])
def test_a_malformed_override_is_a_usage_error(recipe: Path, override: str) -> None:
    with pytest.raises(UsageError, match="expected FIELD=VALUE"):
        loading.load(recipe, [override], environment={})


def test_a_wrong_override_is_placed_at_itself(recipe: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        loading.load(recipe, ["distil.epochs=x"], environment={})
    assert caught.value.place == "--set distil.epochs=x"
    with pytest.raises(EdgetlError, match="no mapping"):
        loading.load(recipe, ["prune.macs.x=1"], environment={})


def test_the_recipe_survives_its_own_json(recipe: Path) -> None:
    resolved = loading.load(recipe, environment={}).recipe
    text = json.dumps(resolved.model_dump(mode="json", by_alias=True))
    assert type(resolved).model_validate_json(text, strict=True) == resolved


def test_targets_are_found_by_name_beside_the_recipe_first(tmp_path: Path) -> None:
    assert target.load("local_cpu", tmp_path) == LocalTarget(name="local_cpu", threads=(1, "all"))
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "local_cpu.yaml").write_text("name: local_cpu\nthreads: [3]\n")
    assert target.load("local_cpu", tmp_path) == LocalTarget(name="local_cpu", threads=(3,))
    with pytest.raises(RecipeError, match="did you mean 'local_cpu'"):
        target.load("local_gpu", tmp_path)


def test_a_target_given_by_its_path_belongs_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nthreads: [3]\n")
    assert target.load("mine.yaml", tmp_path) == LocalTarget(name="mine", threads=(3,))


def test_files_of_weights_are_found_where_the_command_runs_or_at_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project, elsewhere):
        folder.mkdir()
    (project / "recipe.yaml").write_text("name: a\ndata: {kind: skin_phantom}\nstudent: {weights: w.pth}\n")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))

    def found(*overrides: str) -> str:
        return loading.load(project / "recipe.yaml", overrides).recipe.student.weights

    assert found() == "w.pth", "no file: whoever reads it says so"
    (project / "w.pth").touch()
    assert found() == str(project / "w.pth")
    (elsewhere / "w.pth").touch()
    assert found() == str(elsewhere / "w.pth")
    assert found("student.weights=~/w.pth") == str(elsewhere / "w.pth")
    (elsewhere / "none").touch()
    assert found("student.weights=none") == "none"
    assert found("student.weights=~nobody123/w.pth") == "~nobody123/w.pth"


KINDS = ", ".join(DEVICES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nkind: lokal\n", f"a.yaml:2:1: kind: got \"lokal\", expected one of {KINDS}; did you mean 'local'?"),
        ("name: a\nkind: 3\n", f"a.yaml:2:1: kind: got 3, expected one of {KINDS}"),
        (
            "name: a\nkind: openvino\naccelerator: tpu\n",
            "a.yaml:3:1: accelerator: got \"tpu\", expected one of gpu, npu; did you mean 'npu'?",
        ),
        ("name: a\nkind: openvino\n", "a.yaml:1:1: accelerator: is missing"),
        ("name: a\ntreads: [1]\n", "a.yaml:2:1: treads: unknown field; did you mean 'threads'?"),
        ("name: a\nthreads: [0]\n", "a.yaml:2:11: threads.0: got 0, expected at least 1 or all"),
        ("- a\n", 'a.yaml:1:1: the document: got ["a"], expected a mapping of fields'),
    ],
)
def test_a_wrong_target_is_placed_and_explained(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        target.load(str(path), tmp_path)
    assert str(caught.value).removeprefix(f"{tmp_path}/") == said
