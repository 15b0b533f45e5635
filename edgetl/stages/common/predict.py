"""Artefacts in their own runtimes, over pictures from their original files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data.decode import batches
from edgetl.data.records import Record
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.preprocessing import Preprocessing
from edgetl.runtime.sessions import Session

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def open_file(backend: str, path: Path, options: Mapping[str, str]) -> Session:
    """An artefact that is not in a bundle yet, on every core that this process may use."""
    return BACKENDS[backend].open_session(path, usable_cores(), options)


def outputs(
    sessions: Mapping[str, Session],
    root: Path,
    records: Sequence[Record],
    preprocessing: Preprocessing,
    advance: Callable[[int, int], None],
    digests: Mapping[str, str] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Run every session on every picture, each picture decoded once.

    Args:
        advance: told how many pictures of how many are done.
        digests: as in `batches`.

    Returns:
        Probabilities float32 [len(records), C] by the session's name.
    """
    import numpy as np

    probabilities: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in sessions}
    for start, images in batches(root, records, preprocessing, digests):
        for image in images:
            for name, session in sessions.items():
                probabilities[name].append(session.run(image[None])[0])
        advance(start + len(images), len(records))
    return {name: np.stack(rows) for name, rows in probabilities.items()}
