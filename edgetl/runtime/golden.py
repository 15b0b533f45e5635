"""Does the model that is about to be timed compute what the build computed? Asked in its own process, on its own device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .arrays import array
from .bundle_files import digest, plain_file
from .errors import IntegrityError
from .manifest import Artifact, Manifest
from .workers import Running

if TYPE_CHECKING:
    import numpy.typing as npt

_AT_ONCE = 16


@dataclass(frozen=True)
class Known:
    """What is known of a worker's artefact.

    bundle: its folder on the device. tensors: path there of the golden ones. expected: what the build got, float32 [N, C].
    tolerance: largest allowed difference of a probability.
    """

    bundle: str
    artifact: str
    tensors: str
    expected: npt.NDArray[np.float32]
    tolerance: float


def known(bundle: Path, manifest: Manifest, artifact: Artifact, there: Path | None = None) -> Known:
    """What a bundle says of an artefact. there: where the bundle is on the device, if that is another one.

    Raises:
        IntegrityError: its golden files are not what the manifest says.
    """
    place = there or bundle
    for path in (manifest.golden.expected[artifact.name], manifest.golden.tensors):
        if digest(plain_file(bundle, path)) != manifest.files[path]:
            raise IntegrityError("its sha256 is not the manifest's", place=str(bundle / path))
    expected = array(plain_file(bundle, manifest.golden.expected[artifact.name]), np.float32)
    wanted = (len(manifest.golden.images), len(manifest.labels))
    if expected.shape != wanted or not len(expected):
        raise IntegrityError(f"expected outputs have shape {list(expected.shape)}, expected {list(wanted)}")
    tolerance = manifest.golden.tolerance[artifact.precision]
    return Known(str(place), artifact.name, str(place / manifest.golden.tensors), np.array(expected), tolerance)


def difference(running: Running, known: Known) -> float | None:
    """The largest difference of a probability; None where the worker gives none.

    Raises:
        IntegrityError: it is larger than allowed.
    """
    rows: list[list[float]] = []
    while len(rows) < len(known.expected):
        answer = running.outputs(known.tensors, len(rows), min(_AT_ONCE, len(known.expected) - len(rows)))
        if answer is None:
            return None
        rows += answer
    got = np.array(rows)
    if got.shape != known.expected.shape:
        raise IntegrityError(f"gives outputs {list(got.shape)}, expected {list(known.expected.shape)}")
    largest = float(np.max(np.abs(got - known.expected)))
    if not largest <= known.tolerance:  # nan is no agreement
        raise IntegrityError(
            f"computes something else here: its golden outputs differ by {largest:.2g}, allowed {known.tolerance:.2g}"
        )
    return largest
