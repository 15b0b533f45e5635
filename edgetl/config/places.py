"""Where target files lie. Imports nothing: shell completion and doctor ask too."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped_targets", "target_folders"]

_SHIPPED = (Path(__file__).parents[1] / "_targets", Path(__file__).parents[2] / "targets")
"""In a wheel, and in a checkout."""


def target_folders(project: Path) -> list[Path]:
    """A project's own come first."""
    return [project / "targets", *_SHIPPED]


def shipped_targets() -> list[Path]:
    """The files that come with edgetl, by name."""
    files = [path for folder in _SHIPPED for path in folder.glob("*.yaml")]
    return sorted({path.stem: path for path in reversed(files)}.values(), key=lambda path: path.stem)
