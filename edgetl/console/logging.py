"""What libraries warn of and log goes to the build's log: it is for whoever looks into it, not for whoever waits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from edgetl.console.progress import Progress


class _ToLog(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.event("library", name=record.name, level=record.levelname, message=record.getMessage())


@contextmanager
def quiet_libraries(progress: Progress) -> Iterator[None]:
    """Send Python warnings and log records of level WARNING and above to `progress.event` while the block runs."""
    handler, root = _ToLog(progress), logging.getLogger()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            logging.captureWarnings(False)
