"""`bundle.json` survives a round trip, and nothing odd gets through."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.manifest import MAX_BYTES, Artifact, Golden, Manifest, OperatingPoint, TensorSpec
from edgetl.runtime.preprocessing import InsideGraph, Preprocessing, Resize

DIGEST = "ab" * 32
MODEL = "models/student.fp32.xml"
WEIGHTS = "models/student.fp32.bin"
FILES = (MODEL, WEIGHTS, "golden/0.png", "golden/tensors.npy", "golden/student.npy", "golden/labels.txt", "labels.txt")


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
    assert Manifest.read(tmp_path) == manifest()


def test_the_contract_names_its_fields() -> None:
    content = manifest().to_json()
    assert content["schema"] == 1
    assert content["task"] == "classify"
    assert content["preprocessing"] == {
        "color": "RGB",
        "orientation": "exif",
        "bits": 16,
        "resize": {"mode": "crop", "kernel": "bilinear", "height": 64, "width": 64},
        "inside_graph": {"offset": 128, "divisor": 128},
    }
    assert content["inputs"][0]["shape"] == [1, 64, 64, 3]


def test_what_may_be_left_out_has_the_plain_meaning() -> None:
    content = manifest().to_json()
    for key in ("companions", "temperature", "runtime_options"):
        del content["artifacts"][0][key]
    del content["operating_points"][0]["split"], content["task"], content["preprocessing"]["inside_graph"]
    del content["files"][WEIGHTS], content["preprocessing"]["bits"]
    read = Manifest.from_json(content)
    artifact = read.artifacts[0]
    assert (artifact.companions, artifact.temperature, artifact.runtime_options) == ((), 1.0, {})
    assert (read.operating_points[0].split, read.task) == ("val", "classify")
    assert read.preprocessing.bits == 16
    assert read.preprocessing.inside_graph == InsideGraph(offset=128, divisor=128)


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


def sized(**sides: int) -> Callable[[dict[str, Any]], None]:
    """Another size, of which input and preprocessing agree."""

    def change(content: dict[str, Any]) -> None:
        resize = content["preprocessing"]["resize"]
        resize.update(sides)
        content["inputs"][0]["shape"][1:3] = [resize["height"], resize["width"]]

    return change


def twice(key: str, **others: Any) -> Callable[[dict[str, Any]], None]:
    """The first item of a list again, with other fields."""
    return lambda content: content[key].append({**content[key][0], **others})


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
    "shape against resize": (
        put("preprocessing", "resize", "height", value=32),
        r"expected uint8 NHWC \[1, 32, 64, 3\]",
    ),
    "shape against width": (put("preprocessing", "resize", "width", value=63), r"expected uint8 NHWC \[1, 64, 63, 3\]"),
    "no height": (sized(height=0), "height and width must be positive"),
    "no width": (sized(width=0), "height and width must be positive"),
    "no divisor": (put("preprocessing", "inside_graph", "divisor", value=0), "divisor not zero"),
    "too few bits": (put("preprocessing", "bits", value=7), r"preprocessing\.bits: got 7, expected 8 to 16"),
    "too many bits": (put("preprocessing", "bits", value=17), r"preprocessing\.bits: got 17, expected 8 to 16"),
    "half a bit": (put("preprocessing", "bits", value=12.5), r"preprocessing\.bits: got 12\.5, expected int"),
    "two inputs": (lambda content: content["inputs"].append(content["inputs"][0]), "has one of each"),
    "no output": (put("outputs", value=[]), "has one of each"),
    "two outputs": (lambda content: content["outputs"].append(content["outputs"][0]), "has one of each"),
    "float input": (put("inputs", 0, "dtype", value="float32"), r"inputs\[0\]: expected uint8"),
    "planes": (put("inputs", 0, "layout", value="NCHW"), r"inputs\[0\]: expected uint8 NHWC"),
    "two pictures": (put("inputs", 0, "shape", value=[2, 64, 64, 3]), r"inputs\[0\]: expected uint8"),
    "grey": (put("inputs", 0, "shape", value=[1, 64, 64, 1]), r"inputs\[0\]: expected uint8"),
    "int8 output": (put("outputs", 0, "dtype", value="int8"), r"outputs\[0\]: expected float32"),
    "output layout": (put("outputs", 0, "layout", value="CN"), r"outputs\[0\]: expected float32 NC"),
    "fewer outputs": (put("outputs", 0, "shape", value=[1, 1]), r"expected float32 NC \[1, 2\]"),
    "labels against shape": (put("labels", value=["a", "b", "c"]), r"expected float32 NC \[1, 3\]"),
    "twin labels": (put("labels", value=["a", "a"]), "distinct"),
    "no labels": (put("labels", value=[]), "labels: names must be there"),
    "nameless label": (put("labels", value=["mel", ""]), "labels: names must be .* not empty"),
    "label of two lines": (put("labels", value=["mel", "n\nv"]), r"'n\\nv' is no line of text"),
    "no artefact": (put("artifacts", value=[]), "artifacts: names must be there"),
    "twin artefacts": (twice("artifacts"), "artifacts: names must be .* distinct"),
    "unlisted artefact": (put("artifacts", 0, "path", value="models/other.xml"), "differs from files"),
    "other hash": (put("artifacts", 0, "sha256", value="cd" * 32), "differs from files"),
    "no bytes": (put("artifacts", 0, "bytes", value=0), "bytes must be positive"),
    "no temperature": (put("artifacts", 0, "temperature", value=0.0), "temperature and bytes must be positive"),
    "unlisted companion": (put("artifacts", 0, "companions", value=["x.bin"]), r"companions: 'x\.bin' is not among"),
    "twin companions": (put("artifacts", 0, "companions", value=[WEIGHTS, WEIGHTS]), "path, companions: .* distinct"),
    "its own companion": (put("artifacts", 0, "companions", value=[MODEL]), "path, companions: .* distinct"),
    "companion elsewhere": (
        put("artifacts", 0, "companions", value=["labels.txt"]),
        r"'labels\.txt' does not lie beside 'models/student\.fp32\.xml'",
    ),
    "no golden pictures": (put("golden", "images", value=[]), r"golden\.images: names must be there"),
    "twin golden pictures": (put("golden", "images", value=["golden/0.png"] * 2), r"golden\.images: .* distinct"),
    "unlisted golden picture": (put("golden", "images", value=["1.png"]), r"golden: '1\.png' is not among"),
    "unlisted golden": (put("golden", "tensors", value="t.npy"), r"golden: 't\.npy' is not among"),
    "unlisted outputs": (
        put("golden", "expected", "student.fp32.openvino", value="t.npy"),
        r"golden: 't\.npy' is not among",
    ),
    "no outputs": (put("golden", "expected", value={}), r"golden\.expected: nothing for artifacts"),
    "stranger's outputs": (put("golden", "expected", "x", value="labels.txt"), r"golden\.expected: 'x' is not among"),
    "no tolerance": (put("golden", "tolerance", value={}), "nothing for precision 'fp32'"),
    "negative tolerance": (put("golden", "tolerance", "fp32", value=-1e-9), "expected at least 0 and less than 1"),
    "all tolerance": (put("golden", "tolerance", "int8", value=1.0), r"tolerance\['int8'\]: is 1\.0"),
    "stranger's label": (put("operating_points", 0, "label", value="df"), "'df' is not among"),
    "stranger's point": (
        put("operating_points", 0, "artifact", value="x"),
        "operating_points of 'mel': 'x' is not among",
    ),
    "threshold below": (put("operating_points", 0, "threshold", value=-1e-9), "threshold must lie in"),
    "threshold above": (put("operating_points", 0, "threshold", value=1 + 1e-9), "threshold must lie in"),
    "sensitivity below": (put("operating_points", 0, "sensitivity", value=0), "sensitivity in"),
    "sensitivity above": (put("operating_points", 0, "sensitivity", value=1 + 1e-9), "sensitivity in"),
    "twin points": (twice("operating_points"), r"'mel@0\.90' of 'student\.fp32\.openvino' is there 2 times"),
    "points that read alike": (twice("operating_points", sensitivity=0.904), "'mel@0.90' .* is there 2 times"),
    "not a hash": (put("files", "labels.txt", value="AB" * 32), "not a sha256"),
    "short hash": (put("files", "labels.txt", value="a" * 63), "not a sha256"),
    "long hash": (put("files", "labels.txt", value="a" * 65), "not a sha256"),
    "itself": (put("files", "bundle.json", value=DIGEST), "cannot list itself"),
    "no labels.txt": (lambda content: content["files"].pop("labels.txt"), r"files: labels\.txt is missing"),
    "a model of nobody": (put("files", "models/x.onnx", value=DIGEST), "'models/x.onnx' belongs to no artefact"),
    "a golden file of nobody": (put("files", "golden/x.npy", value=DIGEST), "'golden/x.npy' belongs to no"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named(change: Callable[[dict[str, Any]], None], message: str) -> None:
    content = copy.deepcopy(manifest().to_json())
    change(content)
    with pytest.raises(IntegrityError, match=message) as caught:
        Manifest.from_json(content)
    assert caught.value.exit_code == 5


ALLOWED: dict[str, Callable[[dict[str, Any]], None]] = {
    "one pixel": sized(height=1, width=1),
    "negative divisor": put("preprocessing", "inside_graph", "divisor", value=-1),
    "fewest bits": put("preprocessing", "bits", value=8),
    "most bits": put("preprocessing", "bits", value=16),
    "divisor of one": put("preprocessing", "inside_graph", "divisor", value=1),
    "no threshold at all": put("operating_points", 0, "threshold", value=0),
    "highest threshold": put("operating_points", 0, "threshold", value=1),
    "lowest sensitivity": put("operating_points", 0, "sensitivity", value=1e-9),
    "full sensitivity": put("operating_points", 0, "sensitivity", value=1),
    "another sensitivity": twice("operating_points", sensitivity=0.95),
    "another label": twice("operating_points", label="nv"),
    "no operating points": put("operating_points", value=[]),
    "exact": put("golden", "tolerance", "fp32", value=0),
    "nearly anything": put("golden", "tolerance", "fp32", value=1 - 1e-9),
    "one byte": put("artifacts", 0, "bytes", value=1),
    "hottest": put("artifacts", 0, "temperature", value=sys.float_info.max),
    "cold": put("artifacts", 0, "temperature", value=1e-9),
    "a note": put("files", "models.txt", value=DIGEST),
    "as first written": lambda content: content["files"].pop("golden/labels.txt"),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_the_last_value_that_is_right_is_allowed(change: Callable[[dict[str, Any]], None]) -> None:
    content = copy.deepcopy(manifest().to_json())
    change(content)
    assert Manifest.from_json(content).to_json() == content


def places(content: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """The path of each value in JSON, those of `provenance` left out, which may hold anything."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    paths = [path] if path else []
    for key, value in inner:
        paths += [] if path == ("provenance",) else places(value, *path, key)
    return paths


