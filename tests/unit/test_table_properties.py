"""However a table is spelt, its records are the same, or it is refused: never a wrong label in silence."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.data import readers
from edgetl.data.layout import Layout
from edgetl.data.records import Record
from edgetl.data.source import open_source
from edgetl.errors import DataError

_COUNT = 6
_IMAGES = [f"scans/Ä {number}.b.png" if number % 2 else f"scans/p{number}.png" for number in range(_COUNT)]
_PATHS: Mapping[str, Callable[[str], str]] = {
    "whole": lambda image: image,
    "from here": lambda image: f"./{image}",
    "of Windows": lambda image: image.replace("/", "\\"),
    "name": lambda image: image.rpartition("/")[2],
    "id": lambda image: image.rpartition("/")[2].removesuffix(".png"),
    "id with folder": lambda image: image.removesuffix(".png"),
    "capitals": str.upper,
    "another ending": lambda image: image.removesuffix(".png") + ".jpg",
    "of somebody else": lambda image: f"/home/them/data/{image}",
    "of somebody else's Windows": lambda image: "C:\\data\\" + image.replace("/", "\\"),
}
_LABELS = st.text("abÄ1 ,;'\"-.()/", min_size=1, max_size=8).map(str.strip).filter(bool)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of some names; a reader opens none."""
    folder = tmp_path_factory.mktemp("set")
    for image in (*_IMAGES, "left/1.png", "left/2.png", "right/1.png", "right/deep/2.png"):
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    return folder


@st.composite
def _spellings(draw: st.DrawFn, rows: Sequence[Mapping[str, str]]) -> bytes:
    """A table of these rows, written by some program or other."""
    names = draw(st.permutations(list(rows[0])))
    written = [*rows, *draw(st.lists(st.sampled_from(rows), max_size=3))]
    pad = draw(st.sampled_from(["", " ", "  "]))
    delimiter = draw(st.sampled_from(",;\t|"))
    text = io.StringIO()
    writers = [
        csv.writer(text, delimiter=delimiter, lineterminator="\n"),
        csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL),
    ]
    capitals = draw(st.sampled_from([str.lower, str.upper, str.title]))
    for cells in ([capitals(name) for name in names], *([row[name] for name in names] for row in written)):
        inside = pad if draw(st.booleans()) else ""
        draw(st.sampled_from(writers)).writerow([inside + cell + inside for cell in cells])
        for _ in range(draw(st.integers(0, 1))):
            text.write(draw(st.sampled_from(["\n", delimiter * (len(names) - 1) + "\n", "  \n"])))
    content = text.getvalue()
    if pad and not any(delimiter in cell for row in rows for cell in row.values()):
        content = content.replace(delimiter, delimiter + " ")
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + content.replace("\n", ends).encode()


def _records(root: Path, content: bytes, layout: Layout | None = None) -> list[Record]:
    table = root / "table.csv"
    table.write_bytes(content)
    return readers.read("csv", table, layout or Layout(), fewest=1).records


@given(st.data())
def test_the_spelling_of_a_table_changes_nothing(root: Path, data: st.DataObject) -> None:
    labels = data.draw(st.lists(_LABELS, min_size=_COUNT, max_size=_COUNT))
    groups = [f"p {number // 2}" for number in range(_COUNT)]
    written = _PATHS[data.draw(st.sampled_from(list(_PATHS)))]
    rows = [
        {"image": written(image), "label": label, "patient_id": group, "age": "7,5", "": ""}
        for image, label, group in zip(_IMAGES, labels, groups, strict=True)
    ]
    content = data.draw(_spellings(rows))
    records = _records(root, content)
    said = {record.image: (record.label, record.group) for record in records}
    assert said == dict(zip(_IMAGES, zip(labels, groups, strict=True), strict=True)), content


@given(st.data())
def test_plain_tables_are_read_however_they_are_spelt(root: Path, data: st.DataObject) -> None:
    """Labels of letters, and no padding outside of quotes: there is no reason to refuse these."""
    labels = data.draw(st.lists(st.sampled_from("abc"), min_size=_COUNT, max_size=_COUNT))
    written = _PATHS[data.draw(st.sampled_from(list(_PATHS)))]
    rows = [{"image": written(image), "label": label} for image, label in zip(_IMAGES, labels, strict=True)]
    delimiter = data.draw(st.sampled_from(",;\t"))
    text = io.StringIO()
    writer = csv.DictWriter(
        text, data.draw(st.permutations(["image", "label"])), delimiter=delimiter, quoting=csv.QUOTE_ALL
    )
    writer.writeheader()
    writer.writerows(data.draw(st.permutations([*rows, rows[0]])))
    records = _records(root, data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.getvalue().encode())
    assert {record.image: record.label for record in records} == dict(zip(_IMAGES, labels, strict=True))


@given(st.data())
def test_columns_of_classes_say_what_a_column_of_labels_does(root: Path, data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from(["NV", "Mel a", "x,y"]), min_size=_COUNT, max_size=_COUNT))
    yes = data.draw(st.sampled_from(["1", "1.0", "True", "yes", "X"]))
    no = data.draw(st.sampled_from(["0", "0.0", "false", "NO", "", "NA"]))
    rows = [
        {"image": image, "NV": no, "Mel a": no, "x,y": no, "age": "61"} | {label: yes}
        for image, label in zip(_IMAGES, labels, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, data.draw(st.permutations(list(rows[0]))))
    writer.writeheader()
    writer.writerows(rows)
    named = data.draw(st.booleans())
    layout = Layout(columns={"label": ("NV", "Mel a", "x,y")} if named else {})
    records = _records(root, text.getvalue().encode(), layout)
    assert {record.image: record.label for record in records} == dict(zip(_IMAGES, labels, strict=True))


@given(st.data())
def test_a_name_in_two_folders_is_never_the_other_one(root: Path, data: st.DataObject) -> None:
    truth = {"left/1.png": "a", "right/1.png": "b", "left/2.png": "a", "right/deep/2.png": "b"}
    rows = []
    for image, label in truth.items():
        folders = image.split("/")
        start = data.draw(st.integers(0, len(folders) - 1))
        written = "/".join([*data.draw(st.sampled_from([(), ("elsewhere",), ("..",)])), *folders[start:]])
        rows.append({"image": written, "label": label})
    kept = data.draw(st.lists(st.sampled_from(rows), min_size=1, unique_by=lambda row: row["image"]))
    try:
        records = _records(root, data.draw(_spellings(kept)))
    except DataError:
        return
    for record in records:
        assert truth.get(record.image, record.label) == record.label, kept


@given(st.data())
def test_a_label_without_a_word_is_never_one(root: Path, data: st.DataObject) -> None:
    """Blank cells stay blank whatever patterns say, so they are left out or refused."""
    cells = data.draw(
        st.lists(st.sampled_from(["effusion", "mass", "", "NA", "nan"]), min_size=_COUNT, max_size=_COUNT)
    )
    labels: dict[str, Any] = {"*effusion*": "effusion", "*": "other"}
    if data.draw(st.booleans()):
        labels[""] = None
    table = root / "table.csv"
    text = "".join(f"{image},{cell}\n" for image, cell in zip(_IMAGES, cells, strict=True))
    table.write_text(f"image,label\n{text}", encoding="utf-8")
    try:
        source = open_source("csv", table, labels=labels, fewest=1)
    except DataError:
        return
    meant = {"effusion": "effusion", "mass": "other"}
    assert {record.image: record.label for record in source.records} == {
        image: meant[cell] for image, cell in zip(_IMAGES, cells, strict=True) if cell in meant
    }
