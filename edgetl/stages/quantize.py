"""Quantize: one format's int8 file, its ranges calibrated on training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetl.backends import converter
from edgetl.config.recipe import Recipe
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common import needs
from edgetl.stages.common.networks import SHIPPED, not_shipped, shipped
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.data.table import DataTable


def stage(backend: str) -> Stage:
    """The quantize stage of one format; writes `BACKEND-int8.*`."""

    def run(context: Context) -> None:
        from edgetl.data.images import open_images
        from edgetl.data.table import DataTable
        from edgetl.models import spec

        assert context.recipe.quantize is not None
        table = DataTable.load(context.inputs["data"], ("train",))
        rows = calibration_rows(table, context.recipe.quantize.images, context.recipe.seed)
        images = open_images(context.inputs["data"], table, ("train",))[rows]
        network = spec.load(shipped(context)).eval()
        exported = context.inputs[f"export.{backend}"] / f"{backend}-fp32{BACKENDS[backend].suffix}"
        converter(backend).quantize(network, exported, images, context.folder, f"{backend}-int8")

    def settings(recipe: Recipe) -> object:
        # max_drop judges the result and does not change it.
        quantize = recipe.quantize.model_dump(exclude={"max_drop"}) if recipe.quantize else None
        return {"quantize": quantize, "seed": recipe.seed}

    def active(recipe: Recipe) -> bool:
        return backend in recipe.export and recipe.quantize is not None

    reads = (*needs.decoded("train"), *SHIPPED, f"export.{backend}")
    return Stage(f"quantize.{backend}", 1, reads, settings, BACKENDS[backend].tools, run, active, unread=not_shipped)


def calibration_rows(table: DataTable, images: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of training images, the classes in turn, so that a rare class's activations are inside the ranges too.

    Returns:
        int64 [min(images, training images)], ascending.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    labels, rows = table.labels("train"), table.rows("train")
    turn = np.empty(len(rows), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = generator.permutation(len(members))
    chosen: npt.NDArray[np.int64] = np.sort(rows[np.lexsort((labels, turn))[:images]])
    return chosen
