"""Accuracy of a bundle on targets: pictures are decoded and resized here, and every artefact runs on them in a worker there."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.api.labelled import Labelled, labelled
from edgetl.api.several_targets import lost, on_each, unless_lost
from edgetl.console.capture import captured
from edgetl.errors import DeviceError

if TYPE_CHECKING:
    from edgetl.config.data import Data
    from edgetl.config.target import Target
    from edgetl.console.progress import Progress
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Unmeasured
    from edgetl.runtime.manifest import Manifest

__all__ = ["accuracy"]


def accuracy(
    folder: Path, manifest: Manifest, data: Data, root: Path, targets: Sequence[Target], progress: Progress
) -> tuple[dict[str, dict[str, dict[str, Interval]]], list[Unmeasured], set[str], str]:
    """Metrics by target, artefact and name; the artefacts that failed; the targets that went away; the images' digest."""
    from edgetl.devices.answers import answers

    metrics: dict[str, dict[str, dict[str, Interval]]] = {}
    failed: list[Unmeasured] = []
    gone: set[str] = set()
    with (
        captured(),
        tempfile.TemporaryDirectory() as scratch,
        labelled(manifest, data, root, {}, progress) as pictures,
    ):
        _decode(pictures, Path(scratch), progress)
        images = pictures.digest() if pictures.readable else ""
        said = on_each(
            targets if pictures.readable else (),
            unless_lost(
                lambda target, advance: answers(
                    target, folder, manifest.artifacts, Path(scratch), len(pictures.records), advance
                ),
                targets,
            ),
            progress,
        )
        for target, answered in zip(targets, said, strict=False):
            if isinstance(answered, DeviceError):
                failed += lost(target, manifest, answered)
                gone.add(target.name)
                continue
            found, without = answered
            metrics[target.name] = {name: pictures.metrics(name, values) for name, values in found.items()}
            failed += without
    return metrics, failed, gone, images


def _decode(pictures: Labelled, folder: Path, progress: Progress) -> None:
    """Write the tensors of all pictures into a file of a folder."""
    import numpy as np

    from edgetl.data.decode import batches
    from edgetl.devices.answers import TENSORS

    count, preprocessing = len(pictures.records), pictures.manifest.preprocessing
    shape = (count, *pictures.manifest.inputs[0].shape[1:])
    tensors = np.lib.format.open_memmap(folder / TENSORS, "w+", np.uint8, shape)
    for start, images in batches(pictures.root, pictures.records, preprocessing):
        tensors[start : start + len(images)] = images
        progress.advance("decode", start + len(images), count)
    tensors.flush()
