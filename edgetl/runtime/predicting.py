"""Pictures in, labels and probabilities out, with one artefact of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import MissingRuntime
from .manifest import Artifact, Manifest
from .preprocessing import preprocess
from .sessions import SESSIONS, open_artifact


@dataclass(frozen=True)
class Prediction:
    """What an artefact says about one picture.

    label: the most probable one. probabilities: of every label, sum 1.
    flags: "LABEL@SENSITIVITY" of each of the artefact's operating points, and whether its threshold is reached.
    """

    file: str
    artifact: str
    label: str
    probabilities: dict[str, float]
    flags: dict[str, bool]

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def open_predictor(bundle: Path, artifact: str | None = None, threads: int = 1) -> Callable[[Path], Prediction]:
    """Load one artefact of a bundle; what comes back predicts one picture file a call.

    Args:
        bundle: the folder with `bundle.json`.
        artifact: name of the artefact; None takes the first of the bundle whose runtime is installed.
        threads: for the runtime.

    Raises:
        IntegrityError: the bundle is damaged or has no such artefact.
        MissingRuntime: the artefact's runtime, or every one, is not installed.

    The returned function raises UnreadableImage for a file that is no complete picture, and can be called again.
    """
    manifest = Manifest.load(bundle)
    chosen = manifest.artifact(artifact) if artifact else _first_installed(manifest)
    session = open_artifact(bundle, chosen, threads)
    points = [point for point in manifest.operating_points if point.artifact == chosen.name]

    def predict(file: Path) -> Prediction:
        (row,) = session.run(preprocess(file, manifest.preprocessing)[None])
        probabilities = {label: float(value) for label, value in zip(manifest.labels, row, strict=True)}
        return Prediction(
            file=str(file),
            artifact=chosen.name,
            label=max(probabilities, key=lambda label: probabilities[label]),
            probabilities=probabilities,
            flags={point.flag: probabilities[point.label] >= point.threshold for point in points},
        )

    return predict


def _first_installed(manifest: Manifest) -> Artifact:
    for artifact in manifest.artifacts:
        try:
            SESSIONS[artifact.backend].version()
        except MissingRuntime:
            continue
        return artifact
    raise MissingRuntime(
        "none of the bundle's runtimes is installed",
        hint="pip install one of onnxruntime, openvino, ai-edge-litert",
    )
