"""Artefacts, loaded and ready: one file an inference runtime, each with `open_session` and `version`."""

from __future__ import annotations

import os
from typing import Protocol

from ..accelerators import CPU, Accelerator
from ..backends import BACKENDS
from ..bundle_files import Place
from ..errors import IntegrityError, UsageError
from ..manifest import Artifact, Manifest
from .checks import Image, Probabilities, Shape

__all__ = ["Session", "open_artifact", "open_file"]


class Session(Protocol):
    """An artefact, loaded and ready."""

    input_shape: Shape
    """[N, H, W, 3]; N is 1 in a bundle"""
    output_shape: tuple[int, int]
    """[N, C]"""

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [N, C] of images uint8 [N, H, W, 3], RGB."""

    def describe(self) -> dict[str, str | float | None]:
        """runtime, version, compute_precision, accelerator, placement, delegated: what really computes.

        delegated: share of the operators on the accelerator, or with TFLite in the delegate; None where nobody tells,
        and `placement` says why.
        """


def open_artifact(bundle: Place, artifact: Artifact, threads: int = 1) -> Session:
    """Open an artefact of a bundle, once its files are what the manifest says: runtimes load damaged ones silently.

    Raises:
        IntegrityError: a file is missing, changed or a link, or is no model of this contract and this manifest.
        MissingRuntime: its runtime is not installed.
        UsageError: as `open_file`.
    """
    manifest = Manifest.read(bundle)
    return open_file(manifest.intact(bundle, artifact), manifest, artifact, threads)


def open_file(
    path: Place, manifest: Manifest, artifact: Artifact, threads: int, accelerator: Accelerator = CPU
) -> Session:
    """Open the file of an artefact that is known to be intact, and hold its ends against the manifest.

    Raises:
        UsageError: its path is one that no runtime can be given.
        IntegrityError, MissingRuntime: as `open_artifact`.
        MissingAccelerator: the runtime has no such accelerator here, or it does not compute the whole model.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as exc:
        raise UsageError(
            "is not UTF-8, as inference runtimes need a path to be", place=ascii(os.fspath(path)), hint="rename it"
        ) from exc
    session = BACKENDS[artifact.backend].open_session(path, threads, artifact.runtime_options, accelerator)
    got = (session.input_shape, session.output_shape)
    expected = (manifest.inputs[0].shape, manifest.outputs[0].shape)
    if got != expected:
        shapes = [f"takes {list(taken)} and gives {list(given)}" for taken, given in (got, expected)]
        raise IntegrityError(f"{shapes[0]}, the manifest says it {shapes[1]}", place=str(path))
    return session
