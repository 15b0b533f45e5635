"""Whatever is wrong with a recipe: one message, the place of it, exit code 2, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import malformed_recipes
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from malformed_recipes import VALID, Case

from edgetl.config import fields
from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.errors import EdgetlError

CASES = malformed_recipes.cases()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("malformed")


def _refusal(path: Path, sets: tuple[str, ...] = ()) -> EdgetlError | None:
    try:
        load(path, sets, environment={})
    except EdgetlError as exc:
        return exc
    return None


def _assert_reads_well(refusal: EdgetlError, path: Path, sets: tuple[str, ...]) -> None:
    assert refusal.exit_code == 2
    place = refusal.place or ""
    assert place.startswith("--set ") if sets else place.startswith(str(path)), place
    if not sets and path.is_file():
        line, column = place.removeprefix(f"{path}:").split(":")
        assert int(line) >= 1
        assert int(column) >= 1
    lines = str(refusal).splitlines()
    assert len(lines) <= 12
    assert all(line.isprintable() and len(line) < 600 for line in lines), lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_wrong_recipe_is_one_message_with_its_place(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    case.write(path)
    refusal = _refusal(path, case.sets)
    assert refusal is not None, "it was taken"
    _assert_reads_well(refusal, path, case.sets)


def test_there_are_enough_of_them_and_without_what_is_wrong_they_are_right(folder: Path) -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200
    path = folder / "valid.yaml"
    path.write_text(VALID)
    assert _refusal(path) is None


@pytest.mark.parametrize(
    ("sections", "place", "said"),
    [
        ({"teacher": 4}, "teacher", "teacher: got 4, expected a mapping of fields"),
        ({"teacher": []}, "teacher", "teacher: got [], expected at least 1 in the list"),
        ({"teacher": [{"bakbone": "x"}]}, "bakbone", "teacher.0.bakbone: unknown field; did you mean 'backbone'?"),
        (
            {"teacher": None, "prune": {"macs": None}},
            "macs",
            "prune.macs: got nothing, expected a number; leave it out",
        ),
        (
            {"data": {"kind": "skin_phantom", "labels": {"one": 1}}},
            "one",
            "data.labels.one: got 1, expected text; in quot",
        ),
        ({"data": {"kind": "skin_phantom", "exclude": [2]}}, "2", "data.exclude.0: got 2, expected text; in quotes"),
        ({"data": {"kind": "skin_phantom", "exclude": 2}}, "exclude", "data.exclude: got 2, expected text or a list"),
        ({"export": ["onnx", "onnx"]}, "onnx", "export.1 names onnx twice"),
        ({"export": ["onnx-int8", "tflite", "onnx-int8"]}, "onnx-int8", "export.2 names onnx-int8 twice"),
        (
            {"export": ["tflite-fp32", "onnx", "tflite"]},
            "tflite-fp32",
            "export.0 names tflite-fp32, which tflite beside it stands for already: leave out one of the two",
        ),
        (
            {"export": ["onnx", "tflite-int8"], "quantize": None},
            "tflite-int8",
            "export.1 names tflite-int8, and quantize: null leaves out every int8 file",
        ),
        (
            {"export": ["onx"]},
            "onx",
            'export.0: got "onx", expected one of onnx, openvino, tflite, onnx-fp32, onnx-int8, openvino-fp32, '
            "openvino-int8, tflite-fp32, tflite-int8; did you mean 'onnx'?",
        ),
        (
            {"export": ["tflite-int4"]},
            "tflite-int4",
            "openvino-int8, tflite-fp32, tflite-int8; did you mean 'tflite-int8'?",
        ),
        (
            {"incomplete": "shp"},
            "incomplete",
            "incomplete: got \"shp\", expected one of refuse, ship; did you mean 'ship'?",
        ),
        ({"schema": True}, "schema", "schema: got true, expected a whole number"),
    ],
)
def test_what_it_says(folder: Path, sections: dict[str, Any], place: str, said: str) -> None:
    """The place is that of the word in the file."""
    path = folder / "said.yaml"
    text = json.dumps({"name": "small", "data": {"kind": "skin_phantom"}} | sections)
    path.write_text(text)
    refusal = _refusal(path)
    assert refusal is not None
    assert said in refusal.message
    assert "\n" not in refusal.message
    assert text[int(str(refusal.place).rpartition(":")[2]) - 1 :].strip('"').startswith(place)


_YAML = st.text(st.sampled_from("[]{}:,-&*!|>'\"#%@`?~ \n\t\\x1.eE_$\ufeff\x00\x85\ud800é"), max_size=6)


@given(st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), _YAML), min_size=1, max_size=3))
@example([(0, 0, "%YAML 9" + "9" * 4400 + "\n---\n")])
@example([(6, 5, '"\\UFFFFFFFF"')])
def test_any_damage_to_a_recipe_is_read_or_refused_in_one_way(folder: Path, damage: list[tuple[int, int, str]]) -> None:
    text = VALID
    for start, cut, put in damage:
        text = text[:start] + put + text[start + cut :]
    path = folder / "damaged.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refusal = _refusal(path)
    if refusal:
        _assert_reads_well(refusal, path, ())


def _paths() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for field in fields.fields(Recipe):
        found.append((field.name,))
        section = fields.section(field.info.annotation)
        found += [(field.name, inner.name) for inner in fields.fields(section)] if section else []
    return found


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["${A}", "~", "x"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(_paths()), _VALUES)
def test_any_value_of_any_field_is_taken_or_refused_in_one_way(folder: Path, path: tuple[str, ...], value: Any) -> None:
    override = (f"{'.'.join(path)}={json.dumps(value)}",)
    recipe = folder / "any.yaml"
    recipe.write_text(VALID)
    refusal = _refusal(recipe, override)
    if refusal:
        # `data=` replaces the section, whose faults may then be in what it no longer holds.
        _assert_reads_well(refusal, recipe, override)
