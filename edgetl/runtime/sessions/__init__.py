"""The inference runtimes, one file each, all behind the same three names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from ..errors import IntegrityError
from ..manifest import Artifact, Manifest
from . import onnx, openvino, tflite
from .edges import Image, Probabilities, Shape

__all__ = ["SESSIONS", "Runtime", "Session", "open_artifact"]


class Session(Protocol):
    """An artefact, loaded and ready."""

    input_shape: Shape
    """[1, H, W, 3]"""
    output_shape: tuple[int, int]
    """[1, C]"""

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
        IntegrityError: a file is missing, changed or a link, or is no model of this contract and this manifest.
        MissingRuntime: its runtime is not installed.
    """
    manifest = Manifest.read(bundle)
    path = manifest.intact(bundle, artifact)
    session = SESSIONS[artifact.backend].open_session(path, threads, artifact.runtime_options)
    got = (session.input_shape, session.output_shape)
    expected = (manifest.inputs[0].shape, manifest.outputs[0].shape)
    if got != expected:
        shapes = [f"takes {list(taken)} and gives {list(given)}" for taken, given in (got, expected)]
        raise IntegrityError(f"{shapes[0]}, the manifest says it {shapes[1]}", place=str(path))
    return session
