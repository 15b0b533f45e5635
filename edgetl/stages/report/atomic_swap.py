"""A run folder is complete or the old one: new files are written beside their places and moved there together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgetl.files import flush

_PREFIX = ".new-"


@contextmanager
def aside(run: Path) -> Iterator[Path]:
    """An empty folder to write the new files in, on the same disk; gone when the block ends.

    The caller holds the run folder's lock: what other such folders hold was left by builds that were killed.
    """
    for left in run.glob(f"{_PREFIX}*"):
        shutil.rmtree(left)
    folder = run / f"{_PREFIX}{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def swap(folder: Path, run: Path, names: Sequence[str]) -> None:
    """Put files and folders in the place of the run's old ones; a name that `folder` lacks is removed from the run.

    The last name is the one by which a run counts as finished: it goes first and comes last, so that a kill in between
    leaves a run that is unfinished and says so. No step needs room on the disk.
    """
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        flush(path)
    (run / names[-1]).unlink(missing_ok=True)
    for name in names:
        if (run / name).exists():
            (run / name).rename(folder / f"{name}.old")
        if (folder / name).exists():
            (folder / name).rename(run / name)
