"""`edgetl schema` and `edgetl explain`: what recipes may say, and what one says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import malformed_recipes
import pytest
from malformed_recipes import VALID, Case

from edgetl.commands import explain
from edgetl.commands import schema as command
from edgetl.config import loading, yaml_document
from edgetl.config.json_schema import by_kind, json_schema
from edgetl.config.recipe import Recipe
from edgetl.config.target import types
from edgetl.errors import UsageError

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema(Recipe, "edgetl recipe")

Explained = Callable[..., str]


def _is_valid(value: Any, schema: dict[str, Any] = SCHEMA) -> bool:
    return not list(jsonschema.Draft202012Validator(schema).iter_errors(value))


def test_the_schema_takes_what_edgetl_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        assert _is_valid(yaml_document.read(path).value), path
    assert _is_valid(yaml_document.parse(VALID, "r").value)
    several = {
        "teacher": [{"backbone": "resnet18"}, {"seed": 3}],
        "prune": None,
        "data": {"exclude": ["a"], "labels": {}},
    }
    assert _is_valid({"name": "small", **several})
    targets = by_kind(types(), "edgetl target")
    jsonschema.Draft202012Validator.check_schema(targets)
    for path in sorted((ROOT / "targets").glob("*.yaml")):
        assert _is_valid(yaml_document.read(path).value, targets), path
    assert not _is_valid({"name": "here", "kind": "lokal"}, targets)
    assert not _is_valid({"name": "here", "treads": [1]}, targets)


# Names of sections, and of fields whose bounds a type alone cannot tell.
_TYPED = [
    case
    for case in malformed_recipes.cases()
    if case.name.endswith(("of a wrong type", "unknown field", "far below", "no number")) and not case.sets
]


@pytest.mark.parametrize("case", _TYPED, ids=lambda case: str(case.name))
def test_the_schema_refuses_what_edgetl_refuses(case: Case) -> None:
    assert case.content is not None
    assert not _is_valid(yaml_document.parse(case.content.decode(), "r").value)


def test_every_field_is_described_and_no_title_hides_it() -> None:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]
    assert len(sections) >= 10
    for section in sections:
        for name, field in section["properties"].items():
            # pydantic leaves out what a section says of itself in the same words.
            text = field.get("description") or SCHEMA["$defs"][field["$ref"].rpartition("/")[2]]["description"]
            assert text, name
            assert "\n" not in text
            assert "title" not in field


def test_schema_is_written_whole_and_names_the_line_for_editors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command._schema(tmp_path / "recipe.json")
    assert json.loads((tmp_path / "recipe.json").read_text()) == SCHEMA
    assert capsys.readouterr().out == "# yaml-language-server: $schema=recipe.json\n"
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.json"]


@pytest.fixture
def explained(capsys: pytest.CaptureFixture[str]) -> Explained:
    def run(recipe: Path, field: str | None = None, *sets: str, as_json: bool = False) -> str:
        explain._explain(recipe, field, list(sets), as_json)
        return capsys.readouterr().out

    return run


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("EDGETL_TEST_ROOT", "EDGETL_HAM10000"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: r\ndata:\n  kind: folder\n  root: ${EDGETL_TEST_ROOT}/x\n  labels: {1: 'null', mel: null}\n"
        "  exclude: ['a: b', '-', '# c']\nteacher:\n- {backbone: resnet18, weights: none}\n- {backbone: resnet34}\n"
        "prune: {macs: 0.5}\nquantize: null\n",
        encoding="utf-8",
    )
    return path


def test_what_is_explained_is_the_same_recipe_again(recipe: Path, explained: Explained, tmp_path: Path) -> None:
    for source in (recipe, ROOT / "recipes" / "skin_mobile.yaml"):
        again = tmp_path / "again.yaml"
        again.write_text(explained(source, None, "distil.epochs=3"), encoding="utf-8")
        assert loading.resolve(again).recipe == loading.resolve(source, ["distil.epochs=3"]).recipe
    assert max(len(line) for line in again.read_text().splitlines()) <= 100


def test_where_a_value_comes_from(recipe: Path, explained: Explained) -> None:
    text = explained(recipe, None, "student.backbone=resnet18")
    assert "  kind: folder  # line 3\n" in text
    assert "  backbone: resnet18  # --set student.backbone=resnet18; default mobilenetv3_large_100\n" in text
    assert "  macs: 0.5  # line 10; default 0.6\n" in text
    assert "seed: 0  # default\n" in text
    assert "quantize: null  # line 11; default" in text
    stand_in = explained(ROOT / "recipes" / "skin_mobile.yaml")
    assert stand_in.startswith("# On the stand-in skin_phantom")
    assert "  image_size: 96  # the stand-in skin_phantom; default 128\n" in stand_in


def test_it_needs_neither_data_nor_variables(
    recipe: Path, explained: Explained, capsys: pytest.CaptureFixture[str]
) -> None:
    explain._explain(recipe)
    said = capsys.readouterr()
    assert f"warning: {recipe}:4:3: data.root: the environment variable EDGETL_TEST_ROOT is not set" in said.err
    assert 'root: "${EDGETL_TEST_ROOT}/x"' in said.out
    assert "/no/such/folder" in explained(recipe, None, "data.root=/no/such/folder")


def test_one_field_or_section(recipe: Path, explained: Explained) -> None:
    assert explained(recipe, "data.split.val").splitlines() == [
        "# Share of the images for validation: it chooses epochs, candidates, temperatures and thresholds.",
        "# Takes number, above 0, below 0.5.",
        "val: 0.15  # default",
    ]
    assert "backbone: resnet34  # line 9" in explained(recipe, "teacher.1")
    with pytest.raises(UsageError, match=r"did you mean 'distil\.epochs'"):
        explained(recipe, "distil.epoch")


def test_as_json(recipe: Path, explained: Explained) -> None:
    found = json.loads(explained(recipe, "prune", "prune.epochs=4", as_json=True))
    fields = {field["field"]: field for field in found["fields"]}
    assert (found["stand_in"], "prune" in fields) == (None, False)
    assert fields["prune.macs"] | {"meaning": ""} == {
        "field": "prune.macs",
        "value": 0.5,
        "default": 0.6,
        "from": "recipe",
        "place": f"{recipe}:10:9",
        "takes": "number, above 0, up to 1",
        "meaning": "",
    }
    assert (fields["prune.epochs"]["from"], fields["prune.epochs"]["value"]) == ("set", 4)
    assert fields["prune.seed"]["from"] == "default"