OTHERS: tuple[Any, ...] = (None, True, 7, 1.5, "x", [], {}, [None], {"x": None})


@pytest.mark.parametrize("place", places(manifest().to_json()), ids=lambda place: ".".join(map(str, place)))
def test_a_value_of_another_type_is_named(place: tuple[str | int, ...]) -> None:
    original: Any = manifest().to_json()
    for key in place:
        original = original[key]
    for other in OTHERS:
        kinds = (type(original), *((int,) if isinstance(original, float) else ()))
        if type(other) in kinds or (other is None and place == ("stand_in",)):
            continue
        content = copy.deepcopy(manifest().to_json())
        put(*place, value=other)(content)
        with pytest.raises(IntegrityError, match=rf"{place[0]}.*(got|expected|is not)"):
            Manifest.from_json(content)


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


@pytest.mark.parametrize(("size", "refused"), [(MAX_BYTES, False), (MAX_BYTES + 1, True)])
def test_a_huge_file_is_not_read(tmp_path: Path, size: int, refused: bool) -> None:
    write(tmp_path, json.dumps(manifest().to_json()).ljust(size))
    if refused:
        with pytest.raises(IntegrityError, match="is larger than 16777216 bytes"):
            Manifest.read(tmp_path)
    else:
        assert Manifest.read(tmp_path) == manifest()


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IntegrityError, match="is not JSON"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize("end", ["inputs", "outputs"])
@pytest.mark.parametrize("count", [0, 2])
def test_a_classifier_has_one_input_and_one_output(end: str, count: int) -> None:
    content = manifest().to_json()
    content[end] = content[end] * count
    with pytest.raises(IntegrityError, match="task classify has one of each"):
        Manifest.from_json(content)


def test_a_manifest_does_not_list_itself() -> None:
    content = manifest().to_json()
    content["files"]["bundle.json"] = DIGEST
    with pytest.raises(IntegrityError, match=r"bundle\.json cannot list itself"):
        Manifest.from_json(content)


@pytest.mark.parametrize("label", ["nv\n", "nv\x1b[2J", "nv\u2028"])
def test_a_label_is_a_line_of_text(label: str) -> None:
    content = manifest().to_json()
    content["labels"][1] = label
    with pytest.raises(IntegrityError, match="is no line of text"):
        Manifest.from_json(content)
