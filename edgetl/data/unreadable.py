"""All files that cannot be read in one error, also where they are found at different times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgetl.errors import DataError
from edgetl.errors.wording import indented

__all__ = ["named_with"]


@contextmanager
def named_with(unreadable: Mapping[str, str], what: str, root: Path) -> Iterator[None]:
    """Decode pictures in this block: its DataError also names these files, each with the reason; it ends in one anyway.

    Args:
        what: kind of files, in the plural.
        root: the folder that their paths are relative to.
    """
    message = f"{len(unreadable)} {what} cannot be read:" + indented(
        [f"{path}: {why}" for path, why in unreadable.items()]
    )
    try:
        yield
    except DataError as exc:
        if not unreadable:
            raise
        raise DataError(f"{exc.message}\n{message}", place=exc.place, hint=exc.hint) from exc
    if unreadable:
        raise DataError(message, place=str(root), hint="repair or remove them, or leave their pictures out")
