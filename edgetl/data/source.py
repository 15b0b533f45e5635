"""A data set, whatever its kind: a folder of picture files, and the records that a build or a check goes on with.

What a recipe says about its labels and exclusions is applied here, between the reader and everything after it: a picture
that is left out is never opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from edgetl.console.progress import Progress, Silent
from edgetl.data import groups_in_names, lint, one_label, readers, selection
from edgetl.data.layout import AS_USUAL, Layout
from edgetl.data.readers.hints import ROOT_HINT
from edgetl.data.readers.walking import is_there
from edgetl.data.records import Reading, Record
from edgetl.errors import DataError

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """A data set that is ready to be looked at.

    root: the folder that the records' paths are relative to.
    records: sorted by image path, without what was left out, under their final labels.
    cautions: what is odd but bearable, for console and report.
    place: what errors call it: the folder, table or archive that the user named.
    columns: role -> column of a table as it is spelt, or columns for the label, however they were found.
    labels: the source's own, before any was renamed or left out.
    """

    root: Path
    records: list[Record]
    cautions: tuple[str, ...] = ()
    place: str = ""
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()


def open_source(
    kind: str,
    root: Path,
    *,
    unpack_to: Path | None = None,
    layout: Layout = AS_USUAL,
    labels: Mapping[str, str | None] | None = None,
    exclude: Sequence[str] = (),
    fewest: int = 2,
    named: str | None = None,
    progress: Progress | None = None,
) -> Source:
    """Read a data set without decoding a picture.

    Args:
        kind: a name of READERS.
        root: what the kind takes, or the folder that it was unpacked or rendered into.
        unpack_to: where the pictures of a kind that is unpacked go, once for each content; other kinds leave it alone.
            Needed where `root` may be of such a kind.
        layout: what the recipe says of how the files lie.
        labels: source's label -> class; None leaves the label's pictures out.
        exclude: patterns of paths below the root.
        fewest: classes that there must be.
        named: what errors call the data set; None calls it by its root.

    Raises:
        UsageError: an unknown kind, or columns of one that has none.
        DataError: the root is not of its kind, or too little is left of it.
        EnvironmentFault: no room to unpack it.
    """
    place = named or str(root)
    reader = readers.known(kind)
    if reader.unpack and root.is_file():
        assert unpack_to is not None, root
        root = import_module(reader.unpack).unpack(root, unpack_to, progress or Silent())
    whole = _read(kind, root, layout, fewest, place)
    meant = selection.meanings(labels or {}, whole.records, place)
    kept = selection.select(whole.records, meant, exclude, place, fewest)
    if reader.columns:
        one_label.require(kept.records, whole.doubts, place)
    folder = whole.folder or (root.parent if root.is_file() else root)
    _require_a_picture(kept.records, folder, place)
    records, unnamed = groups_in_names.grouped(kept.records, layout.group, place)
    if not layout.prescribed:
        records = [replace(record, split=None) for record in records]
    doubts = [
        *one_label.left_out(whole.records, meant),
        *unnamed,
        *lint.doubtful_labels(whole.records, meant),
        *lint.doubtful_groups(records),
    ]
    cautions = map(_printable, (*whole.cautions, *kept.cautions, *doubts))
    own = frozenset(record.label for record in whole.records)
    return Source(folder, records, tuple(cautions), place, whole.columns, own)


def _printable(caution: str) -> str:
    """As text of reports: it may name files of any bytes."""
    return caution.encode(errors="backslashreplace").decode()


def _read(kind: str, root: Path, layout: Layout, fewest: int, place: str) -> Reading:
    """What the reader makes of it. Where an archive was unpacked says nothing to whoever has the archive."""
    try:
        return readers.read(kind, root, layout, fewest)
    except DataError as exc:
        if not readers.known(kind).unpack:
            raise
        raise DataError(exc.message, place=place, hint=exc.hint) from exc


def _require_a_picture(records: Sequence[Record], folder: Path, place: str) -> None:
    """At least one picture is where the data set says. Those that are not are named with all that cannot be read."""
    if records and not any(is_there(folder / record.image) for record in records):
        raise DataError(
            f"none of {len(records)} pictures is where the data set says, such as {records[0].image}",
            place=place,
            hint=f"{ROOT_HINT}; of a table, data.table.folder says where its pictures are",
        )
