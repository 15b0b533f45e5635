"""A finished bundle on another labelled data set: metrics with intervals of every artefact, from the original files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.data import leaks, readers
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import Record, group_of
from edgetl.errors import DataError, UsageError
from edgetl.runtime.manifest import Manifest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.evidence.intervals import Interval


def evaluate(
    bundle: Path,
    kind: str,
    root: Path,
    artifact: str | None,
    mapping: Mapping[str, str],
    advance: Callable[[int, int], None],
) -> dict[str, dict[str, Interval]]:
    """Metrics by artefact.

    Args:
        kind, root: of the data set, as in a recipe; all of its splits are used.
        artifact: only this one; None takes all.
        mapping: new names of labels, for those of the data set and those of the bundle alike. Labels that get one name
            are merged and their probabilities added, so that {"mel": "malignant", "nv": "benign", ...} holds seven
            classes against a set of two.

    Raises:
        DataError: the data set has labels that the bundle, after renaming, does not have.
    """
    from edgetl.runtime.sessions import open_artifact
    from edgetl.stages.running import outputs

    manifest = Manifest.load(bundle)
    chosen = [manifest.artifact(artifact)] if artifact else list(manifest.artifacts)
    records = _labelled(readers.read(kind, root), root)
    unknown = sorted(set(mapping) - {record.label for record in records} - set(manifest.labels))
    if unknown:
        raise UsageError(f"--map: {', '.join(unknown)}: neither the bundle nor the data set has such a label")
    classes = tuple(dict.fromkeys(mapping.get(label, label) for label in manifest.labels))
    records = [replace(record, label=mapping.get(record.label, record.label)) for record in records]
    _require_known(records, classes)
    sessions = {one.name: open_artifact(bundle, one, threads=_threads()) for one in chosen}
    probabilities = outputs(sessions, root, records, manifest.preprocessing, advance)
    merged = {name: _merge(values, manifest.labels, classes, mapping) for name, values in probabilities.items()}
    return {
        name: _metrics(values, records, classes, _thresholds(manifest, name, mapping))
        for name, values in merged.items()
    }


def _labelled(records: list[Record], root: Path) -> list[Record]:
    """Byte-identical files are one group: they cannot be two pieces of evidence."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        hashes = Fingerprints(Path(scratch) / "hashes.sqlite")
        return leaks.merge_identical(records, hashes.digest(root, [record.image for record in records]))


def _threads() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _require_known(records: Sequence[Record], classes: Sequence[str]) -> None:
    unknown = sorted({record.label for record in records} - set(classes))
    if unknown:
        raise DataError(
            f"labels {', '.join(unknown)} are not among the bundle's: {', '.join(classes)}",
            hint="--map LABEL=CLASS,... renames or merges labels of the data set and of the bundle",
        )


def _merge(
    probabilities: npt.NDArray[np.float32], labels: Sequence[str], classes: Sequence[str], mapping: Mapping[str, str]
) -> npt.NDArray[np.float32]:
    """Add up the columns that get one name: [n, len(labels)] -> [n, len(classes)]."""
    import numpy as np

    merged = np.zeros((len(probabilities), len(classes)), dtype=np.float32)
    for column, label in enumerate(labels):
        merged[:, classes.index(mapping.get(label, label))] += probabilities[:, column]
    return merged


def _thresholds(manifest: Manifest, artifact: str, mapping: Mapping[str, str]) -> dict[str, float]:
    """Thresholds of the labels that stand for themselves: a merged class has none that validation chose."""
    taken = set(mapping.values())
    return {
        point.label: point.threshold
        for point in manifest.operating_points
        if point.artifact == artifact and point.label not in mapping and point.label not in taken
    }


def _metrics(
    probabilities: npt.NDArray[np.float32],
    records: Sequence[Record],
    classes: Sequence[str],
    thresholds: Mapping[str, float],
) -> dict[str, Interval]:
    import numpy as np

    from edgetl.evidence.intervals import with_intervals

    labels = np.array([classes.index(record.label) for record in records])
    return with_intervals(probabilities, labels, [group_of(record) for record in records], classes, thresholds, 0)
