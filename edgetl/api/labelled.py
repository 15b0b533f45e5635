"""Pictures with labels, against which a bundle is held: opened once, and metrics of what any artefact says of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.config.data import Data
from edgetl.console.progress import Progress
from edgetl.data import leaks
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import Record, group_of
from edgetl.data.selection import select
from edgetl.data.source import Source
from edgetl.data.unreadable import named_with
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import nearest
from edgetl.runtime.manifest import Manifest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.evidence.intervals import Interval

__all__ = ["Labelled", "labelled"]


@dataclass(frozen=True)
class Labelled:
    """A labelled set for one bundle. classes: after renaming.

    readable: whether every file could be opened. Where one could not, the rest is decoded to name what cannot be decoded
    either, and nothing need be run.
    """

    manifest: Manifest
    root: Path
    records: Sequence[Record]
    classes: Sequence[str]
    mapping: Mapping[str, str]
    readable: bool
    hashes: Fingerprints

    def digest(self) -> str:
        """What these images with these labels are known by, whatever they are called and wherever they lie.

        Raises:
            DataError: files cannot be read.
        """
        digests = self.hashes.digest(self.root, [record.image for record in self.records])
        each = sorted(hashlib.sha256(f"{digests[one.image]} {one.label}".encode()).digest() for one in self.records)
        return hashlib.sha256(b"".join(each)).hexdigest()

    def metrics(self, artifact: str, probabilities: npt.NDArray[np.float32]) -> dict[str, Interval]:
        """Metrics with 95 % intervals over groups of an artefact's probabilities, float32 [len(records), labels]."""
        merged = _merge(probabilities, self.manifest.labels, self.classes, self.mapping)
        return _metrics(merged, self.records, self.classes, _thresholds(self.manifest, artifact, self.mapping))


@contextmanager
def labelled(
    manifest: Manifest, data: Data, root: Path, mapping: Mapping[str, str], progress: Progress
) -> Iterator[Labelled]:
    """The set; at the end of the block files that cannot be read are one error.

    Args:
        mapping: new names of labels of the set and of the bundle, as `evaluate` takes it.

    Raises:
        UsageError: `mapping` names what neither has.
        DataError: the set has labels that the bundle, after renaming, does not have, or files that cannot be read.
    """
    from edgetl.stages.common import sources

    with tempfile.TemporaryDirectory() as scratch:  # pictures of a .npz are files here until they are evaluated
        source = sources.records(data, root, Path.cwd(), unpack_to=Path(scratch), fewest=1)
        for caution in source.cautions:
            progress.warn(f"warning: {caution}")
        _require_names(mapping, source, manifest.labels)
        classes = tuple(dict.fromkeys(mapping.get(label) or label for label in manifest.labels))
        hashes = Fingerprints(Path(scratch) / "hashes.sqlite")
        records, unreadable = _labelled(source, mapping, hashes)
        _require_known(records, classes)
        if unreadable:
            records = [record for record in records if record.image not in unreadable]
        with named_with(unreadable, "files", source.root):
            yield Labelled(manifest, source.root, records, classes, mapping, not unreadable, hashes)


def _require_names(mapping: Mapping[str, str], source: Source, labels: Sequence[str]) -> None:
    there = {record.label for record in source.records}
    for label, new in mapping.items():
        if label not in there and not (new and label in labels):
            what = "neither the bundle nor the data set has such a label" if new else "no image has such a label"
            known = sorted({*there, *labels} if new else there)
            raise UsageError(f"--map {label}={new}: {what}{nearest(label, known)}")


def _labelled(source: Source, mapping: Mapping[str, str], hashes: Fingerprints) -> tuple[list[Record], dict[str, str]]:
    """Records under their new labels, and files that cannot even be opened, with the reason.

    Byte-identical files are one group: they cannot be two pieces of evidence.
    """
    there = {record.label for record in source.records}
    labels = {label: new or None for label, new in mapping.items() if label in there}
    records = select(source.records, labels, (), source.place, fewest=1).records
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
