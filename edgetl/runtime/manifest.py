"""`bundle.json`: what a bundle holds and how to use it. Written by the build, read by every device.

Typed with plain dataclasses, because a device has no pydantic. Reading is strict: an unknown or missing key, a wrong
type, a path that leaves the bundle or a name that is not there is an `IntegrityError` with its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import IntegrityError
from .preprocessing import Preprocessing
from .strict import from_json, to_json

NAME = "bundle.json"
SCHEMA = 1
MAX_BYTES = 16 * 2**20
"""A larger `bundle.json` is refused unread."""

Backend = Literal["onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "int8", "int8w"]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of every artefact: name, shape with the batch, numpy dtype, layout ("NHWC"), meaning."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    meaning: str


@dataclass(frozen=True)
class Artifact:
    """One model file.

    model: which network it was made from (student, pruned, ...).
    path: the file a runtime opens, relative to the bundle.
    sha256, bytes: of that file; `Manifest.files` has the others.
    companions: files that must lie beside it, such as OpenVINO's weights.
    temperature: what the logits are divided by inside it.
    runtime_options: must be given to the runtime, or it computes something else.
    """

    name: str
    model: str
    backend: Backend
    precision: Precision
    path: str
    sha256: str
    bytes: int
    companions: tuple[str, ...] = ()
    temperature: float = 1.0
    runtime_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OperatingPoint:
    """From `threshold` on, `label`'s probability counts as positive: it reached `sensitivity` on the split `split`."""

    artifact: str
    label: str
    sensitivity: float
    threshold: float
    split: str = "val"


@dataclass(frozen=True)
class Golden:
    """Known inputs and outputs, to see whether a device computes what was computed here.

    images: picture files.
    tensors: .npy uint8 [N, H, W, 3], those pictures preprocessed.
    expected: .npy float32 [N, C] of each artefact.
    tolerance: largest allowed difference of a probability, by precision.
    """

    images: tuple[str, ...]
    tensors: str
    expected: Mapping[str, str]
    tolerance: Mapping[str, float]


