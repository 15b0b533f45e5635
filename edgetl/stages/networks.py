"""The recipe's PyTorch networks, under the names that report.json gives them."""

from __future__ import annotations

from pathlib import Path

from edgetl.stages.stage import Context

STAGE_OF = {"teacher": "teach", "student": "distil", "pruned": "prune"}


def networks(context: Context) -> dict[str, Path]:
    """Folders of the networks there are, in the order of the pipeline; without pruning the student is the last one."""
    folders = {name: context.inputs[stage] / "network" for name, stage in STAGE_OF.items()}
    if context.recipe.prune is None:
        del folders["pruned"]
    return {name: folder for name, folder in folders.items() if folder.is_dir()}
