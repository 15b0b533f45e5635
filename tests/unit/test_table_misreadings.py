"""What a table once meant in silence and does not say: another file, another picture's row, another split, no label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from edgetl.data.layout import Layout
from edgetl.data.readers import read
from edgetl.data.records import Reading
from edgetl.errors import DataError


def _put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"picture")


def _table(root: Path, rows: Iterable[Sequence[str]], name: str = "t.csv") -> Path:
    (root / name).write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return root / name


def _read(table: Path, layout: Layout) -> Reading:
    return read("csv", table, layout)


def test_a_picture_beside_the_folder_that_is_named_is_none(tmp_path: Path) -> None:
    _put(tmp_path, "small/1.png", "1.png", "2.png")
    table = _table(tmp_path, [("image", "label"), ("1.png", "a"), ("2.png", "b")])
    images = [record.image for record in _read(table, Layout(folder="small")).records]
    assert images == ["small/1.png", "small/2.png"], "the second is missing, and is said to be"


def test_a_path_that_holds_the_named_folder_is_found(tmp_path: Path) -> None:
    _put(tmp_path, "small/1.png", "small/2.png")
    table = _table(tmp_path, [("image", "label"), ("small/1.png", "a"), ("2.png", "b")])
    assert [record.image for record in _read(table, Layout(folder="small")).records] == ["small/1.png", "small/2.png"]


@pytest.mark.parametrize("mask", ["masks/2.png", "2_mask/2.png"])
def test_a_mask_is_no_picture_whose_own_is_missing(tmp_path: Path, mask: str) -> None:
    _put(tmp_path, "images/1.png", mask)
    table = _table(tmp_path, [("image", "label"), ("1", "a"), ("2", "b")])
    assert [record.image for record in _read(table, Layout()).records] == ["2", "images/1.png"]


@pytest.mark.parametrize("folders", [("masks", "masks"), ("with_mask", "without_mask"), ("with_mask", "other")])
def test_what_is_called_as_masks_may_be_all_that_is_meant(tmp_path: Path, folders: Sequence[str]) -> None:
    wanted = [f"{folders[0]}/1.png", f"{folders[1]}/2.png"]
    _put(tmp_path, *wanted)
    table = _table(tmp_path, [("image", "label"), ("1", "a"), ("2", "b")])
    assert sorted(record.image for record in _read(table, Layout()).records) == sorted(wanted)


def test_of_two_photographs_none_is_taken(tmp_path: Path) -> None:
    _put(tmp_path, "1.jpeg", "1.jpg", "2.jpg", "2.png")
    table = _table(tmp_path, [("image", "label"), ("1", "a"), ("2", "b")])
    with pytest.raises(DataError, match=r"t\.csv:2: image: got 1, which may be 1\.jpeg or 1\.jpg") as caught:
        _read(table, Layout())
    assert "{ending: .jpeg}" in str(caught.value.hint)
    records = _read(table, Layout(ending=".jpg")).records
    assert [record.image for record in records] == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_rows_of_pictures_of_one_name_in_two_folders_are_joined_each_with_its_own(tmp_path: Path, slash: str) -> None:
    _put(tmp_path, "a/1.png", "b/1.png", "c/1.png")
    table = _table(tmp_path, [("image", "label"), ("a/1.png", "x"), ("b/1.png", "y"), ("c/1.png", "y")])
    _table(tmp_path, [("image", "patient"), (f"a{slash}1", "P1"), (f"b{slash}1.png", "P2")], "more.tsv")
    reading = _read(table, Layout(join="more.tsv"))
    assert [record.group for record in reading.records] == ["P1", "P2", None]
    assert "1 of 3 rows have no row in more.tsv: its columns are empty there" in reading.cautions


@pytest.mark.parametrize("first", ["1", "scans/a/1.png"])
def test_rows_are_joined_where_only_one_names_folders(tmp_path: Path, first: str) -> None:
    _put(tmp_path, "scans/a/1.png", "scans/a/2.png")
    table = _table(tmp_path, [("image", "label"), (first, "x"), ("2", "y")])
    second = {"1": "scans/a/1.png", "scans/a/1.png": "a/1"}[first]
    _table(tmp_path, [("image", "patient"), (second, "P1"), ("2.png", "P2")], "more.tsv")
    assert [record.group for record in _read(table, Layout(join="more.tsv")).records] == ["P1", "P2"]


def test_a_row_that_two_others_may_go_with_is_refused(tmp_path: Path) -> None:
    _put(tmp_path, "a/1.png", "b/2.png")
    table = _table(tmp_path, [("image", "label"), ("1", "x"), ("2", "y")])
    _table(tmp_path, [("image", "patient"), ("a/1.png", "P1"), ("b/1.png", "P2")], "more.tsv")
    with pytest.raises(DataError, match=r"image: got 1, which may be a/1 or b/1 of the joined table") as caught:
        _read(table, Layout(join="more.tsv"))
    assert caught.value.place == f"{table}:2"


@pytest.mark.parametrize("nothing", ["", "NA"])
def test_rows_are_not_joined_by_what_they_lack(tmp_path: Path, nothing: str) -> None:
    _put(tmp_path, "1.png", "2.png")
    table = _table(tmp_path, [("image", "visit", "label"), ("1.png", "v1", "x"), ("2.png", nothing, "y")])
    _table(tmp_path, [("visit", "patient"), ("v1", "P1"), (nothing, "P9")], "more.tsv")
    reading = _read(table, Layout(join="more.tsv", on="visit"))
    assert [record.group for record in reading.records] == ["P1", None]


def test_a_table_of_a_split_that_names_another_is_told_of(tmp_path: Path) -> None:
    _put(tmp_path, *(f"{number}.png" for number in range(4)))
    _table(tmp_path, [("image", "label", "split"), ("0.png", "a", "train"), ("1.png", "b", "val")], "train.tsv")
    _table(tmp_path, [("image", "label", "split"), ("2.png", "a", ""), ("3.png", "b", "Test")], "test.tsv")
    reading = _read(tmp_path, Layout(splits={"train": "train.tsv", "test": "test.tsv"}))
    assert [record.split for record in reading.records] == ["train", "train", "test", "test"]
    assert "1 rows name another split than that of their table, whose split is taken" in reading.cautions


@pytest.mark.parametrize("labels", [("a", ""), ("", "a")])
def test_a_row_without_a_label_beside_one_with_it_is_told_of(tmp_path: Path, labels: Sequence[str]) -> None:
    _put(tmp_path, "1.png", "2.png")
    table = _table(tmp_path, [("image", "label"), *(("1.png", label) for label in labels), ("2.png", "b")])
    reading = _read(table, Layout())
    assert [record.label for record in reading.records] == ["a", "b"]
    assert any("rows have no label where another of their picture has one" in said for said in reading.cautions)


def test_a_list_of_numbers_is_several_labels(tmp_path: Path) -> None:
    _put(tmp_path, "1.png", "2.png", "3.png")
    rows = [("image", "label"), ("1.png", "[0]"), ("2.png", "[1, 0]"), ("3.png", "[True]")]
    labels = [record.label for record in _read(_table(tmp_path, rows), Layout()).records]
    assert labels == ["0", "0|1", "[True]"]


def test_a_picture_in_the_folder_of_another_split_is_told_of(tmp_path: Path) -> None:
    _put(tmp_path, "train/1.png", "test/1.png", "test/2.png", "test/3.png")
    _table(tmp_path, [("image", "label"), ("1", "a"), ("2", "b")], "train.tsv")
    _table(tmp_path, [("image", "label"), ("1", "a"), ("3", "b")], "test.tsv")
    reading = _read(tmp_path, Layout(splits={"train": "train.tsv", "test": "test.tsv"}))
    assert [record.image for record in reading.records] == ["test/1.png", "test/2.png", "test/3.png", "train/1.png"]
    said = "1 rows are of pictures in a folder of another split than their table's, such as 2 for test/2.png"
    assert said in reading.cautions


def test_a_folder_in_other_letters_is_told_of(tmp_path: Path) -> None:
    _put(tmp_path, "scans/1.png", "Scans/2.png")
    table = _table(tmp_path, [("image", "label"), ("scans/1.png", "a"), ("scans/2.png", "b")])
    reading = _read(table, Layout())
    assert [record.image for record in reading.records] == ["Scans/2.png", "scans/1.png"]
    assert any("1 rows are in other letters" in said for said in reading.cautions)
