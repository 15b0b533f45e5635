"""Does this bundle, on this machine, compute what the build computed? Answered file by file and number by number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import labels as label_files
from .arrays import array
from .bundle_files import contents, digest, plain_file
from .errors import EdgetlError, IntegrityError, MissingRuntime
from .manifest import NAME, Artifact, Manifest
from .preprocessing import preprocess
from .sessions import open_artifact


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    artifact: the artefact it is about, or None for the bundle as a whole.
    check: files | labels | preprocessing | outputs.
    passed: None when something is not installed here, or the bundle does not record it; that is no pass.
    detail: what was seen.
    """

    artifact: str | None
    check: str
    passed: bool | None
    detail: str

    def to_json(self) -> dict[str, Any]:
        """The fields, with `skipped` spelled out."""
        return {**asdict(self), "skipped": self.passed is None}


def verify(bundle: Path, threads: int = 1) -> list[Check]:
    """All files by their hash, labels, golden pictures to their tensors, these to their outputs on every runtime.

    Args:
        bundle: the folder with `bundle.json`.
        threads: for the runtimes.

    Returns:
        Every check made; the bundle is good here if none has `passed` False and at least one "outputs" True.

    Raises:
        IntegrityError: `bundle.json` itself cannot be used, so there is nothing to check against.
    """
    manifest = Manifest.read(bundle)
    if faults := _file_faults(bundle, manifest):  # what follows would only restate them, on files nobody vouches for
        return [Check(None, "files", False, fault) for fault in faults]
    files = Check(None, "files", True, f"{len(manifest.files)} files have their sha256, none is unlisted")
    outputs = [_outputs(bundle, manifest, artifact, threads) for artifact in manifest.artifacts]
    return [files, *_labels(bundle, manifest), _preprocessing(bundle, manifest), *outputs]


def _file_faults(bundle: Path, manifest: Manifest) -> list[str]:
    faults = []
    for path, expected in manifest.files.items():
        try:
            if digest(plain_file(bundle, path)) != expected:
                faults.append(f"{path}: its sha256 is not the manifest's")
        except IntegrityError as exc:
            faults.append(f"{path}: {exc.message}")
    unlisted = sorted(set(contents(bundle)) - set(manifest.files) - {NAME})
    return faults + [f"{path}: is not listed in {NAME}" for path in unlisted]


def _labels(bundle: Path, manifest: Manifest) -> list[Check]:
    checks = []
    for path in manifest.label_files:
        try:
            label_files.require_same(bundle, path, manifest.labels)
            checks.append(Check(None, "labels", True, f"{path} names the {len(manifest.labels)} labels of {NAME}"))
        except IntegrityError as exc:
            checks.append(Check(None, "labels", False, f"{path}: {exc.message}"))
    if label_files.GOLDEN not in manifest.label_files:
        detail = f"not recorded: a later edgetl build also writes {label_files.GOLDEN}, what the outputs' columns mean"
        checks.append(Check(None, "labels", None, detail))
    return checks


def _preprocessing(bundle: Path, manifest: Manifest) -> Check:
    try:
        tensors = _golden_tensors(bundle, manifest)
        for image, expected in zip(manifest.golden.images, tensors, strict=True):
            got = preprocess(plain_file(bundle, image), manifest.preprocessing)
            if not np.array_equal(got, expected):
                count = int(np.count_nonzero(got != expected))
                return Check(None, "preprocessing", False, f"{image}: {count} of {got.size} values differ")
    except MissingRuntime as exc:
        return Check(None, "preprocessing", None, f"skipped: {exc.message}")
    except EdgetlError as exc:
        return Check(None, "preprocessing", False, str(exc))
    return Check(None, "preprocessing", True, f"{len(tensors)} pictures give their tensors exactly")


def _outputs(bundle: Path, manifest: Manifest, artifact: Artifact, threads: int) -> Check:
    try:
        tensors = _golden_tensors(bundle, manifest)
        expected = _array(bundle, manifest.golden.expected[artifact.name], np.float32)
        if expected.shape != (len(tensors), len(manifest.labels)):
            raise IntegrityError(f"expected outputs have shape {list(expected.shape)}")
        session = open_artifact(bundle, artifact, threads)
        got = np.concatenate([session.run(tensor[None]) for tensor in tensors])
    except MissingRuntime as exc:
        return Check(artifact.name, "outputs", None, f"skipped: {exc.message}")
    except EdgetlError as exc:
        return Check(artifact.name, "outputs", False, str(exc))
    difference, tolerance = float(np.max(np.abs(got - expected))), manifest.golden.tolerance[artifact.precision]
    described = session.describe()
    return Check(
        artifact.name,
        "outputs",
        difference <= tolerance,  # False for nan
        f"largest difference {difference:.2g}, allowed {tolerance:.2g}, {len(tensors)} pictures on "
        f"{described['runtime']} {described['version']}",
    )


def _golden_tensors(bundle: Path, manifest: Manifest) -> npt.NDArray[np.uint8]:
    tensors = _array(bundle, manifest.golden.tensors, np.uint8)
    expected = (len(manifest.golden.images), *manifest.inputs[0].shape[1:])
    if tensors.shape != expected or not len(tensors):
        raise IntegrityError(
            f"golden tensors have shape {list(tensors.shape)}, expected {list(expected)}, at least one"
        )
    return tensors


def _array(bundle: Path, path: str, dtype: Any) -> npt.NDArray[Any]:
    return array(plain_file(bundle, path), dtype)
