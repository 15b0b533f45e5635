"""What the types of a manifest cannot say: its parts must agree with each other. Nothing here looks at a disk."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import labels as label_files
from .backends import BACKENDS
from .depth import FEWEST_BITS, MOST_BITS

if TYPE_CHECKING:
    from .manifest import Artifact, Golden, Manifest

NAME = "bundle.json"
_PURPOSE = ("models/", "golden/")
"""Folders that hold nothing without a purpose; a licence or a note may lie elsewhere."""

_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's kinds of line ends, and of what moves a terminal's cursor."""


def check(manifest: Manifest) -> None:
    """Raise ValueError with the field where two parts of a manifest contradict each other."""
    _labels(manifest.labels)
    _ends(manifest)
    _files(manifest)
    _distinct("artifacts", [artifact.name for artifact in manifest.artifacts])
    if manifest.recommended is not None:
        _among("recommended", manifest.recommended, {artifact.name for artifact in manifest.artifacts})
    for artifact in manifest.artifacts:
        _artifact(f"artifacts[{artifact.name!r}]", artifact, manifest)
    _operating_points(manifest)
    _golden(manifest.golden, manifest)
    _purposes(manifest)


def _labels(labels: Sequence[str]) -> None:
    _distinct("labels", labels)
    for label in labels:
        if any(unicodedata.category(letter) in _CONTROLS for letter in label):
            raise ValueError(f"labels: {label!r} is no line of text, and {label_files.NAME} holds one a line")


def _ends(manifest: Manifest) -> None:
    if len(manifest.inputs) != 1 or len(manifest.outputs) != 1:
        raise ValueError("inputs, outputs: task classify has one of each")
    height, width = manifest.preprocessing.resize.height, manifest.preprocessing.resize.width
    if height < 1 or width < 1 or manifest.preprocessing.inside_graph.divisor == 0:
        raise ValueError("preprocessing: height and width must be positive, divisor not zero")
    if not FEWEST_BITS <= manifest.preprocessing.bits <= MOST_BITS:
        raise ValueError(
            f"preprocessing.bits: got {manifest.preprocessing.bits}, expected {FEWEST_BITS} to {MOST_BITS}"
        )
    (image,), (probabilities,) = manifest.inputs, manifest.outputs
    if (image.dtype, image.layout, image.shape) != ("uint8", "NHWC", (1, height, width, 3)):
        raise ValueError(f"inputs[0]: expected uint8 NHWC [1, {height}, {width}, 3], the size that preprocessing makes")
    classes = len(manifest.labels)
    if (probabilities.dtype, probabilities.layout, probabilities.shape) != ("float32", "NC", (1, classes)):
        raise ValueError(f"outputs[0]: expected float32 NC [1, {classes}], one probability a label")


def _files(manifest: Manifest) -> None:
    for path, digest in manifest.files.items():
        _inside("files", path)
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"files[{path!r}]: {digest!r} is not a sha256 in lower-case hexadecimal")
    if label_files.NAME not in manifest.files:
        raise ValueError(f"files: {label_files.NAME} is missing")


def _artifact(place: str, artifact: Artifact, manifest: Manifest) -> None:
    if artifact.backend not in BACKENDS:
        raise ValueError(f"{place}.backend: got {artifact.backend!r}, expected one of {', '.join(BACKENDS)}")
    if manifest.files.get(artifact.path) != artifact.sha256:
        raise ValueError(f"{place}.sha256: differs from files[{artifact.path!r}]")
    if artifact.temperature <= 0 or artifact.bytes <= 0:
        raise ValueError(f"{place}: temperature and bytes must be positive")
    _distinct(f"{place}: path, companions", [artifact.path, *artifact.companions])
    for path in artifact.companions:
        _among(f"{place}.companions", path, manifest.files)
        if path.rpartition("/")[0] != artifact.path.rpartition("/")[0]:
            raise ValueError(f"{place}.companions: {path!r} does not lie beside {artifact.path!r}")
    if artifact.precision not in manifest.golden.tolerance:
        raise ValueError(f"golden.tolerance: nothing for precision {artifact.precision!r} of {place}")
    if artifact.name not in manifest.golden.expected:
        raise ValueError(f"golden.expected: nothing for {place}")


def _operating_points(manifest: Manifest) -> None:
    names = {artifact.name for artifact in manifest.artifacts}
    for point in manifest.operating_points:
        place = f"operating_points of {point.label!r}"
        _among(place, point.artifact, names)
        _among("operating_points", point.label, manifest.labels)
        if not 0.0 <= point.threshold <= 1.0 or not 0.0 < point.sensitivity <= 1.0:
            raise ValueError(f"{place}: threshold must lie in [0, 1], sensitivity in (0, 1]")
    counts = Counter((point.artifact, point.flag) for point in manifest.operating_points)
    for (artifact, flag), count in counts.items():
        if count > 1:
            raise ValueError(f"operating_points: {flag!r} of {artifact!r} is there {count} times")


def _golden(golden: Golden, manifest: Manifest) -> None:
    _distinct("golden.images", golden.images)
    for path in (*golden.images, golden.tensors, *golden.expected.values()):
        _among("golden", path, manifest.files)
    for name in golden.expected:
        _among("golden.expected", name, {artifact.name for artifact in manifest.artifacts})
    for precision, tolerance in golden.tolerance.items():
        if not 0.0 <= tolerance < 1.0:  # from 1 on everything would pass
            raise ValueError(f"golden.tolerance[{precision!r}]: is {tolerance}, expected at least 0 and less than 1")


def _purposes(manifest: Manifest) -> None:
    golden = manifest.golden
    used = {label_files.GOLDEN, *golden.images, golden.tensors, *golden.expected.values()}
    used |= {path for artifact in manifest.artifacts for path in (artifact.path, *artifact.companions)}
    for path in manifest.files:
        if path.startswith(_PURPOSE) and path not in used:
            raise ValueError(f"files: {path!r} belongs to no artefact and to no golden picture")


def _inside(place: str, path: str) -> None:
    """Only plain relative POSIX paths: the same file on every system, and never one outside the bundle."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or ":" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{place}: {path!r} is not a plain relative path inside the bundle")
    if path == NAME:
        raise ValueError(f"{place}: {NAME} cannot list itself")


def _distinct(place: str, names: Sequence[str]) -> None:
    if not names or "" in names or len(set(names)) != len(names):
        raise ValueError(f"{place}: names must be there, not empty and distinct, got {list(names)}")


def _among(place: str, name: str, known: Any) -> None:
    if name not in known:
        raise ValueError(f"{place}: {name!r} is not among {sorted(known)[:20]}")
