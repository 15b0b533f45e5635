"""`edgetl check` finds everything that a build would refuse, in one go, and says it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malformed_data import picture
from PIL import Image

from edgetl.cli import main
from edgetl.lint.graph import Kind, graph_of
from edgetl.results.rehearsal import Rehearsal, RehearsedFile
from edgetl.runtime import decoding
from edgetl.stages.common import preflight


def _check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any, str]:
    """Exit code, the JSON, stderr."""
    monkeypatch.setattr(sys, "argv", ["edgetl", "check", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), json.loads(out) if out else None, err


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Prescribed splits with one of each kind of trouble."""
    root = tmp_path / "data"
    for number, split in enumerate(("train", "val", "test")):
        for index in range(3):
            for place, label in enumerate(("x", "y", "z")):
                _put(root / split / label / f"{index}.png", picture(100 * number + 10 * index + place))
    _put(root / "test" / "x" / "copy.png", picture(0))
    _put(root / "test" / "y" / "again.png", picture(1, (60, 60)))
    _put(root / "train" / "z" / "empty.png", b"")
    _put(root / "val" / "z" / "page.jpg", b"<html>")
    return root


def test_unlabelled_pictures_of_a_recipe_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)
    for number in range(24):
        _put(tmp_path / "data" / "xy"[number % 2] / f"{number}.png", picture(number))
    (tmp_path / "recipe.yaml").write_text(
        "name: x\ndata: {kind: folder, root: data, image_size: 32, unlabelled: further}\n"
    )
    code, _, err = _check(monkeypatch, capsys, tmp_path / "recipe.yaml")
    assert code == 2
    assert "data.unlabelled: expected a folder of pictures" in err
    for number in range(2):
        _put(tmp_path / "further" / f"{number}.png", picture(100 + number))
    code, found, _ = _check(monkeypatch, capsys, tmp_path / "recipe.yaml")
    assert (code, found["unlabelled"], found["images"]) == (0, 2, 24)


def test_a_loss_that_teaches_nothing_of_two_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)
    for number in range(36):
        _put(tmp_path / "data" / "xyz"[number % 3] / f"{number}.png", picture(number))
    recipe = tmp_path / "recipe.yaml"

    def checked(classes: int, distil: str) -> tuple[int, str]:
        two = ", labels: {x: x, y: y, z: x}" if classes == 2 else ""
        recipe.write_text(f"name: x\ndata: {{kind: folder, root: data, image_size: 32{two}}}\ndistil: {distil}\n")
        code, _, err = _check(monkeypatch, capsys, recipe)
        return code, err

    code, err = checked(2, "{loss: kd_standardized}")
    assert code == 2
    assert "distil.loss: kd_standardized teaches nothing of 2 classes, expected at least 3" in err
    assert "set distil.loss to one of dist, dkd, kd\n" in err
    assert checked(3, "{loss: kd_standardized}")[0] == 0
    assert checked(2, "{loss: dkd}")[0] == 0
    assert checked(2, "{loss: kd_standardized, weights: [0]}")[0] == 0


