"""One rehearsal for each architecture, set of options, tool versions and machine; the next build finds it in the store."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from edgetl.config.recipe import Recipe
from edgetl.config.training import Training
from edgetl.console.progress import Progress
from edgetl.data.table import DataTable
from edgetl.errors import EdgetlError
from edgetl.results.rehearsal import Rehearsal
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.cores import usable_cores
from edgetl.stages.common import environment, needs
from edgetl.stages.rehearsal import child
from edgetl.store import DamagedEntry, Dependencies, Store, writing

__all__ = ["NAME", "OFF", "is_due", "known", "rehearsed"]

NAME = "rehearsal"
OFF = "EDGETL_REHEARSAL"
"""Environment variable that leaves rehearsals out where it is `off`."""
_VERSION = 5


def is_due() -> bool:
    """Whether builds rehearse at all, here."""
    return os.environ.get(OFF, "").lower() != "off"


def known(recipe: Recipe, folder: Path, store: Store) -> Rehearsal | None:
    """The rehearsal that was made of such a build already. folder: the result of the data stage."""
    return _found(_parts(recipe, folder), store)


def rehearsed(recipe: Recipe, folder: Path, store: Store, progress: Progress) -> Rehearsal:
    """The rehearsal of a build: what is known of one like it, or a new one.

    Args:
        folder: the result of the data stage.

    Raises:
        UsageError: the path cannot be gone; nothing is kept then.
        EnvironmentFault: no memory, no room.
    """
    parts = _parts(recipe, folder)
    with writing(store.root), store.locked(parts.key, "rehearses", progress.warn):
        found = _found(parts, store)
        if found is None:
            progress.say("rehearsal: the whole path with untrained networks, about a minute")
            found = child.run(recipe, folder, progress)
            with store.draft(parts) as draft:
                found.write(draft.folder)
            progress.say(_told(found))
        store.use(parts.key, recipe.name)
    if problems := [file.problem for file in found.files if file.problem]:
        from edgetl.stages.rehearsal.files import require_files

        require_files(recipe, found.files)  # it may have been made for a recipe that ships the others
        for problem in problems:
            progress.warn(f"rehearsal: WILL BE LEFT OUT: {problem}")
    for file in found.files:
        if file.unread:
            progress.warn(f"rehearsal: {file.unread}; what targets make of it is not predicted")
    return found


def _found(parts: Dependencies, store: Store) -> Rehearsal | None:
    try:
        entry = store.find(parts.key, NAME)
        return Rehearsal.read(entry.folder) if entry else None
    except DamagedEntry as damage:
        store.set_aside(damage, lambda _: None)
    except EdgetlError:  # of another version
        pass
    return None


def _parts(recipe: Recipe, folder: Path) -> Dependencies:
    """What a rehearsal depends on: of the data only how many classes there are, whose images go through it."""
    settings: dict[str, Any] = {
        "classes": len(DataTable.load(folder, ("train",)).classes),
        "image_size": recipe.data.image_size,
        "augment": recipe.data.augment,
        "student": recipe.student.model_dump(mode="json", exclude={"weights"}),
        "teachers": [
            {**teacher.model_dump(include={"backbone", "image_size"}), **_steps(teacher)} for teacher in recipe.teachers
        ],
        "distil": {
            **_steps(recipe.distil),
            "loss": recipe.distil.loss,
            "weights": recipe.distil.weights,
            "hints": recipe.distil.hints > 0,
        },
        "prune": recipe.prune
        and {**recipe.prune.model_dump(include={"macs", "round_to", "reference"}), **_steps(recipe.prune)},
        "artifacts": sorted(recipe.artifacts),
        "quantize": recipe.quantize is not None,
        "machine": [platform.machine(), _processor(), usable_cores(), _accelerator()],
    }
    backends = [tool for backend in recipe.formats for tool in BACKENDS[backend].tools]
    tools = tuple(dict.fromkeys((*needs.TRAINING_TOOLS, *backends)))
    return Dependencies.of(NAME, _VERSION, settings, {}, tools, environment.that_count(tools))


def _steps(training: Training) -> dict[str, Any]:
    """What of a training decides how long its steps take and how much memory."""
    return training.model_dump(include={"batch_size", "precision", "ema", "mixup", "cutmix", "progressive"})


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _told(found: Rehearsal) -> str:
    parts = [f"{len([file for file in found.files if file.problem is None])} files made and run"]
    if found.pruning:
        parts.insert(0, f"pruned to {found.pruning.reached:.2f} of the MACs in {found.pruning.seconds:.0f} s")
    if found.peak_mb:
        parts.append(f"up to {found.peak_mb / 1000:.1f} GB")
    return f"rehearsal: {', '.join(parts)}, in {found.seconds:.0f} s"