@dataclass(frozen=True)
class Manifest:
    """The whole of `bundle.json`.

    edgetl: version that wrote it. stand_in: name of the data set that stood in for the real one, or None.
    files: sha256 of every other file of the bundle by its path. provenance: JSON, for people.
    """

    name: str
    labels: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Preprocessing
    artifacts: tuple[Artifact, ...]
    operating_points: tuple[OperatingPoint, ...]
    golden: Golden
    stand_in: str | None
    files: Mapping[str, str]
    provenance: Mapping[str, Any]
    edgetl: str
    task: Literal["classify"] = "classify"
    schema: Literal[1] = 1

    @classmethod
    def load(cls, bundle: Path) -> Manifest:
        """Read and check `bundle.json` in the folder `bundle`; files are looked at by `verifying`, not here.

        Raises:
            IntegrityError: missing, not JSON, or not what this version expects.
        """
        path = bundle / NAME
        try:
            if path.stat().st_size > MAX_BYTES:
                raise IntegrityError(f"is larger than {MAX_BYTES} bytes", place=str(path))
            content = json.loads(path.read_text("utf-8"), object_pairs_hook=_no_twins, parse_constant=_no_constant)
        except OSError as exc:
            raise IntegrityError(
                f"cannot be read: {exc.strerror}", place=str(path), hint="a bundle is a folder with a bundle.json in it"
            ) from exc
        except (ValueError, RecursionError) as exc:
            raise IntegrityError(f"is not JSON: {exc}", place=str(path)) from exc
        return cls.from_json(content, place=str(path))

    @classmethod
    def from_json(cls, content: object, place: str = NAME) -> Manifest:
        """The typed form of parsed JSON, checked.

        Raises:
            IntegrityError: at `place`, naming the field.
        """
        if isinstance(content, dict) and content.get("schema") != SCHEMA:
            raise IntegrityError(
                f"schema is {content.get('schema')!r}, expected {SCHEMA}",
                place=place,
                hint="this bundle needs another version of edgetl",
            )
        try:
            manifest: Manifest = from_json(cls, content)
            _check(manifest)
        except ValueError as exc:
            raise IntegrityError(str(exc), place=place) from exc
        return manifest

    def to_json(self) -> dict[str, Any]:
        """JSON values, all fields written out; `from_json` gives an equal manifest back."""
        content: dict[str, Any] = to_json(self)
        return content

    def artifact(self, name: str) -> Artifact:
        """The artefact of that name.

        Raises:
            IntegrityError: there is none; the hint lists those there are.
        """
        for artifact in self.artifacts:
            if artifact.name == name:
                return artifact
        raise IntegrityError(
            f"the bundle has no artefact {name!r}", hint=f"it has: {', '.join(a.name for a in self.artifacts)}"
        )


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _check(manifest: Manifest) -> None:
    """What types cannot say; ValueError with the field."""
    names = [artifact.name for artifact in manifest.artifacts]
    _distinct("artifacts", names)
    _distinct("labels", list(manifest.labels))
    _edges(manifest)
    for point in manifest.operating_points:
        _among(f"operating_points of {point.label!r}", point.artifact, names)
        _among("operating_points", point.label, manifest.labels)
    for name in manifest.golden.expected:
        _among("golden.expected", name, names)
    for path, digest in manifest.files.items():
        _inside("files", path)
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"files[{path!r}]: {digest!r} is not a sha256 in lower-case hexadecimal")
    for artifact in manifest.artifacts:
        place = f"artifacts[{artifact.name!r}]"
        if manifest.files.get(artifact.path) != artifact.sha256:
            raise ValueError(f"{place}.sha256: differs from files[{artifact.path!r}]")
        if artifact.temperature <= 0 or artifact.bytes <= 0:
            raise ValueError(f"{place}: temperature and bytes must be positive")
        for path in artifact.companions:
            _among(f"{place}.companions", path, manifest.files)
        if artifact.precision not in manifest.golden.tolerance:
            raise ValueError(f"golden.tolerance: nothing for precision {artifact.precision!r} of {place}")
    for path in (*manifest.golden.images, manifest.golden.tensors, *manifest.golden.expected.values()):
        _among("golden", path, manifest.files)


def _edges(manifest: Manifest) -> None:
    if len(manifest.inputs) != 1 or len(manifest.outputs) != 1:
        raise ValueError("inputs, outputs: task classify has one of each")
    height, width = manifest.preprocessing.resize.height, manifest.preprocessing.resize.width
    if height < 1 or width < 1 or manifest.preprocessing.inside_graph.divisor == 0:
        raise ValueError("preprocessing: height and width must be positive, divisor not zero")
    if manifest.inputs[0].shape != (1, height, width, 3) or manifest.inputs[0].dtype != "uint8":
        raise ValueError(f"inputs[0]: expected uint8 [1, {height}, {width}, 3], the size that preprocessing makes")
    if manifest.outputs[0].shape != (1, len(manifest.labels)) or manifest.outputs[0].dtype != "float32":
        raise ValueError(f"outputs[0]: expected float32 [1, {len(manifest.labels)}], one probability a label")


def _inside(place: str, path: str) -> None:
    """Only plain relative POSIX paths: the same file on every system, and never one outside the bundle."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or ":" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{place}: {path!r} is not a plain relative path inside the bundle")
    if path == NAME:
        raise ValueError(f"{place}: {NAME} cannot list itself")


def _distinct(place: str, names: list[str]) -> None:
    if not names or "" in names or len(set(names)) != len(names):
        raise ValueError(f"{place}: names must be there, not empty and distinct, got {names}")


def _among(place: str, name: str, known: Any) -> None:
    if name not in known:
        raise ValueError(f"{place}: {name!r} is not among {sorted(known)[:20]}")
