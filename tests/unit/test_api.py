"""The Python API: recipes as dictionaries, silence, the errors that leave it, and the command line's options as keywords."""

from __future__ import annotations

import ast
import errno
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import malformed_recipes
import numpy as np
import pytest
import typer
from malformed_data import picture
from PIL import Image

import edgetl
from edgetl import cli
from edgetl.api.boundary import boundary
from edgetl.api.report import render_report
from edgetl.console.events import Event
from edgetl.errors import (
    Bug,
    DataError,
    EdgetlError,
    EnvironmentFault,
    IntegrityError,
    Interrupted,
    RecipeError,
    UsageError,
)

API = Path(str(edgetl.__file__)).parent / "api"
RENAMED = {"set": "overrides", "map": "mapping", "target": "targets", "batch": "batches"}
"""Options whose keyword is another word: builtins, and one that may be given again."""


class TestDictionary:
    """A recipe as a dictionary is held to what a file is held to."""

    def test_is_the_recipe_that_the_file_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        content = {"name": "r", "data": {"kind": "skin_phantom"}, "teacher": [{"epochs": 3}], "export": ["onnx"]}
        (tmp_path / "r.yaml").write_text(json.dumps(content))
        from_file, from_dictionary = edgetl.load_recipe("r.yaml"), edgetl.load_recipe(content)
        assert from_dictionary == from_file
        assert edgetl.load_recipe(from_file) is from_file

    def test_takes_tuples_and_paths(self, tmp_path: Path) -> None:
        (tmp_path / "pictures").mkdir()
        data = {"kind": "folder", "root": tmp_path / "pictures"}
        loaded = edgetl.load_recipe({"name": "r", "data": data, "export": ("onnx", "tflite")})
        assert loaded.data_root == tmp_path / "pictures"
        assert loaded.recipe.export == ("onnx", "tflite")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (
                {"student": {"backbon": "x"}},
                'recipe["student"]["backbon"]: student.backbon: unknown field; did you mean',
            ),
            (
                {"distil": {"epochs": "3"}},
                'recipe["distil"]["epochs"]: distil.epochs: got "3", expected a whole number',
            ),
            (
                {"teacher": [{"epochs": 0}]},
                'recipe["teacher"][0]["epochs"]: teacher.0.epochs: got 0, expected at least',
            ),
            ({"student": {"attention": {1, 2}}}, 'recipe["student"]["attention"]: got a value of type set, expected'),
            ({"distil": {3: 4}}, 'recipe["distil"]: got the key 3, expected text'),
            ({"seed": 10**18}, 'recipe["seed"]: got a whole number of more than 18 digits'),
            ({"name": "\ud800"}, 'recipe["name"]: half of a surrogate pair is no text'),
            ({"prune": {"macs": float("nan")}}, 'recipe["prune"]["macs"]: prune.macs: got NaN, expected'),
        ],
    )
    def test_a_mistake_is_said_with_the_path_to_it(self, content: dict[str, Any], said: str) -> None:
        with pytest.raises(RecipeError) as raised:
            edgetl.load_recipe({"name": "r", "data": {"kind": "skin_phantom"}, **content})
        assert str(raised.value).startswith(said)

    def test_one_that_holds_itself_is_refused(self) -> None:
        content: dict[str, Any] = {"name": "r"}
        content["data"] = content
        with pytest.raises(RecipeError, match="nested deeper than 16 levels"):
            edgetl.load_recipe(content)

    def test_what_is_nested_as_deep_as_a_file_may_be_is_read(self) -> None:
        inner: Any = 1
        for _ in range(15):
            inner = [inner]
        with pytest.raises(RecipeError, match="name: got"):  # and not for its depth
            edgetl.load_recipe({"name": inner})


class TestOverrides:
    """{"a.b": c} says what --set a.b=c says."""

    @pytest.fixture
    def recipe(self, tmp_path: Path) -> Path:
        path = tmp_path / "r.yaml"
        path.write_text(malformed_recipes.VALID)
        return path

    def test_a_mapping_is_what_the_texts_are(self, recipe: Path) -> None:
        texts = ["distil.epochs=3", "export=[onnx]", "prune=null", "teacher.backbone=resnet18"]
        values = {"distil.epochs": 3, "export": ["onnx"], "prune": None, "teacher.backbone": "resnet18"}
        assert edgetl.load_recipe(recipe, values) == edgetl.load_recipe(str(recipe), texts)

    def test_text_stays_text(self, recipe: Path) -> None:
        with pytest.raises(
            RecipeError, match=r"overrides\['distil.epochs'\]: distil.epochs: got \"3\", expected a whole"
        ):
            edgetl.load_recipe(recipe, {"distil.epochs": "3"})

    def test_a_field_without_a_name_is_a_usage_error(self, recipe: Path) -> None:
        with pytest.raises(UsageError, match=r"overrides\['distil.'\]: expected FIELD=VALUE"):
            edgetl.load_recipe(recipe, {"distil.": 3})

    def test_a_loaded_recipe_takes_none(self, recipe: Path) -> None:
        with pytest.raises(UsageError, match="loaded already"):
            edgetl.build(edgetl.load_recipe(recipe), overrides={"seed": 3}, dry_run=True)


