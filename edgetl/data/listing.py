"""A list in a message: its first entries, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["indented", "some"]


def some(entries: Sequence[str], most: int = 10) -> list[str]:
    """The entries; of more than `most` the first ones, and "... and N more"."""
    return [*entries[:most], *([f"... and {len(entries) - most} more"] if len(entries) > most else [])]


def indented(entries: Sequence[str]) -> str:
    """The entries below a message that ends in a colon, one a line."""
    return "".join(f"\n  {entry}" for entry in some(entries))
