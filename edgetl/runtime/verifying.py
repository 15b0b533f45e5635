"""Does this bundle, on this machine, compute what the build computed? Answered file by file and number by number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import EdgetlError, IntegrityError, MissingRuntime
from .manifest import NAME, Artifact, Manifest
from .preprocessing import preprocess
from .sessions import digest, open_artifact


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    artifact: the artefact it is about, or None for the bundle as a whole.
    check: files | preprocessing | outputs.
    passed: None when it was skipped because something is not installed here; that is no pass.
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
    """Hashes of all files, golden pictures to golden tensors, golden tensors to golden outputs on every runtime.

    Args:
        bundle: the folder with `bundle.json`.
        threads: for the runtimes.

    Returns:
        Every check made; the bundle is good here if none has `passed` False and at least one "outputs" True.

    Raises:
        IntegrityError: `bundle.json` itself cannot be used, so there is nothing to check against.
    """
    manifest = Manifest.load(bundle)
    files = _files(bundle, manifest)
    if not all(check.passed for check in files):  # what follows would only restate it, on files nobody vouches for
        return files
    outputs = [_outputs(bundle, manifest, artifact, threads) for artifact in manifest.artifacts]
    return [*files, _preprocessing(bundle, manifest), *outputs]


def _files(bundle: Path, manifest: Manifest) -> list[Check]:
    problems = []
    for path, expected in manifest.files.items():
        try:
            if digest(bundle / path) != expected:
                problems.append(f"{path}: its sha256 is not the manifest's")
        except IntegrityError as exc:
            problems.append(f"{path}: {exc.message}")
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if not path.is_dir()}
    problems += [f"{path}: is not listed in {NAME}" for path in sorted(there - set(manifest.files) - {NAME})]
    if problems:
        return [Check(None, "files", False, problem) for problem in problems]
    return [Check(None, "files", True, f"{len(manifest.files)} files have their sha256, none is unlisted")]


def _preprocessing(bundle: Path, manifest: Manifest) -> Check:
    try:
        tensors = _golden_tensors(bundle, manifest)
        for image, expected in zip(manifest.golden.images, tensors, strict=True):
            got = preprocess(bundle / image, manifest.preprocessing)
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
        if artifact.name not in manifest.golden.expected:
            return Check(artifact.name, "outputs", False, "the bundle has no expected outputs for it")
        tensors = _golden_tensors(bundle, manifest)
        expected = _array(bundle / manifest.golden.expected[artifact.name], np.float32)
        if expected.shape != (len(tensors), len(manifest.labels)):
            raise IntegrityError(f"expected outputs have shape {list(expected.shape)}")
        session = open_artifact(bundle, artifact, threads)
        if session.input_shape != manifest.inputs[0].shape:
            raise IntegrityError(f"takes {list(session.input_shape)}, the manifest says {manifest.inputs[0].shape}")
        got = np.concatenate([session.run(tensor[None]) for tensor in tensors])
        if got.shape != expected.shape:
            raise IntegrityError(f"gives {got.shape[1]} probabilities for {len(manifest.labels)} labels")
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
    tensors = _array(bundle / manifest.golden.tensors, np.uint8)
    expected = (len(manifest.golden.images), *manifest.inputs[0].shape[1:])
    if tensors.shape != expected or not len(tensors):
        raise IntegrityError(
            f"golden tensors have shape {list(tensors.shape)}, expected {list(expected)}, at least one"
        )
    return tensors


def _array(path: Path, dtype: Any) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as exc:
        raise IntegrityError(f"is not a .npy file: {exc}", place=str(path)) from exc
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        raise IntegrityError(f"does not hold {np.dtype(dtype).name}", place=str(path))
    return array
