"""One file a kind of data set; each turns a root (a folder, or for some kinds a file) into records.

A reader opens no picture: it looks at names and tables only, so that reading a large set takes a second.
What is odd but bearable it returns as a caution; what is wrong it raises as a `DataError`.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from edgetl.data.layout import AS_USUAL, Layout
from edgetl.data.readers.endings import TABLES
from edgetl.data.readers.hints import ROOT_HINT
from edgetl.data.records import Reading, Record
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import did_you_mean, some

__all__ = ["READERS", "Reader", "known", "read", "refuse_columns"]


@dataclass(frozen=True)
class Reader:
    """A kind of data set by its name in recipes, and all that differs between kinds.

    about: what it is, in a few words.
    root: what data.root names. takes: what that may be.
    load: MODULE:FUNCTION that reads it, (root) -> Reading, or (root, layout) -> Reading where `columns` or `levels` is set.
    columns: whether recipes may say which columns hold what. levels: or how deep the classes lie.
    marks: names of files, in lower case, that tell a folder of this kind; endings: of files that are of this kind.
        `edgetl init` goes by them.
    any_angle: whether the pictures have neither an up nor a down: they are then turned and mirrored, unless a recipe says
        otherwise.
    advice: MODULE:FUNCTION that tells of a root with too few classes what may be wrong, or None.
    unpack: MODULE with `identity(file, index)`, what decides the pictures, and `unpack(file, folder, progress)`, which
        writes them into a folder that `load` reads.
    render: MODULE:FUNCTION of a kind without a root, (folder, images, pixels, seed), which writes what `load` reads.
    version, tools: of what is rendered: raised by hand when the same seed draws others, distributions that draw them.
    licence: what the model card says of the terms of the pictures.
    """

    name: str
    about: str
    load: str
    root: str = "a folder"
    takes: tuple[Literal["folder", "file"], ...] = ("folder",)
    columns: bool = False
    levels: bool = False
    marks: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    any_angle: bool = False
    advice: str = ""
    unpack: str = ""
    render: str = ""
    version: int = 1
    tools: tuple[str, ...] = ()
    licence: str = ""


_ENTRIES = (
    Reader(
        name="folder",
        about="a folder for each class",
        load=f"{__name__}.folder:read",
        root="a folder with a folder for each class",
        levels=True,
        advice=f"{__name__}.folder:nested",
    ),
    Reader(
        name="csv",
        about="a table (.csv, .tsv) with a path and a label in each row",
        load=f"{__name__}.csv_table:read",
        root="a table with a path and a label column, or its folder",
        takes=("file", "folder"),
        columns=True,
        endings=TABLES,
    ),
    Reader(
        name="ham10000",
        about="a HAM10000 download",
        load=f"{__name__}.ham10000:read",
        root="a folder with a HAM10000 download",
        marks=("ham10000_metadata.csv", "ham10000_metadata.tab", "ham10000_metadata"),
        any_angle=True,
        licence="The training images are HAM10000 (Tschandl, Rosendahl and Kittler, 2018, doi 10.1038/sdata.2018.161), CC "
        "BY-NC 4.0: no commercial use of the data; clarify what that means for weights trained on it before you ship.",
    ),
    Reader(
        name="medmnist",
        about="a MedMNIST .npz",
        load=f"{__name__}.medmnist:read",
        root="a MedMNIST .npz",
        takes=("file",),
        endings=(".npz",),
        unpack="edgetl.data.medmnist",
    ),
    Reader(
        name="skin_phantom",
        about="synthetic pictures, rendered when they are needed",
        load=f"{__name__}.skin_phantom:read",
        any_angle=True,
        render="edgetl.data.phantom:render",
        tools=("numpy", "opencv-python-headless", "pillow"),
        licence="The training images were drawn by edgetl (Apache-2.0) and show no person.",
    ),
)

READERS: dict[str, Reader] = {reader.name: reader for reader in _ENTRIES}
"""By name, as `data.kind` of a recipe takes them; `edgetl init` tries them in this order."""


def read(kind: str, root: Path, layout: Layout = AS_USUAL, fewest: int = 2) -> Reading:
    """The records under `root`, sorted by image path, as the source has them.

    `edgetl.data.source.open_source` does this and what a recipe adds to it; nothing else needs a reader.

    Args:
        root: of a kind that is unpacked or rendered, the folder with the result.
        fewest: classes that there must be.

    Raises:
        UsageError: an unknown kind, or columns of one that has none.
        DataError: the root is not of its kind, holds nothing that this kind understands, or has too few classes.
    """
    reader = known(kind)
    if layout.columns:
        refuse_columns(reader)
    if not root.is_dir() and not (root.is_file() and "file" in reader.takes and not reader.unpack):
        got = "a file" if root.exists() else "nothing"
        raise DataError(f"got {got}, expected {reader.root}", place=str(root), hint=ROOT_HINT)
    function = pkgutil.resolve_name(reader.load)
    takes_layout = reader.columns or reader.levels
    reading = cast(Reading, function(root, layout) if takes_layout else function(root))
    records = sorted(reading.records, key=lambda record: record.image)
    classes = sorted({record.label for record in records})
    if len(classes) < fewest:
        got = f"one class ({classes[0]})" if classes else "no images"
        advice = pkgutil.resolve_name(reader.advice)(root) if reader.advice else None
        raise DataError(
            f"got {got}, expected at least {('one class', 'two classes')[fewest - 1]} with images",
            place=str(root),
            hint=advice or "; ".join(some(reading.cautions, 3)) or None,
        )
    _require_text(records, root)
    return reading._replace(records=records)


def known(kind: str) -> Reader:
    """The reader of a kind. Raises UsageError, with the nearest name, where there is none."""
    if kind not in READERS:
        expected = f"expected one of {', '.join(READERS)}"
        raise UsageError(f"data kind: got {kind!r}, {expected}", hint=did_you_mean(kind, READERS))
    return READERS[kind]


def refuse_columns(reader: Reader) -> None:
    """Raises UsageError, as columns were named, where the kind has none."""
    if not reader.columns:
        tables = [name for name, other in READERS.items() if other.columns]
        raise UsageError(f"columns: only a {' or '.join(tables)} has them, and this is a {reader.name}")


def _require_text(records: list[Record], root: Path) -> None:
    """A Linux file name may be any bytes; one that is no text cannot go into a table, a report or an error message."""
    for record in records:
        for path in (record.image, record.mask or ""):
            if not path.isascii() and path.encode(errors="ignore").decode() != path:
                raise DataError(
                    f"got a file name that is not UTF-8 text: {path!a}", place=str(root), hint="rename the file"
                )
