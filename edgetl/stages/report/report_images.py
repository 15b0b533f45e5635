"""Images for the page: as the network sees them, from the data stage's decoded pixels, as base64 of PNG.

They may be of patients: they go into the run folder, which stays with whoever holds the data, and never into the bundle.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.results.extras import Predicted, Shown
from edgetl.results.report import Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PREDICTIONS = 14


def samples(folders: Mapping[str, Path], report: Report) -> Iterator[Shown]:
    """The data stage's sample images with their labels."""
    from edgetl.data.images import open_images
    from edgetl.data.table import DataTable

    images = open_images(folders["data"], DataTable.load(folders["data"], ("train",)), ("train",))
    for sample in report.data.samples:
        yield Shown(image=_png(images[sample.row]), label=sample.label)


def predictions(folders: Mapping[str, Path], report: Report) -> Iterator[Predicted]:
    """Test images and what the headline artefact said: of each class one that was right and one that was wrong.

    They are the first ones of the split, not chosen to please.
    """
    import numpy as np

    from edgetl.data.images import open_images
    from edgetl.data.table import DataTable
    from edgetl.report.view import headline

    artifact = headline(report)
    assert artifact is not None
    table = DataTable.load(folders["data"], ("test",))
    outputs = np.load(folders[f"verify.{artifact.backend}"] / "outputs.npz")[artifact.name]
    images, rows, labels = open_images(folders["data"], table, ("test",)), table.rows("test"), table.labels("test")
    right = outputs.argmax(axis=1) == labels
    chosen = [
        np.flatnonzero((labels == number) & (right == was)) for number in np.unique(labels) for was in (True, False)
    ]
    for place in [int(places[0]) for places in chosen if len(places)][:_PREDICTIONS]:
        yield Predicted(
            image=_png(images[rows[place]]),
            label=table.classes[labels[place]],
            probabilities={name: float(value) for name, value in zip(table.classes, outputs[place], strict=True)},
        )


def _png(image: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
