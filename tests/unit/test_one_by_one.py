"""What a file that fails costs, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.progress import Heard

from edgetl.config.recipe import Recipe
from edgetl.errors import ArtifactError, EnvironmentFault, IntegrityError
from edgetl.evidence.gates import Gate
from edgetl.results.artifacts import LeftOut, Missing, Verification
from edgetl.stages.common.one_by_one import Files, refusal, works_without
from edgetl.stages.report.collect import missing_of


def _recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "data": {"kind": "skin_phantom"}} | fields)


def _context(folder: Path, **fields: Any) -> Any:
    return SimpleNamespace(recipe=_recipe(**fields), folder=folder, progress=Heard())


class TestExport:
    @pytest.mark.parametrize(
        ("fields", "artifacts"),
        [
            ({"export": ("onnx", "tflite")}, "onnx-fp32 onnx-int8 tflite-fp32 tflite-int8"),
            ({"export": ("onnx-int8", "tflite-fp32")}, "onnx-int8 tflite-fp32"),
            ({"export": ("tflite", "onnx"), "quantize": None}, "tflite-fp32 onnx-fp32"),
        ],
    )
    def test_which_files_ship(self, fields: dict[str, Any], artifacts: str) -> None:
        assert list(_recipe(**fields).artifacts) == artifacts.split()

    def test_int8_alone_is_held_against_an_fp32_that_is_built(self) -> None:
        recipe = _recipe(export=("onnx-int8", "tflite-fp32"))
        assert recipe.formats == ("onnx", "tflite")
        made = [
            f"{backend}-{one}"
            for backend in ("onnx", "openvino", "tflite")
            for one in ("fp32", "int8")
            if recipe.makes(backend, one)
        ]
        assert made == ["onnx-fp32", "onnx-int8", "tflite-fp32"]

    @pytest.mark.parametrize(
        ("gone", "left"),
        [
            (["tflite-int8"], "[onnx, openvino, tflite-fp32]"),
            (["onnx-fp32"], "[openvino, tflite]"),
            (["onnx-int8", "openvino-int8", "tflite-int8"], "[onnx-fp32, openvino-fp32, tflite-fp32]"),
        ],
    )
    def test_what_would_work(self, gone: list[str], left: str) -> None:
        assert works_without(_recipe(), gone).startswith(f"`export: {left}` leaves it out; `incomplete: ship`")

    def test_that_nothing_would(self) -> None:
        assert "no other file is left" in works_without(_recipe(export=["onnx"]), ["onnx-fp32"])
        assert "`export: [onnx]`" in works_without(_recipe(quantize=None, export=["onnx", "tflite"]), ["tflite-fp32"])


FAILURE = ArtifactError("onnx: quantize failed: ValueError: no", hint="the converter's last words:\nhm")


class TestRefuse:
    def test_the_first_file_that_fails_ends_the_build(self, tmp_path: Path) -> None:
        files = Files(_context(tmp_path), "quantize", tmp_path)
        with pytest.raises(ArtifactError) as caught, files.making("onnx-int8"):
            raise FAILURE
        assert str(caught.value).splitlines() == [
            "onnx-int8: quantize failed: ValueError: no",
            "  hint: `export: [onnx-fp32, openvino, tflite]` leaves it out; "
            "`incomplete: ship` leaves out whatever does not work",
            "  the converter's last words:",
            "hm",
        ]
        assert caught.value.exit_code == 1

    def test_what_was_left_out_for_another_recipe_ends_it_too(self, tmp_path: Path) -> None:
        missing = (Missing("onnx-fp32", "export", "no"), Missing("onnx-int8", "quantize", "is made from it"))
        with pytest.raises(ArtifactError, match=r"onnx-fp32: no\nonnx-int8: is made from it\n.*\[openvino, tflite\]"):
            Files(_context(tmp_path), "calibrate", tmp_path, missing)
        assert missing_of(_recipe(), [Verification((), missing)]) == missing, "the report refuses them"


class TestShip:
    def files(self, folder: Path) -> tuple[Files, Any]:
        context = _context(folder, incomplete="ship")
        return Files(context, "quantize", folder), context

    def test_one_file_is_left_out_with_all_that_lies_there_of_it(self, tmp_path: Path) -> None:
        files, context = self.files(tmp_path)
        for name in ("onnx-int8.xml", "onnx-int8.bin", "onnx-fp32.xml"):
            (tmp_path / name).touch()
        with files.making("onnx-int8"):
            raise FAILURE
        files.write()
        missing = Missing("onnx-int8", "quantize", "quantize failed: ValueError: no")
        assert LeftOut.of(tmp_path) == (missing,)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["missing.json", "onnx-fp32.xml"]
        assert context.progress.warnings == ["  LEFT OUT onnx-int8: quantize failed: ValueError: no"]

    def test_where_nothing_failed_nothing_is_written(self, tmp_path: Path) -> None:
        files, _ = self.files(tmp_path)
        with files.making("onnx-int8"):
            pass
        files.write()
        assert LeftOut.of(tmp_path) == ()
        assert list(tmp_path.iterdir()) == []

    def test_int8_is_missing_with_what_it_is_made_from(self, tmp_path: Path) -> None:
        files, _ = self.files(tmp_path)
        assert not files.lacks("onnx-int8", "onnx-fp32")
        files.leave_out("onnx-fp32", ArtifactError("onnx-fp32: does not load"))
        assert files.lacks("onnx-fp32", None)
        assert files.lacks("onnx-int8", "onnx-fp32")
        assert [each.reason for each in files.missing] == ["does not load", "is made from onnx-fp32, which is missing"]

    @pytest.mark.parametrize("error", [EnvironmentFault("full"), IntegrityError("damaged"), OSError(), MemoryError()])
    def test_what_is_no_files_fault_ends_the_build(self, tmp_path: Path, error: Exception) -> None:
        files, _ = self.files(tmp_path)
        with pytest.raises(type(error)), files.making("onnx-int8"):
            raise error


def _verified(**failed: bool) -> Any:
    """Verifications of two formats, and whether a gate of each file failed."""

    def artifact(name: str) -> Any:
        gate = Gate("rule", name, not failed.get(name.replace("-", "_"), False), "fail", None, None, "by far")
        return SimpleNamespace(name=name, gates=(gate,))

    return [
        SimpleNamespace(artifacts=[artifact(f"{backend}-{one}") for one in ("fp32", "int8")], missing=())
        for backend in ("onnx", "tflite")
    ]


class TestGates:
    def test_a_failed_gate_leaves_out_its_file(self) -> None:
        recipe = _recipe(incomplete="ship", export=["onnx", "tflite"])
        assert missing_of(recipe, _verified()) == ()
        assert missing_of(recipe, _verified(tflite_int8=True)) == (
            Missing("tflite-int8", "verify", "failed rule: by far"),
        )

    def test_and_what_is_held_against_it(self) -> None:
        recipe = _recipe(incomplete="ship", export=["onnx-int8", "tflite"])
        assert [(each.artifact, each.reason) for each in missing_of(recipe, _verified(onnx_fp32=True))] == [
            ("onnx-fp32", "failed rule: by far"),
            ("onnx-int8", "is held against onnx-fp32, which failed a gate"),
        ]

    def test_where_none_is_left_the_gates_forbid_the_bundle(self) -> None:
        recipe = _recipe(incomplete="ship", export=["onnx-int8", "tflite-fp32"])
        assert missing_of(recipe, _verified(onnx_int8=True, tflite_fp32=True)) == ()

    def test_a_recipe_that_refuses_leaves_out_none(self) -> None:
        assert missing_of(_recipe(export=["onnx", "tflite"]), _verified(tflite_int8=True)) == ()


def test_several_files_that_are_missing_are_one_error() -> None:
    error = refusal(
        _recipe(export=["onnx", "tflite"]),
        [Missing("onnx-int8", "quantize", "a"), Missing("tflite-int8", "quantize", "b")],
    )
    assert (error.place, error.message) == ("onnx-int8", "a\ntflite-int8: b")
    assert error.hint is not None
    assert "`export: [onnx-fp32, tflite-fp32]`" in error.hint
