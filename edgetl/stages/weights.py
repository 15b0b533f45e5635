"""What initial weights contribute to a stage's key: a name stands for itself, a file for its content."""

from __future__ import annotations

import hashlib
from pathlib import Path


def identity(weights: str) -> str:
    """`weights` of the recipe, or the sha256 of the file that it names."""
    path = Path(weights)
    if not path.is_file():
        return weights
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
