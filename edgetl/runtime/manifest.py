"""`bundle.json`: what a bundle holds and how to use it. Written by the build, read by every device.

Typed with plain dataclasses, because a device has no pydantic. Reading is strict: an unknown or missing key, a wrong
type, a path that leaves the bundle or a name that is not there is an `IntegrityError` with its place. What a type cannot
say is in `consistency`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from . import labels as label_files
from .bundle_files import Place, digest, plain_file, siblings, size_of
from .consistency import NAME, check
from .errors import IntegrityError
from .preprocessing import Preprocessing
from .records import dataclass
from .strict import from_json, to_json

__all__ = ["NAME", "Artifact", "Golden", "Manifest", "OperatingPoint", "TensorSpec"]

SCHEMA = 1
MAX_BYTES = 16 * 2**20
"""A larger `bundle.json` is refused unread."""

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
    sha256: of that file; `Manifest.files` has the others'.
    companions: files that must lie beside it, such as OpenVINO's weights.
    bytes: of all these files together (of that one only in bundles that do not record golden labels).
    temperature: what the logits are divided by inside it.
    runtime_options: must be given to the runtime, or it computes something else.
    """

    name: str
    model: str
    backend: str
    precision: Precision
    path: str
    sha256: str
    bytes: int
    companions: tuple[str, ...] = ()
    temperature: float = 1.0
    runtime_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OperatingPoint:
    """From `threshold` on, `label`'s probability counts as positive: it reached `sensitivity` on the split `split`.

    threshold: in [0, 1]. sensitivity: in (0, 1].
    """

    artifact: str
    label: str
    sensitivity: float
    threshold: float
    split: str = "val"

    @property
    def flag(self) -> str:
        """How a prediction names it: "LABEL@SENSITIVITY"."""
        return f"{self.label}@{self.sensitivity:.2f}"


@dataclass(frozen=True)
class Golden:
    """Known inputs and outputs, to see whether a device computes what was computed here.

    images: picture files.
    tensors: .npy uint8 [N, H, W, 3], those pictures preprocessed.
    expected: .npy float32 [N, C] of each artefact.
    tolerance: largest allowed difference of a probability, in [0, 1), by precision.
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
    recommended: name of the artefact to take where nobody says another; None where none is, as in older bundles.
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
    recommended: str | None = None

    @classmethod
    def load(cls, bundle: Place) -> Manifest:
        """Read and check `bundle.json` in the folder `bundle`, and hold its labels against the bundle's files of labels.

        Other files are looked at when they are used (`intact`), or all of them by `verifying`.

        Raises:
            IntegrityError: missing, not JSON, not what this version expects, or the labels contradict each other.
        """
        manifest = cls.read(bundle)
        for path in manifest.label_files:
            label_files.require_same(bundle, path, manifest.labels)
        return manifest

    @classmethod
    def read(cls, bundle: Place) -> Manifest:
        """As `load`, without the files of labels: for `verifying`, which names every fault, not the first."""
        path = os.path.join(bundle, NAME)
        if not os.path.lexists(path):
            raise IntegrityError("is not there", place=path, hint=f"a bundle is a folder with a {NAME} in it")
        plain_file(bundle, NAME)
        try:
            if os.path.getsize(path) > MAX_BYTES:
                raise IntegrityError(f"is larger than {MAX_BYTES} bytes", place=path)
            with open(path, encoding="utf-8") as file:
                content = json.load(file, object_pairs_hook=_no_twins, parse_constant=_no_constant)
        except OSError as exc:
            raise IntegrityError(f"cannot be read: {exc.strerror}", place=path) from exc
        except (ValueError, RecursionError) as exc:
            raise IntegrityError(f"is not JSON: {exc}", place=path) from exc
        return cls.from_json(content, place=path)

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
            check(manifest)
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

    @property
    def preferred(self) -> list[Artifact]:
        """The artefacts in their order, the recommended one first."""
        return sorted(self.artifacts, key=lambda artifact: artifact.name != self.recommended)

    @property
    def label_files(self) -> tuple[str, ...]:
        """Paths of the files that say again what `labels` says; the first bundles of schema 1 have only one."""
        return tuple(path for path in (label_files.NAME, label_files.GOLDEN) if path in self.files)

    def intact(self, bundle: Place, artifact: Artifact) -> str:
        """Where the model file of an artefact is, once no file of it differs from what was built.

        To be asked before a runtime opens it: runtimes load damaged files silently, and whatever lies beside them.

        Raises:
            IntegrityError: a file of it is missing, is a link or has changed, or an unlisted one lies beside it.
        """
        paths = (artifact.path, *artifact.companions)
        files = [plain_file(bundle, path) for path in paths]
        sizes = [size_of(file) for file in files]
        counted = sizes if label_files.GOLDEN in self.files else sizes[:1]
        if sum(counted) != artifact.bytes:
            raise _changed(files[0], f"has {sum(counted)} bytes with its companions, expected {artifact.bytes}")
        for path, file in zip(paths, files, strict=True):
            if (got := digest(file)) != self.files[path]:
                raise _changed(file, f"sha256 is {got[:12]}..., expected {self.files[path][:12]}...")
        folder = artifact.path.rpartition("/")[0]
        for name in siblings(files[0]):
            if (f"{folder}/{name}" if folder else name) not in self.files:
                beside = os.path.join(os.path.dirname(files[0]), name)
                raise _changed(beside, f"lies beside a model, is not listed in {NAME}, and could be loaded with it")
        return files[0]


def _changed(place: str, message: str) -> IntegrityError:
    return IntegrityError(message, place=place, hint="it changed after the build: copy the bundle again")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")
