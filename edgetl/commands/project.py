"""Where a recipe's results are kept, and what must be said before anything is done with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.commands.arguments import expanded
from edgetl.console.streams import tell
from edgetl.errors import EnvironmentFault

if TYPE_CHECKING:
    from edgetl.config.loading import Loaded

__all__ = ["announce_stand_in", "chosen_store", "store_folder"]


def store_folder(loaded: Loaded) -> Path:
    """`.edgetl/` beside the recipe's project, or what EDGETL_STORE says."""
    folder = chosen_store() or loaded.project / ".edgetl"
    if folder.exists() and not folder.is_dir():
        raise EnvironmentFault("got a file, expected the folder of the store", place=str(folder))
    return folder


def chosen_store() -> Path | None:
    """What EDGETL_STORE says; None where it says nothing."""
    chosen = os.environ.get("EDGETL_STORE")
    return expanded(Path(chosen), "EDGETL_STORE=") if chosen else None


def announce_stand_in(loaded: Loaded) -> None:
    """Say that nothing here is about patients."""
    tell(
        f"STAND-IN DATA: {loaded.recipe.name} is built on {loaded.stand_in}, synthetic pictures; nothing that comes out "
        "of it says anything about patients.\n"
        "  (The recipe asks for them, or its data.root names a variable that is not set.)"
    )
