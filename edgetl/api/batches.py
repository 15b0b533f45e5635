"""A bundle's files for more than one image at a time, which a bundle does not hold: written for measuring throughput.

Each is held against the file that it was made from, on the bundle's golden tensors, before it is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.errors import EdgetlError, IntegrityError
from edgetl.history import content_digest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.runtime.manifest import Artifact, Manifest

__all__ = ["Batched", "Written", "batched", "name_of"]


@dataclass(frozen=True)
class Batched:
    """An artefact for `batch` images. of: the name of the bundle's. folder: where the path of its artefact starts.

    content: what its files are known by (`edgetl.history.content_digest`).
    """

    of: str
    batch: int
    folder: Path
    artifact: Artifact
    content: str


@dataclass(frozen=True)
class Written:
    """Those that there are, and why the others are not: (name of the bundle's artefact, batch) -> what went wrong."""

    made: tuple[Batched, ...]
    refused: dict[tuple[str, int], EdgetlError]


def batched(bundle: Path, manifest: Manifest, batches: Sequence[int], folder: Path) -> Written:
    """Write every artefact of a bundle whose files are intact for each batch size, below an empty folder."""
    made: list[Batched] = []
    refused: dict[tuple[str, int], EdgetlError] = {}
    for artifact in manifest.artifacts:
        for batch in batches:
            place = folder / str(batch)
            place.mkdir(exist_ok=True)
            try:
                made.append(_write(bundle, manifest, artifact, batch, place))
            except EdgetlError as exc:
                refused[artifact.name, batch] = exc
    return Written(tuple(made), refused)


def name_of(artifact: str, batch: int) -> str:
    """What a bundle's artefact is called that was written for so many images."""
    return f"{artifact} batch {batch}"


def _write(bundle: Path, manifest: Manifest, artifact: Artifact, batch: int, folder: Path) -> Batched:
    """Raises EdgetlError where the converter cannot, or the runtime computes something else of it."""
    from edgetl.backends import converter
    from edgetl.runtime.bundle_files import digest

    path = converter(artifact.backend).with_batch(bundle / artifact.path, batch, folder)
    companions = tuple(Path(name).name for name in artifact.companions)
    files = [path, *(folder / name for name in companions)]
    other = replace(
        artifact,
        name=name_of(artifact.name, batch),
        path=path.name,
        companions=companions,
        sha256=digest(path),
        bytes=sum(file.stat().st_size for file in files),
    )
    _require_same(bundle, manifest, artifact, other, folder, batch)
    content = content_digest(other.sha256, {name: digest(folder / name) for name in companions})
    return Batched(artifact.name, batch, folder, other, content)


def _require_same(
    bundle: Path, manifest: Manifest, artifact: Artifact, other: Artifact, folder: Path, batch: int
) -> None:
    """Every golden image in some place of a batch gives what it gives alone.

    Raises:
        IntegrityError: it does not, or the file takes another shape.
    """
    import numpy as np

    from edgetl.runtime.backends import BACKENDS

    tensors = np.load(bundle / manifest.golden.tensors, mmap_mode="r", allow_pickle=False)
    backend = BACKENDS[artifact.backend]
    alone = backend.open_session(bundle / artifact.path, 1, artifact.runtime_options)
    expected = np.concatenate([alone.run(np.asarray(tensor)[None]) for tensor in tensors])
    together = backend.open_session(folder / other.path, 1, artifact.runtime_options)
    if together.input_shape != (batch, *alone.input_shape[1:]):
        raise IntegrityError(f"takes {list(together.input_shape)}, expected a batch of {batch}", place=other.name)
    difference = max(
        float(np.abs(together.run(tensors[chosen]) - expected[chosen]).max())
        for chosen in _fillings(len(tensors), batch)
    )
    tolerance = manifest.golden.tolerance[artifact.precision]
    if not difference <= tolerance:
        raise IntegrityError(
            f"in a batch of {batch} probabilities differ by {difference:.3g} from those of one image, expected at most "
            f"{tolerance:g}",
            place=other.name,
        )


def _fillings(count: int, batch: int) -> list[npt.NDArray[np.int64]]:
    """Numbers of `count` images, repeated to fill whole batches of `batch`."""
    import numpy as np

    turns = -(-count // batch)
    return np.split(np.arange(turns * batch) % count, turns)
