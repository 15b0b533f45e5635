"""`bundle.json` survives a round trip, and nothing odd gets through."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.manifest import (
    Artifact,
    Golden,
    Manifest,
    OperatingPoint,
    TensorSpec,
)
from edgetl.runtime.preprocessing import Preprocessing, Resize

DIGEST = "ab" * 32
MODEL = "models/student.fp32.xml"
WEIGHTS = "models/student.fp32.bin"
FILES = (MODEL, WEIGHTS, "golden/0.png", "golden/tensors.npy", "golden/student.npy", "labels.txt")


def manifest() -> Manifest:
    return Manifest(
        edgetl="0.1.0",
        name="skin",
        labels=("mel", "nv"),
        inputs=(TensorSpec("image", (1, 64, 64, 3), "uint8", "NHWC", "RGB, 0..255"),),
        outputs=(TensorSpec("probabilities", (1, 2), "float32", "NC", "one a label"),),
        preprocessing=Preprocessing(Resize("crop", "bilinear", 64, 64)),
        artifacts=(
            Artifact(
                name="student.fp32.openvino",
                model="student",
                backend="openvino",
                precision="fp32",
                path=MODEL,
                sha256=DIGEST,
                bytes=1234,
                companions=(WEIGHTS,),
                temperature=1.25,
                runtime_options={"INFERENCE_PRECISION_HINT": "f32"},
            ),
        ),
        operating_points=(OperatingPoint("student.fp32.openvino", "mel", 0.9, 0.125),),
        golden=Golden(
            images=("golden/0.png",),
            tensors="golden/tensors.npy",
            expected={"student.fp32.openvino": "golden/student.npy"},
            tolerance={"fp32": 1e-4},
        ),
        stand_in="skin_phantom",
        files=dict.fromkeys(FILES, DIGEST),
        provenance={"seed": 0, "tools": {"torch": "2.13"}},
    )


def write(folder: Path, text: str) -> Path:
    (folder / "bundle.json").write_text(text, "utf-8")
    return folder


def test_a_round_trip_through_json_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(manifest().to_json()))
    assert Manifest.load(tmp_path) == manifest()


def test_the_contract_names_its_fields() -> None:
    content = manifest().to_json()
    assert content["schema"] == 1
    assert content["task"] == "classify"
    assert content["preprocessing"] == {
        "color": "RGB",
        "orientation": "exif",
        "resize": {"mode": "crop", "kernel": "bilinear", "height": 64, "width": 64},
        "inside_graph": {"offset": 128, "divisor": 128},
    }
    assert content["inputs"][0]["shape"] == [1, 64, 64, 3]


def test_artefacts_are_found_by_name() -> None:
    assert manifest().artifact("student.fp32.openvino").path == MODEL
    with pytest.raises(IntegrityError, match=r"no artefact 'x'[\s\S]*student\.fp32\.openvino"):
        manifest().artifact("x")


def put(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        inner: Any = content
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(key)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "schema": (put("schema", value=2), "schema is 2, expected 1"),
    "no schema": (drop("schema"), "schema is None"),
    "unknown field": (put("artifacts", 0, "speed", value=1), r"artifacts\[0\]\.speed: is not a known field"),
    "missing field": (drop("golden"), "golden: is missing"),
    "wrong type": (put("labels", value="mel"), "labels: got 'mel', expected a list"),
    "bool for int": (put("artifacts", 0, "bytes", value=True), r"artifacts\[0\]\.bytes: got True, expected int"),
    "whole float for int": (put("inputs", 0, "shape", value=[1.0, 64, 64, 3]), r"shape\[0\]: got 1\.0, expected int"),
    "infinite": (put("operating_points", 0, "threshold", value=float("inf")), "threshold: got inf"),
    "beyond floats": (put("operating_points", 0, "threshold", value=10**400), "threshold: got 1000"),
    "unknown backend": (put("artifacts", 0, "backend", value="coreml"), "backend: got 'coreml', expected one of"),
    "shape against resize": (put("preprocessing", "resize", "height", value=32), r"expected uint8 \[1, 32, 64, 3\]"),
    "empty size": (put("preprocessing", "resize", "height", value=0), "must be positive"),
    "labels against shape": (put("labels", value=["a", "b", "c"]), r"expected float32 \[1, 3\]"),
    "twin labels": (put("labels", value=["a", "a"]), "distinct"),
    "unlisted artefact": (put("artifacts", 0, "path", value="models/other.xml"), "differs from files"),
    "other hash": (put("artifacts", 0, "sha256", value="cd" * 32), "differs from files"),
    "unlisted companion": (put("artifacts", 0, "companions", value=["x.bin"]), r"companions: 'x\.bin' is not among"),
    "unlisted golden": (put("golden", "tensors", value="t.npy"), r"golden: 't\.npy' is not among"),
    "no tolerance": (put("golden", "tolerance", value={}), "nothing for precision 'fp32'"),
    "stranger's outputs": (put("golden", "expected", value={"x": "labels.txt"}), "'x' is not among"),
    "stranger's label": (put("operating_points", 0, "label", value="df"), "'df' is not among"),
    "not a hash": (put("files", "labels.txt", value="AB" * 32), "not a sha256"),
    "itself": (put("files", "bundle.json", value=DIGEST), "cannot list itself"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named(change: Callable[[dict[str, Any]], None], message: str) -> None:
    content = copy.deepcopy(manifest().to_json())
    change(content)
    with pytest.raises(IntegrityError, match=message) as caught:
        Manifest.from_json(content)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\\b", "C:x", "", "a/", "a\0b", "models/."]
)
def test_no_path_leaves_the_bundle(path: str) -> None:
    content = copy.deepcopy(manifest().to_json())
    content["files"][path] = DIGEST
    with pytest.raises(IntegrityError, match="not a plain relative path"):
        Manifest.from_json(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": 1, "schema": 1}', "a key appears twice"),
        ('{"schema": NaN}', "NaN is not a number"),
        ("[]", "expected an object"),
    ],
)
def test_what_is_no_manifest_is_an_integrity_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        Manifest.load(write(tmp_path, text))
    assert caught.value.place == str(tmp_path / "bundle.json")


def test_a_folder_that_is_no_bundle_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="a bundle is a folder"):
        Manifest.load(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IntegrityError, match="is not JSON"):
        Manifest.load(tmp_path)
