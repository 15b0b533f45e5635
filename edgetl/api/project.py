"""Where a recipe's results are kept."""

from __future__ import annotations

import os
from pathlib import Path

from edgetl.api.paths import AnyPath, expanded
from edgetl.config.loading import Loaded, load
from edgetl.errors import EnvironmentFault, UsageError
from edgetl.store import Store

__all__ = ["open_store", "store_of"]


def store_of(loaded: Loaded) -> Store:
    """`.edgetl/` beside the recipe's project, or what EDGETL_STORE says; made when something is kept in it."""
    folder = _chosen() or loaded.project / ".edgetl"
    if folder.exists() and not folder.is_dir():
        raise EnvironmentFault("got a file, expected the folder of the store", place=str(folder))
    return Store(folder)


def open_store(recipe: AnyPath | None = None, folder: AnyPath | None = None) -> Store:
    """The store that is meant: that folder, the recipe's, EDGETL_STORE's, or `.edgetl` here.

    Raises UsageError when there is none.
    """
    if folder is not None:
        store = Store(Path(folder))
    elif recipe is not None:
        store = store_of(load(Path(recipe)))
    else:
        store = Store(_chosen() or Path(".edgetl"))
    if not store.root.is_dir():
        raise UsageError(
            "there is no store", place=str(store.root), hint="name a recipe, or the folder with --store DIR"
        )
    return store


def _chosen() -> Path | None:
    """What EDGETL_STORE says; None where it says nothing."""
    chosen = os.environ.get("EDGETL_STORE")
    return expanded(chosen, "EDGETL_STORE=") if chosen else None
