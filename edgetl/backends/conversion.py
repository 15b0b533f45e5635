"""Where a third party's failure becomes ours: its chatter goes to a log, its exception gets a name and a reason."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import TracebackType

from edgetl.console.capture import Log, captured
from edgetl.errors import ArtifactError, EdgetlError, EnvironmentFault
from edgetl.errors.wording import without_folders
from edgetl.runtime import telemetry

__all__ = ["converting"]


@contextlib.contextmanager
def converting(backend: str, step: str) -> Iterator[Log]:
    """Run one step of a converter quietly.

    Raises:
        EnvironmentFault: a package of the converter is missing.
        ArtifactError: anything else that went wrong inside, naming backend, step and reason, with the last lines that
            the converter printed. What is ours, the disk's or the memory's (EdgetlError, OSError, MemoryError)
            passes unchanged.
    """
    telemetry.forbid()
    with captured() as log, _Translated(backend, step, log), warnings.catch_warnings():
        # Deprecations inside converters are between them and their own dependencies: there is nothing to do here.
        warnings.simplefilter("ignore")
        yield log


class _Translated:
    """Gives whatever escapes the block a name. Converters raise every type there is, so no list of types would do."""

    def __init__(self, backend: str, step: str, log: Log) -> None:
        self._backend, self._step, self._log = backend, step, log

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, (EdgetlError, OSError, MemoryError)):
            return
        if isinstance(error, ImportError):
            raise EnvironmentFault(
                f"{self._backend}: {self._step} needs a package that cannot be imported: {error}",
                hint="reinstall edgetl with its dependencies, or take this backend out of the recipe's `export`",
            ) from error
        tail = self._log.tail()
        raise ArtifactError(
            f"{self._backend}: {self._step} failed: {_reason(error)}",
            hint=f"the converter's last words:\n{tail}" if tail else None,
        ) from error


def _reason(error: BaseException, lines: int = 3) -> str:
    # Exporters wrap the reason in general advice, in several layers: the innermost one says what happened.
    while error.__cause__ is not None:
        error = error.__cause__
    reasons = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_folders(f"{type(error).__name__}: {' / '.join(reasons[:lines]) or 'no reason given'}")
