"""Progress that keeps what it is told."""

from __future__ import annotations

from edgetl.console.progress import Silent


class Heard(Silent):
    """lines: all that was said; warnings: those of them that must be seen."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def say(self, message: str) -> None:
        """Keep the line."""
        self.lines.append(message)

    def warn(self, message: str) -> None:
        """Keep the line."""
        self.lines.append(message)
        self.warnings.append(message)
