"""Pictures in, labels and probabilities out, with one artefact of a bundle. `loading` opens it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from .errors import UsageError
from .manifest import Artifact, Manifest
from .preprocessing import preprocess
from .records import dataclass
from .sessions import Session

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Model", "Picture", "Prediction"]

_PIXEL, _NAMELESS = np.dtype(np.uint8), (bytes, np.ndarray)
Picture: TypeAlias = "os.PathLike[str] | str | bytes | npt.NDArray[np.uint8]"


@dataclass(frozen=True)
class Prediction:
    """What an artefact says about one picture.

    file: as it was named; None where it had no name.
    label: the most probable one. probabilities: of every label, sum 1.
    flags: "LABEL@SENSITIVITY" of each of the artefact's operating points, and whether its threshold is reached.
    latency_ms: of the whole call, decoding and resizing included; inference_ms: of the runtime alone. Two predictions that
        differ in nothing else are equal.
    """

    file: str | None
    artifact: str
    label: str
    probabilities: dict[str, float]
    flags: dict[str, bool]
    latency_ms: float | None = field(default=None, compare=False)
    inference_ms: float | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


class Model:
    """One artefact, loaded. Made by `load`; as a context manager it lets go of the runtime's memory at the end.

    artifact, manifest: what its bundle says of it. For one call at a time: a thread of its own wants a model of its own.
    """

    def __init__(self, manifest: Manifest, artifact: Artifact, session: Session) -> None:
        self.manifest, self.artifact = manifest, artifact
        self._open: Session | None = session
        self._labels, self._shape = manifest.labels, session.input_shape[1:]
        points = [point for point in manifest.operating_points if point.artifact == artifact.name]
        self._points = [(point.flag, point.label, point.threshold) for point in points]

    def __repr__(self) -> str:
        return f"<Model {self.artifact.name} of {self.manifest.name!r}>"

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the output."""
        return self._labels

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """[H, W, 3] of the pixels that need no resizing."""
        return self._shape

    def describe(self) -> dict[str, str | float | None]:
        """runtime, version, compute_precision, accelerator, placement, delegated: what really computes."""
        return self._session.describe()

    def predict(self, picture: Picture) -> Prediction:
        """Predict one picture.

        Args:
            picture: a file, the bytes of one, or decoded pixels of any size: uint8 [H, W, 3], RGB, upright.

        Raises:
            UnreadableImage: the file is no complete picture, or the array no such pixels.
            MissingRuntime: it is a file, and Pillow, which decodes it, is not installed.
            UsageError: the model was closed.
        """
        session = self._session
        started = time.perf_counter_ns()
        pixels = picture if self._is_ready(picture) else preprocess(picture, self.manifest.preprocessing)
        begun = time.perf_counter_ns()
        output = session.run(pixels[None])
        ended = time.perf_counter_ns()
        (row,) = output.tolist()
        probabilities = dict(zip(self._labels, row, strict=True))
        return _made(
            file=None if isinstance(picture, _NAMELESS) else os.fsdecode(picture),
            artifact=self.artifact.name,
            label=self._labels[row.index(max(row))],
            probabilities=probabilities,
            flags={flag: probabilities[label] >= threshold for flag, label, threshold in self._points},
            latency_ms=(time.perf_counter_ns() - started) / 1e6,
            inference_ms=(ended - begun) / 1e6,
        )

    def _is_ready(self, picture: Picture) -> TypeGuard[npt.NDArray[np.uint8]]:
        """Whether there is nothing to decode and nothing to resize."""
        return isinstance(picture, np.ndarray) and picture.shape == self._shape and picture.dtype == _PIXEL

    def close(self) -> None:
        """Let go of the runtime's memory. Closing again does nothing; predicting does not work any more."""
        self._open = None

    @property
    def _session(self) -> Session:
        if self._open is None:
            raise UsageError("was closed, expected an open model", place=self.artifact.name, hint="load it again")
        return self._open


def _made(**fields: Any) -> Prediction:
    """As `Prediction(**fields)`, without its guarded assignments, which cost half of all that a call adds (20 us)."""
    prediction = object.__new__(Prediction)
    prediction.__dict__.update(fields)
    return prediction
