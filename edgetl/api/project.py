"""Where a recipe's results are kept."""

from __future__ import annotations

import os
from pathlib import Path

from edgetl.api.paths import AnyPath, expanded
from edgetl.config.loading import Loaded, load
from edgetl.errors import EnvironmentFault, UsageError
from edgetl.history.database import FILE
from edgetl.store import Store

__all__ = ["history_path", "open_store", "store_of"]

_FOLDER = ".edgetl"


def store_of(loaded: Loaded) -> Store:
    """`.edgetl/` beside the recipe's project, or what EDGETL_STORE says; made when something is kept in it."""
    folder = _chosen() or loaded.project / _FOLDER
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
        store = Store(_chosen() or Path(_FOLDER))
    if not store.root.is_dir():
        raise UsageError(
            "there is no store", place=str(store.root), hint="name a recipe, or the folder with --store DIR"
        )
    return store


def history_path(file: AnyPath | None = None) -> Path:
    """Where measurements are kept: that file, or `history.sqlite` in EDGETL_STORE, or else in the nearest `.edgetl` from here
    upwards; where there is none, in one that will be made here.
    """
    if file is not None:
        return expanded(file, "--history ")
    here = Path.cwd()
    nearest = next(
        (folder / _FOLDER for folder in (here, *here.parents) if (folder / _FOLDER).is_dir()), here / _FOLDER
    )
    return (_chosen() or nearest) / FILE


def _chosen() -> Path | None:
    """What EDGETL_STORE says; None where it says nothing."""
    chosen = os.environ.get("EDGETL_STORE")
    return expanded(chosen, "EDGETL_STORE=") if chosen else None
