"""Artefacts in their own runtimes, over pictures from their original files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data.decode import batches
from edgetl.data.records import Record
from edgetl.errors import ArtifactError, IntegrityError
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.preprocessing import Preprocessing
from edgetl.runtime.sessions import Session

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class BuiltFile:
    """An open artefact that is not in a bundle yet. What is wrong with it is an ArtifactError that names it."""

    def __init__(self, backend: str, path: Path, options: Mapping[str, str]) -> None:
        self._path = path
        with self._named():
            # On every core that this process may use.
            self._session = BACKENDS[backend].open_session(path, usable_cores(), options)
        self.input_shape, self.output_shape = self._session.input_shape, self._session.output_shape

    def run(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As a session, and finite."""
        import numpy as np

        with self._named():
            probabilities = self._session.run(image)
        if not np.isfinite(probabilities).all():
            raise ArtifactError(f"{self._path.stem}: gives numbers that are not finite")
        return probabilities

    def describe(self) -> dict[str, str | float | None]:
        """As a session."""
        return self._session.describe()

    @contextmanager
    def _named(self) -> Iterator[None]:
        from edgetl.backends.trial_run import words

        try:
            yield
        except IntegrityError as exc:  # of a bundle's file that would be damage; this one was just written
            raise ArtifactError(f"{self._path.stem}: {words(exc.message)}") from exc


def outputs(
    sessions: Mapping[str, Session],
    root: Path,
    records: Sequence[Record],
    preprocessing: Preprocessing,
    advance: Callable[[int, int], None],
    digests: Mapping[str, str] | None = None,
    failed: Callable[[str, ArtifactError], None] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Run every session on every picture, each picture decoded once.

    Args:
        advance: told how many pictures of how many are done.
        digests: as in `batches`.
        failed: told which session failed and why; what it returns from goes on without that one.

    Returns:
        Probabilities float32 [len(records), C] by the session's name, of those that went through.
    """
    import numpy as np

    probabilities: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in sessions}
    for start, images in batches(root, records, preprocessing, digests):
        for image in images:
            for name in list(probabilities):
                try:
                    probabilities[name].append(sessions[name].run(image[None])[0])
                except ArtifactError as exc:
                    if failed is None:
                        raise
                    failed(name, exc)
                    del probabilities[name]
        advance(start + len(images), len(records))
    return {name: np.stack(rows) for name, rows in probabilities.items()}
