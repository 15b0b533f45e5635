"""A whole bundle whose two artefacts need no inference runtime: what is tested is the bundle around them.

An artefact is a JSON file with one bias a class, `blue.json` keeps its own in a companion; the probabilities are the softmax
of the picture's mean red, green and blue plus the biases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.sessions import SIZE, FakeSession, stub
from PIL import Image

from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact, Golden, Manifest, OperatingPoint, TensorSpec
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

LABELS = ("mel", "nv", "bkl")
PREPROCESSING = Preprocessing(Resize("crop", "bilinear", SIZE, SIZE))


def install(monkeypatch: pytest.MonkeyPatch, opened: list[FakeSession] | None = None) -> None:
    """Let the fake stand in for ONNX Runtime and OpenVINO; sessions that are opened are appended to `opened`."""

    def open_session(path: Path, threads: int, options: Mapping[str, str]) -> FakeSession:
        session = FakeSession(path, threads, options)
        if opened is not None:
            opened.append(session)
        return session

    for backend in ("onnx", "openvino"):
        monkeypatch.setitem(BACKENDS, backend, stub(backend, open_session))


def write(folder: Path) -> Path:
    """A good bundle: `red` (onnx, int8) and `blue` (openvino, fp32, with a companion), two golden pictures."""
    for name in ("models", "golden"):
        (folder / name).mkdir(parents=True)
    for label_file in ("labels.txt", "golden/labels.txt"):
        (folder / label_file).write_text("mel\nnv\nbkl\n", newline="\n")
    (folder / "MODEL_CARD.md").write_text("# Card\n")
    (folder / "models/red.json").write_text('{"bias": [1, 0, 0]}')
    (folder / "models/blue.json").write_text("{}")
    (folder / "models/blue.bin").write_text("[0, 0, 1]")
    random = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(random.integers(0, 256, (6, 9, 3), np.uint8)).save(folder / f"golden/{number}.png")
    tensors = np.stack([preprocess(folder / f"golden/{number}.png", PREPROCESSING) for number in range(2)])
    np.save(folder / "golden/tensors.npy", tensors)
    for name in ("red", "blue"):
        session = FakeSession(folder / f"models/{name}.json", 1, {})
        np.save(folder / f"golden/{name}.npy", np.concatenate([session.run(tensor[None]) for tensor in tensors]))
    (folder / "bundle.json").write_text(json.dumps(_manifest(folder).to_json()))
    return folder


def _manifest(folder: Path) -> Manifest:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}

    def artifact(name: str, backend: Any, precision: Any, *companions: str) -> Artifact:
        path = f"models/{name}.json"
        size = sum((folder / file).stat().st_size for file in (path, *companions))
        return Artifact(name, "student", backend, precision, path, files[path], size, companions, 1.5, {"hint": name})

    return Manifest(
        name="tiny",
        labels=LABELS,
        inputs=(TensorSpec("image", (1, SIZE, SIZE, 3), "uint8", "NHWC", "RGB"),),
        outputs=(TensorSpec("probabilities", (1, 3), "float32", "NC", "one a label"),),
        preprocessing=PREPROCESSING,
        artifacts=(
            artifact("red", "onnx", "int8"),
            artifact("blue", "openvino", "fp32", "models/blue.bin"),
        ),
        operating_points=(OperatingPoint("red", "mel", 0.9, 0.25), OperatingPoint("blue", "mel", 0.9, 1.0)),
        golden=Golden(
            images=("golden/0.png", "golden/1.png"),
            tensors="golden/tensors.npy",
            expected={"red": "golden/red.npy", "blue": "golden/blue.npy"},
            tolerance={"fp32": 1e-4, "int8": 0.05},
        ),
        stand_in=None,
        files=files,
        provenance={"seed": 0},
        edgetl="0.1.0",
    )


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change what `bundle.json` says."""
    content = json.loads((bundle / "bundle.json").read_text())
    change(content)
    (bundle / "bundle.json").write_text(json.dumps(content))
    return bundle


def rehash(bundle: Path, *paths: str) -> Path:
    """Make the manifest agree with changed files, so that only their meaning is wrong."""

    def change(content: dict[str, Any]) -> None:
        for path in paths:
            content["files"][path] = sha256(bundle / path)
        for artifact in content["artifacts"]:
            artifact["sha256"] = content["files"][artifact["path"]]
            files = [bundle / path for path in (artifact["path"], *artifact["companions"])]
            artifact["bytes"] = sum(file.stat().st_size for file in files)

    return edit(bundle, change)


def as_first_written(bundle: Path) -> Path:
    """The form in which edgetl wrote bundles at first: no labels of golden outputs, `bytes` of the model file alone."""
    (bundle / "golden/labels.txt").unlink()

    def change(content: dict[str, Any]) -> None:
        del content["files"]["golden/labels.txt"]
        for artifact in content["artifacts"]:
            artifact["bytes"] = (bundle / artifact["path"]).stat().st_size

    return edit(bundle, change)


def sha256(path: Path) -> str:
    """In hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
