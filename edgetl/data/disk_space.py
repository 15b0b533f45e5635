"""Whether a disk has room for pictures: asked before the minutes of writing them, not after."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgetl.errors import EnvironmentFault

__all__ = ["require_room"]


def require_room(folder: Path, needed: int, what: str, hint: str) -> None:
    """Raise EnvironmentFault where the disk of `folder` has less than `needed` bytes free for `what`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentFault(
            f"got {free / 1e9:.1f} GB of free disk, expected {needed / 1e9:.1f} GB for {what}",
            place=str(folder),
            hint=hint,
        )
