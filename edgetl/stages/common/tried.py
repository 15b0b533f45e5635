"""A file that was just written, tried on images that training saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.stages.common.stage import Context

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.data.table import DataTable


def try_file(path: Path, backend: str, network: nn.Module, images: npt.NDArray[np.uint8]) -> None:
    """Raise ArtifactError when the file does not work; see `edgetl.backends.trial_run.works`.

    network: what the file was made from, in inference mode.
    images: uint8 [N, H, W, 3]; a few of them are looked at.
    """
    import numpy as np
    import torch

    from edgetl.backends import contract, trial_run

    # Evenly spaced: what lies side by side may be of one class.
    few = images[np.linspace(0, len(images) - 1, min(len(images), trial_run.IMAGES)).astype(int)]
    with torch.inference_mode():
        planes = torch.from_numpy(contract.normalized(few)).permute(0, 3, 1, 2)
        expected = network(planes).softmax(1).numpy()
    trial_run.works(path, backend, few, expected=expected)


def training_images(context: Context, images: int, seed: int) -> npt.NDArray[np.uint8]:
    """Training images, uint8 [min(images, all of them), H, W, 3], as `calibration_rows` chooses them."""
    from edgetl.data.images import open_images
    from edgetl.data.table import DataTable

    table = DataTable.load(context.inputs["data"], ("train",))
    rows = calibration_rows(table, images, seed)
    chosen: npt.NDArray[np.uint8] = open_images(context.inputs["data"], table, ("train",))[rows]
    return chosen


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