@pytest.mark.parametrize("name", ["build", "check", "init", "evaluate", "verify", "predict", "bench"])
def test_keywords_mirror_the_options_of_the_command(name: str) -> None:
    command: Any = typer.main.get_command(cli.app)
    words = [parameter.opts[0].lstrip("-").replace("-", "_") for parameter in command.commands[name].params]
    expected = {RENAMED.get(word, word) for word in words} - {"json", "help", "plot"}  # how a result is shown
    assert set(inspect.signature(getattr(edgetl, name)).parameters) - {"progress"} == expected


class TestSilence:
    """Whatever api/ does, it prints nothing."""

    @pytest.mark.parametrize("path", sorted(API.glob("*.py")), ids=lambda path: path.stem)
    def test_no_file_knows_how_to(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not names & {"print", "tell", "input"}
        assert not {module.split(".")[0] for module in modules} & {"typer", "rich", "sys", "logging", "warnings"}
        assert not modules & {"edgetl.console.streams", "edgetl.console.display", "edgetl.console.exits"}

    @pytest.fixture
    def pictures(self, tmp_path: Path) -> Path:
        for number in range(12):
            path = tmp_path / "pictures" / "xy"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number))
        pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
        broken = tmp_path / "pictures" / "x" / "broken.tif"
        Image.fromarray(pixels).save(broken, compression="tiff_lzw")
        content = broken.read_bytes()
        broken.write_bytes(content[:1500] + b"\xff" * 100 + content[1600:])  # libtiff complains, from C
        return tmp_path / "pictures"

    def test_check_init_and_a_dry_run(
        self, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
        result = edgetl.check(data=f"folder:{pictures}")
        assert [broken.image for broken in result.survey.unreadable] == ["x/broken.tif"]
        assert result.problems == ("files that cannot be read: 1",)
        with pytest.raises(DataError, match="a build would stop here"):
            result.raise_on_problems()
        (pictures / "x" / "broken.tif").unlink()
        started = edgetl.init(pictures, out=tmp_path / "r.yaml")
        assert started.start.classes == {"x": 6, "y": 6}
        small = {"name": "s", "data": {"kind": "skin_phantom", "images": 70}}
        events: list[Event] = []
        plan = edgetl.build(small, dry_run=True, progress=events.append)
        assert (plan.stand_in, plan.complete) == ("skin_phantom", False)
        assert plan.stages[0].name == "data"
        assert not plan.stages[0].cached
        assert plan.stages[0].why
        assert [type(event).__name__ for event in events] == ["Warned"], "the stand-in is said"
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("exc", "kind", "said"),
    [
        (KeyboardInterrupt(), Interrupted, "interrupted"),
        (MemoryError(), EnvironmentFault, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/somewhere"), EnvironmentFault, "/somewhere: No space left"),
        (OSError(errno.ENOSPC, "No space left on device"), EnvironmentFault, "No space left"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), EnvironmentFault, "timm cannot be imported"),
        (Bug("no"), Bug, "no"),
        (ZeroDivisionError("of ours"), ZeroDivisionError, "of ours"),
        (RuntimeError("of ours"), RuntimeError, "of ours"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), FileNotFoundError, "No such file"),
    ],
)
def test_what_a_user_can_meet_leaves_as_an_error_of_ours(exc: BaseException, kind: type[Exception], said: str) -> None:
    @boundary
    def function() -> None:
        raise exc

    with pytest.raises(kind) as raised:
        function()
    assert type(raised.value) is kind
    assert str(raised.value).startswith(said) or isinstance(exc, FileNotFoundError)
    assert raised.value is exc or raised.value.__cause__ is exc


@pytest.mark.parametrize(
    "call",
    [
        edgetl.verify,
        edgetl.open_bundle,
        lambda folder: edgetl.bench(folder, quick=True),
        lambda folder: edgetl.evaluate(folder, "folder:data"),
    ],
    ids=["verify", "open_bundle", "bench", "evaluate"],
)
def test_a_folder_that_never_was_a_bundle_is_a_usage_error_and_one_without_its_manifest_a_damaged_one(
    call: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as wrong:
        call(tmp_path)
    assert str(wrong.value).startswith(f"{tmp_path}: is no bundle, expected a folder with a bundle.json")
    (tmp_path / "golden").mkdir()
    with pytest.raises(IntegrityError, match="is not there"):
        call(tmp_path)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: edgetl.verify("nowhere"), "nowhere: there is no bundle"),
        (lambda: edgetl.open_bundle(Path("nowhere")), "nowhere: there is no bundle"),
        (lambda: edgetl.evaluate("nowhere", "folder"), "--data folder: expected KIND:ROOT"),
        (lambda: edgetl.bench("~nobody123/bundle"), "~nobody123/bundle: Could not determine home directory"),
        (lambda: edgetl.check(), "check: expected a recipe"),
        (lambda: render_report("nowhere"), "nowhere: there is no run"),
    ],
)
def test_what_is_not_there_is_a_usage_error(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        call()
    assert str(raised.value).startswith(said)
    assert isinstance(raised.value, edgetl.EdgetlError)
    assert edgetl.EdgetlError is EdgetlError
