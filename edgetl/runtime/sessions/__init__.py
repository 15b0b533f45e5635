"""The inference runtimes, one file each, all behind the same three names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from ..errors import IntegrityError
from ..manifest import Artifact, Manifest
from . import onnx, openvino, tflite
from .edges import Image, Probabilities, Shape

__all__ = ["SESSIONS", "Runtime", "Session", "digest", "open_artifact"]


class Session(Protocol):
    """An artefact, loaded and ready."""

    input_shape: Shape
    """[1, H, W, 3]"""

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [1, C] of one image, uint8 [1, H, W, 3], RGB."""

    def describe(self) -> dict[str, str]:
        """runtime, version, compute_precision, accelerator, placement: what really computes."""


class Runtime(NamedTuple):
    """How one backend's files are opened, and which version of its runtime is installed."""

    open_session: Callable[[Path, int, Mapping[str, str]], Session]
    version: Callable[[], str]


SESSIONS: Mapping[str, Runtime] = {
    "onnx": Runtime(onnx.open_session, onnx.version),
    "openvino": Runtime(openvino.open_session, openvino.version),
    "tflite": Runtime(tflite.open_session, tflite.version),
}


def open_artifact(bundle: Path, artifact: Artifact, threads: int = 1) -> Session:
    """Open an artefact of a bundle, once its files are what the manifest says: runtimes load damaged ones silently.

    Raises:
        IntegrityError: a file is missing or changed, or is not a model of this contract.
        MissingRuntime: its runtime is not installed.
    """
    files = Manifest.load(bundle).files
    for path in (artifact.path, *artifact.companions):
        got, expected = digest(bundle / path), files[path]
        if got != expected:
            raise IntegrityError(
                f"sha256 is {got[:12]}..., expected {expected[:12]}...",
                place=str(bundle / path),
                hint="the file changed after the build: copy the bundle again",
            )
    return SESSIONS[artifact.backend].open_session(bundle / artifact.path, threads, artifact.runtime_options)


def digest(path: Path) -> str:
    """sha256 of a file, in lower-case hexadecimal.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise IntegrityError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
