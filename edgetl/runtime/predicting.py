"""Pictures in, labels and probabilities out, with one artefact of a bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .backends import BACKENDS
from .errors import MissingRuntime
from .manifest import Artifact, Manifest
from .preprocessing import preprocess
from .sessions import Session, open_artifact


@dataclass(frozen=True)
class Prediction:
    """What an artefact says about one picture.

    file: as it was named; None where it had no name.
    label: the most probable one. probabilities: of every label, sum 1.
    flags: "LABEL@SENSITIVITY" of each of the artefact's operating points, and whether its threshold is reached.
    """

    file: str | None
    artifact: str
    label: str
    probabilities: dict[str, float]
    flags: dict[str, bool]

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


class Predictor:
    """One artefact of a bundle, loaded: call it with a picture. Made by `open_predictor`."""

    def __init__(self, manifest: Manifest, artifact: Artifact, session: Session) -> None:
        self.artifact = artifact
        self._manifest, self._session = manifest, session
        self._points = [point for point in manifest.operating_points if point.artifact == artifact.name]

    def __call__(self, picture: Path | str | bytes | npt.NDArray[np.uint8]) -> Prediction:
        """Predict one picture.

        Args:
            picture: a file, the bytes of one, or decoded pixels: uint8 [H, W, 3], RGB, upright.

        Raises:
            UnreadableImage: the file is no complete picture, or the array no such pixels.
        """
        (row,) = self._session.run(preprocess(picture, self._manifest.preprocessing)[None])
        probabilities = {label: float(value) for label, value in zip(self._manifest.labels, row, strict=True)}
        return Prediction(
            file=str(picture) if isinstance(picture, Path | str) else None,
            artifact=self.artifact.name,
            label=max(probabilities, key=lambda label: probabilities[label]),
            probabilities=probabilities,
            flags={point.flag: probabilities[point.label] >= point.threshold for point in self._points},
        )


def open_predictor(bundle: Path, artifact: str | None = None, threads: int = 1) -> Predictor:
    """Load one artefact of a bundle.

    Args:
        bundle: the folder with `bundle.json`.
        artifact: name of the artefact; None takes the first of the bundle whose runtime is installed.
        threads: for the runtime.

    Raises:
        IntegrityError: the bundle is damaged or has no such artefact.
        MissingRuntime: the artefact's runtime, or every one, is not installed.
    """
    manifest = Manifest.load(bundle)
    chosen = manifest.artifact(artifact) if artifact else _first_installed(manifest)
    return Predictor(manifest, chosen, open_artifact(bundle, chosen, threads))


def runtimes_of(manifest: Manifest) -> list[str]:
    """What pip can install to run a bundle: distributions, any of which is enough."""
    backends = dict.fromkeys(artifact.backend for artifact in manifest.artifacts)
    return [BACKENDS[backend].distribution for backend in backends]


def _first_installed(manifest: Manifest) -> Artifact:
    for artifact in manifest.artifacts:
        try:
            BACKENDS[artifact.backend].version()
        except MissingRuntime:
            continue
        return artifact
    raise MissingRuntime(
        "none of the bundle's runtimes is installed",
        hint=f"pip install one of {', '.join(runtimes_of(manifest))}",
    )
