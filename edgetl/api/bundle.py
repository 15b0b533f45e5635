"""A finished bundle, opened to predict with again and again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.runtime.loading import load
from edgetl.runtime.manifest import Artifact, Manifest, OperatingPoint
from edgetl.runtime.predicting import Prediction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Bundle", "Picture", "open_bundle"]

Picture: TypeAlias = "AnyPath | bytes | npt.NDArray[np.uint8]"


class Bundle:
    """One artefact of a bundle, loaded and ready. Made by `open_bundle`.

    path: the bundle's folder.
    manifest: all that its bundle.json says.
    artifact: the artefact that predicts.
    """

    def __init__(self, path: Path, manifest: Manifest, artifact: str | None, threads: int) -> None:
        self.path, self.manifest = path, manifest
        self._model = load(path, artifact, threads=threads)
        self.artifact = self._model.artifact

    def __repr__(self) -> str:
        return f"<edgetl.Bundle {self.manifest.name!r} {self.artifact.name} of {', '.join(self.artifacts)}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of an artefact's output."""
        return self.manifest.labels

    @property
    def artifacts(self) -> Mapping[str, Artifact]:
        """Every model file of the bundle by its name; `open_bundle(..., artifact=NAME)` opens another one."""
        return {artifact.name: artifact for artifact in self.manifest.artifacts}

    @property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """The thresholds that validation chose for the artefact that predicts."""
        return tuple(point for point in self.manifest.operating_points if point.artifact == self.artifact.name)

    @boundary
    def predict(self, picture: Picture) -> Prediction:
        """The most probable label of one picture, all probabilities, and the operating points that are reached.

        Args:
            picture: a file, the bytes of one, or its pixels: uint8 [H, W, 3], RGB, upright, of any size.

        Raises:
            UnreadableImage: it cannot be decoded completely and safely, or is no such array.
        """
        return self._model.predict(picture)


@boundary
def open_bundle(bundle: AnyPath, *, artifact: str | None = None, threads: int = 1) -> Bundle:
    """Load one artefact of a bundle, once its files are what the manifest says.

    Args:
        bundle: a bundle's folder.
        artifact: its name; the first whose runtime is installed without it.
        threads: for the runtime.

    Raises:
        UsageError: there is no bundle.
        IntegrityError: it is damaged, or has no such artefact.
        MissingRuntime: the artefact's runtime, or every one, is not installed.
    """
    folder = bundle_folder(bundle)
    return Bundle(folder, Manifest.load(folder), artifact, threads)