def test_everything_is_found_in_one_go(
    leaky: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, err = _check(monkeypatch, capsys, "--data", f"folder:{leaky}")
    assert code == 2
    assert err.count("error:") == 1
    assert {"classes", "images", "groups", "unreadable", "leaks"} <= set(found)
    assert found["classes"] == {"x": 10, "y": 10, "z": 11}
    assert found["images"] == found["groups"] == 31
    assert [one["image"] for one in found["unreadable"]] == ["train/z/empty.png", "val/z/page.jpg"]
    assert found["unreadable"][0]["reason"] == "the file is empty (0 bytes), expected a picture"
    assert found["leaks"]["groups"] == []
    identical, near = found["leaks"]["identical"], found["leaks"]["near"]
    assert identical == [{"images": ["test/x/copy.png", "train/x/0.png"], "labels": ["x"], "splits": ["test", "train"]}]
    assert near == [{"images": ["test/y/again.png", "train/y/0.png"], "labels": ["y"], "splits": ["test", "train"]}]
    assert len(found["problems"]) == 2


def test_a_picture_that_memory_does_not_hold_is_unreadable(
    leaky: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def decode(path: Path, bits: int) -> Any:
        if path.name == "page.jpg":
            raise MemoryError
        return decoding.decode(path, bits)

    monkeypatch.setattr("edgetl.data.survey.decode", decode)
    code, found, _ = _check(monkeypatch, capsys, "--data", f"folder:{leaky}")
    assert code == 2
    assert found["unreadable"][1] == {"image": "val/z/page.jpg", "reason": "needs more memory than there is"}


def test_near_duplicates_alone_are_no_reason_to_stop(
    leaky: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("test/x/copy.png", "train/z/empty.png", "val/z/page.jpg"):
        (leaky / path).unlink()
    code, found, err = _check(monkeypatch, capsys, "--data", f"folder:{leaky}")
    assert (code, found["problems"], len(found["leaks"]["near"])) == (0, [], 1)
    assert "error" not in err


def test_a_recipe_says_what_is_looked_at(
    leaky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    data = {"kind": "folder", "root": str(leaky), "labels": {"y": "x"}, "exclude": ["*/copy.png", "*/empty.png"]}
    recipe = tmp_path / "r.yaml"
    recipe.write_text(json.dumps({"name": "r", "data": data}))
    code, found, _ = _check(monkeypatch, capsys, recipe)
    assert code == 2
    assert found["classes"] == {"x": 19, "z": 10}
    assert [one["image"] for one in found["unreadable"]] == ["val/z/page.jpg"]
    assert found["leaks"]["identical"] == []


def test_columns_of_a_table_without_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        _put(tmp_path / f"{number}.png", picture(number))
    rows = "".join(f"{number}.png,{'ab'[number % 2]},P{number}\n" for number in range(6))
    (tmp_path / "t.csv").write_text(f"bild,befund,patient\n{rows}")
    code, _, err = _check(monkeypatch, capsys, "--data", f"csv:{tmp_path}/t.csv")
    assert code == 2
    assert "--columns label=befund" in err
    code, found, _ = _check(monkeypatch, capsys, "--data", f"csv:{tmp_path}", "--columns", "label=befund, path=bild,")
    assert (code, found["classes"], found["groups"]) == (0, {"a": 3, "b": 3}, 6)
    for words, said in (
        (("r.yaml", "--columns", "label=finding"), "--columns is for --data"),
        (("--data", "folder:x", "--columns", "label=finding"), "only a csv has them"),
        (("--data", f"csv:{tmp_path}", "--columns", "label"), "expected NAME=VALUE"),
    ):
        code, _, err = _check(monkeypatch, capsys, *words)
        assert (code, said in err) == (2, True), err


@pytest.mark.parametrize("words", [(), ("r.yaml", "--data", "folder:x"), ("--data", "folder:x", "--set", "seed=1")])
def test_a_recipe_or_data(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, err = _check(monkeypatch, capsys, *words)
    assert (code, found) == (2, None)
    assert err.startswith("error: ")


@pytest.mark.parametrize(("bits", "code"), [(8, 2), (10, 0), (None, 0)])
def test_bits_beside_data_count_as_in_a_recipe(
    bits: int | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 1000, (40, 40), dtype=np.uint16)).save(path)
    words = ("--set", f"data.bits={bits}") if bits else ()
    found, document, _ = _check(monkeypatch, capsys, "--data", f"folder:{tmp_path / 'data'}", *words)
    assert found == code
    assert len(document["unreadable"]) == (8 if code else 0)


def test_images_without_a_group_among_others_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number in range(12):
        _put(tmp_path / f"{number}.png", picture(number))
        rows.append(f"{number}.png,{'ab'[number % 2]},{f'P{number // 4}' if number < 8 else ''}")
    (tmp_path / "t.csv").write_text("path,label,patient\n" + "\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgetl", "check", "--data", f"csv:{tmp_path}/t.csv"])
        with pytest.raises(SystemExit):
            main()
    out = capsys.readouterr().out
    assert out.startswith("12 images, 6 groups, 2 classes\n")
    assert "warning: 4 images have no group and count as one each" in out
    assert "nothing says which" not in out


def test_targets_are_told_what_becomes_of_the_rehearsals_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgetl import pipeline

    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)
    swish, conv = Kind("HARD_SWISH", "int8", "int8", False, ""), Kind("CONV_2D", "int8", "int8", True, "")
    graph = graph_of([(conv, [], 100, 10**6), (swish, [0], 100, 0), (conv, [1], 100, 10**6)])
    files = [
        ("tflite-int8", None, graph),
        ("onnx-int8", "onnx-int8: no", None),
        ("tflite-fp32", None, graph),
        ("onnx-fp32", None, graph),
    ]
    rehearsed = Rehearsal((), None, tuple(RehearsedFile(n, 1.0, 1, None, p, g) for n, p, g in files), 1.0, None)
    monkeypatch.setattr(pipeline, "rehearse", lambda *_: rehearsed)
    for number in range(24):
        _put(tmp_path / "data" / "xy"[number % 2] / f"{number}.png", picture(number))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: x\ndata: {kind: folder, root: data, image_size: 32}\nexport: [tflite-fp32, tflite-int8, onnx-int8]\n"
    )
    code, found, _ = _check(monkeypatch, capsys, recipe, "--target", "local_cpu", "--target", "ethos_u")
    assert code == 0
    assert found["rehearsal"] is None
    here, npu = found["lint"]
    assert [here["target"], here["kind"], npu["target"], npu["kind"]] == ["local_cpu", "local", "ethos_u", "ethos_u"]
    predicted = {each["artifact"]: each for each in here["artifacts"]}
    assert set(predicted) == {"tflite-int8", "tflite-fp32", "onnx-int8"}
    int8 = predicted["tflite-int8"]
    assert (int8["rules"], int8["pieces"], int8["integer_only"]) == ("xnnpack", 2, "no")
    assert [(each["operator"], each["verdict"], each["count"]) for each in int8["findings"]] == [
        ("HARD_SWISH", "falls_back", 1)
    ]
    assert predicted["onnx-int8"]["operators"] == 0
    monkeypatch.setattr(
        sys, "argv", ["edgetl", "check", str(recipe), "--target", "local_cpu", "--target", "openvino_npu"]
    )
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert (
        "tflite-int8    2 of 2 layers in int8; 2 partitions; integer only: no; int8 expected to be FASTER than float32"
        in said
    )
    assert "falls back     1 x HARD_SWISH, int8 to int8: the delegate takes it in float32 only" in said
    assert "seen with ai-edge-litert 2.3.0; measured here by `python -m benchmarks.lint_probe`" in said
    assert "onnx-int8      unknown: its operators cannot be read" in said
    assert "tflite-int8    unknown: no rules for this backend there (3 operators)" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "folder:x", "--target", "local_cpu"), "--target is for a recipe"),
        (("RECIPE", "--target", "local_cpo"), "no target"),
    ],
)
def test_a_target_that_there_is_not_is_told_before_anything_is_looked_at(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\ndata: {kind: skin_phantom}\n")
    given = [str(tmp_path / "recipe.yaml") if word == "RECIPE" else word for word in words]
    code, _, err = _check(monkeypatch, capsys, *given)
    assert code == 2
    assert said in err
    assert not (tmp_path / ".edgetl").exists()
