"""A data set, whatever its kind: a folder of picture files, and the records that a build or a check goes on with.

What a recipe says about its labels and exclusions is applied here, between the reader and everything after it: a picture
that is left out is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl.console.progress import Progress, Silent
from edgetl.data import lint, medmnist, readers, selection
from edgetl.data.readers import csv_table
from edgetl.data.records import Record
from edgetl.errors import DataError

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """A data set that is ready to be looked at.

    root: the folder that the records' paths are relative to.
    records: sorted by image path, without what was left out, under their final labels.
    cautions: what is odd but bearable, for console and report.
    place: what errors call it: the folder, table or archive that the user named.
    """

    root: Path
    records: list[Record]
    cautions: tuple[str, ...] = ()
    place: str = ""


def open_source(
    kind: str,
    root: Path,
    *,
    unpack_to: Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str | None] | None = None,
    exclude: Sequence[str] = (),
    fewest: int = 2,
    named: str | None = None,
    progress: Progress | None = None,
) -> Source:
    """Read a data set without decoding a picture.

    Args:
        kind: folder, csv, ham10000, medmnist or skin_phantom.
        root: a folder; for csv also a table, for medmnist a .npz.
        unpack_to: where the pictures of a .npz are unpacked, once for each content; other kinds leave it alone. Needed
            where `root` may be a .npz.
        columns: of a CSV table, as role (path, label, group, mask, split) -> column; the others are found by their name.
        labels: source's label -> class; None leaves the label's pictures out.
        exclude: patterns of paths below the root.
        fewest: classes that there must be.
        named: what errors call the data set; None calls it by its root.

    Raises:
        UsageError: an unknown kind, or columns of one that has none.
        DataError: the root is not of its kind, or too little is left of it.
        EnvironmentFault: no room to unpack a .npz.
    """
    place = named or str(root)
    if kind == "medmnist" and root.is_file():
        assert unpack_to is not None, root
        root = medmnist.unpack(root, unpack_to, progress or Silent())
    try:
        whole = readers.read(kind, root, columns or {}, fewest)
    except DataError as exc:
        # Where a .npz was unpacked says nothing to whoever has the .npz.
        raise DataError(exc.message, place=place if kind == "medmnist" else exc.place, hint=exc.hint) from exc
    kept = selection.select(whole.records, labels or {}, exclude, place, fewest)
    if kind == "csv":
        csv_table.require_files(kept.records, root)
    doubts = [*lint.doubtful_labels(whole.records, labels or {}), *lint.doubtful_groups(kept.records)]
    # They go into reports, and may name files of any bytes.
    cautions = [
        caution.encode(errors="backslashreplace").decode() for caution in (*whole.cautions, *kept.cautions, *doubts)
    ]
    return Source(root.parent if root.is_file() else root, kept.records, tuple(cautions), place)
