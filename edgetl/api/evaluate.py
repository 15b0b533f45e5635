"""`edgetl evaluate`: metrics with intervals of every artefact of a finished bundle, on another labelled data set."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.config.recipe import Data
from edgetl.console.capture import captured
from edgetl.console.events import Listener, reporting_to
from edgetl.console.progress import Progress
from edgetl.data import leaks
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import Record, group_of
from edgetl.data.selection import select
from edgetl.data.source import Source
from edgetl.data.unreadable import named_with
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import nearest
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.manifest import Manifest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.evidence.intervals import Interval


@boundary
def evaluate(
    bundle: AnyPath,
    data: str,
    *,
    columns: Mapping[str, str] | None = None,
    overrides: Overrides = (),
    artifact: str | None = None,
    mapping: Mapping[str, str] | None = None,
    progress: Listener = None,
) -> dict[str, dict[str, Interval]]:
    """Metrics of every artefact on another labelled data set, from the original files.

    Args:
        bundle: a bundle's folder.
        data: KIND:ROOT, as in a recipe; all of its splits are used, and one class is enough.
        columns: of a CSV table, as role -> column; the others are found by their name.
        overrides: other fields of the data section of a recipe for it, as data.table.folder.
        artifact: only this one; all without it.
        mapping: new names of labels, for those of the data set and those of the bundle alike. Labels that get one name
            are merged and their probabilities added, so that {"mel": "malignant", "nv": "benign", ...} holds seven
            classes against a set of two. An empty name leaves the label's images out; the bundle may still say it of
            others, which is then wrong.
        progress: what is told how far it is; nobody without it.

    Returns:
        By artefact and metric, the value with its 95 % interval over groups.

    Raises:
        UsageError: there is no bundle, or `mapping` names what neither has.
        IntegrityError: the bundle is damaged or has no such artefact.
        DataError: the data set has labels that the bundle, after renaming, does not have, or files that cannot be read.
    """
    section, root = data_section(data, columns, overrides)
    folder = bundle_folder(bundle)
    with reporting_to(progress) as reporter, captured():
        return _evaluate(folder, section, root, artifact, mapping or {}, reporter)


def _evaluate(
    bundle: Path,
    data: Data,
    root: Path,
    artifact: str | None,
    mapping: Mapping[str, str],
    progress: Progress,
) -> dict[str, dict[str, Interval]]:
    from edgetl.runtime.sessions import open_artifact
    from edgetl.stages.common import sources
    from edgetl.stages.common.predict import outputs

    manifest = Manifest.load(bundle)
    chosen = [manifest.artifact(artifact)] if artifact else list(manifest.artifacts)
    with tempfile.TemporaryDirectory() as scratch:  # pictures of a .npz are files here until they are evaluated
        source = sources.records(data, root, Path.cwd(), unpack_to=Path(scratch), fewest=1)
        for caution in source.cautions:
            progress.warn(f"warning: {caution}")
        _require_names(mapping, source, manifest.labels)
        classes = tuple(dict.fromkeys(mapping.get(label) or label for label in manifest.labels))
        records, unreadable = _labelled(source, mapping, Path(scratch))
        _require_known(records, classes)
        sessions = {entry.name: open_artifact(bundle, entry, threads=usable_cores()) for entry in chosen}
        with named_with(unreadable, "files", source.root):
            if unreadable:  # what cannot be decoded either is only looked at to be named with them
                sessions, records = {}, [record for record in records if record.image not in unreadable]
            probabilities = outputs(
                sessions, source.root, records, manifest.preprocessing, partial(progress.advance, "evaluate")
            )
    merged = {name: _merge(values, manifest.labels, classes, mapping) for name, values in probabilities.items()}
    return {
        name: _metrics(values, records, classes, _thresholds(manifest, name, mapping))
        for name, values in merged.items()
    }


def _require_names(mapping: Mapping[str, str], source: Source, labels: Sequence[str]) -> None:
    there = {record.label for record in source.records}
    for label, new in mapping.items():
        if label not in there and not (new and label in labels):
            what = "neither the bundle nor the data set has such a label" if new else "no image has such a label"
            known = sorted({*there, *labels} if new else there)
            raise UsageError(f"--map {label}={new}: {what}{nearest(label, known)}")


def _labelled(source: Source, mapping: Mapping[str, str], scratch: Path) -> tuple[list[Record], dict[str, str]]:
    """Records under their new labels, and files that cannot even be opened, with the reason.

    Byte-identical files are one group: they cannot be two pieces of evidence.
    """
    there = {record.label for record in source.records}
    labels = {label: new or None for label, new in mapping.items() if label in there}
    records = select(source.records, labels, (), source.place, fewest=1).records
    hashes = Fingerprints(scratch / "hashes.sqlite")
    digests, unreadable = hashes.copies(source.root, [record.image for record in records])
    return leaks.merge_identical(records, digests), unreadable


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
        merged[:, classes.index(mapping.get(label) or label)] += probabilities[:, column]
    return merged


def _thresholds(manifest: Manifest, artifact: str, mapping: Mapping[str, str]) -> dict[str, float]:
    """Thresholds of the labels that stand for themselves: a merged class has none that validation chose."""
    taken = set(mapping.values())
    return {
        point.label: point.threshold
        for point in manifest.operating_points
        if point.artifact == artifact and not mapping.get(point.label) and point.label not in taken
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
