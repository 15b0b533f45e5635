"""What lies in a folder: the most specific kind wins, and what is no data set is described."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data import discovery
from edgetl.data.discovery import Discovery, discover
from edgetl.data.layout import AS_USUAL
from edgetl.data.source import open_source
from edgetl.data.table_trials import Asked
from edgetl.errors import DataError

_HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization\nL1,i1,nv,,,,\nL2,i2,mel,,,,\n"


def _picture(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def _folder(root: Path) -> None:
    _picture(root / "a" / "1.png")
    _picture(root / "b" / "1.png")


def _table(path: Path) -> None:
    _picture(path.parent / "1.png")
    _picture(path.parent / "2.png")
    path.write_text("path,label\n1.png,a\n2.png,b\n", encoding="utf-8")


def _archive(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"{split}_images": np.zeros((2, 4, 5), np.uint8) for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": np.arange(2)[:, None] for split in ("train", "val", "test")}
    np.savez(path, **arrays)


def _found(path: Path) -> Discovery:
    return discover(path, path.parent / "scratch", Silent())


def test_a_folder_of_classes(tmp_path: Path) -> None:
    _folder(tmp_path / "set")
    found = _found(tmp_path / "set")
    assert (found.kind, found.root, found.size) == ("folder", tmp_path / "set", (8, 6))
    assert [record.label for record in found.source.records] == ["a", "b"]


@pytest.mark.parametrize("name", ["x.csv", "x.TSV"])
def test_a_table_that_tells_of_pictures_goes_before_class_folders(tmp_path: Path, name: str) -> None:
    _folder(tmp_path / "set")
    _table(tmp_path / "set" / "x.csv")
    table = tmp_path / "set" / "x.csv"
    table = table.rename(table.with_name(name))
    assert (_found(tmp_path / "set").kind, _found(tmp_path / "set").root) == ("csv", table)
    assert (_found(table).kind, _found(table).root) == ("csv", table)
    (tmp_path / "set" / "y.csv").write_text("more", encoding="utf-8")
    found = _found(tmp_path / "set")
    assert (found.kind, found.notes) == ("csv", ("y.csv: no column is the path, left out",))
    table.unlink()
    assert _found(tmp_path / "set").kind == "folder"


def test_one_archive_goes_before_class_folders_and_two_do_not(tmp_path: Path) -> None:
    _folder(tmp_path / "set")
    _archive(tmp_path / "set" / "x.npz")
    found = _found(tmp_path / "set")
    assert (found.kind, found.root, found.size) == ("medmnist", tmp_path / "set" / "x.npz", (5, 4))
    _archive(tmp_path / "set" / "y.npz")
    assert _found(tmp_path / "set").kind == "folder"


def test_what_is_hidden_or_a_folder_is_no_table(tmp_path: Path) -> None:
    _folder(tmp_path / "set")
    (tmp_path / "set" / ".x.csv").write_text("path,label\n", encoding="utf-8")
    for name in ("a/x.csv", "a/ham10000_metadata.csv"):
        (tmp_path / "set" / name).mkdir()
    assert _found(tmp_path / "set").kind == "folder"


def test_ham10000_is_known_by_its_table(tmp_path: Path) -> None:
    for name in ("i1", "i2"):
        _picture(tmp_path / "set" / "images" / f"{name}.jpg")
    (tmp_path / "set" / "HAM10000_metadata.csv").write_text(_HAM, encoding="utf-8")
    assert _found(tmp_path / "set").kind == "ham10000"


@pytest.mark.parametrize(
    ("sizes", "median"),
    [([(8, 6)] * 2, (8, 6)), ([(8, 6), (9, 2), (4, 30)], (8, 6)), ([(8, 6), (9, 2), (4, 30), (20, 20)], (9, 20))],
)
def test_the_size_is_the_median_of_each_side(
    tmp_path: Path, sizes: list[tuple[int, int]], median: tuple[int, int]
) -> None:
    for number, size in enumerate(sizes):
        _picture(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", size)
    assert _found(tmp_path / "set").size == median


def test_pictures_without_a_header_are_passed_over(tmp_path: Path) -> None:
    _folder(tmp_path / "set")
    (tmp_path / "set" / "a" / "2.png").write_bytes(b"nothing")
    os.mkfifo(tmp_path / "set" / "a" / "3.png")
    assert _found(tmp_path / "set").size == (8, 6)
    for name in ("a", "b"):
        (tmp_path / "set" / name / "1.png").write_bytes(b"nothing")
    assert _found(tmp_path / "set").size is None


@pytest.mark.parametrize(("pictures", "opened"), [(6, 6), (7, 7), (8, 4), (11, 6), (12, 4)])
def test_a_sample_of_the_pictures_is_looked_at(
    tmp_path: Path, pictures: int, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second one of eight, where four are enough."""
    for number in range(pictures):
        _picture(tmp_path / "set" / "ab"[number % 2] / f"{number:02}.png")
    looked: list[Path] = []
    real = Image.open

    def watched(path: Path) -> Image.Image:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(discovery, "_SAMPLE", 4)
    monkeypatch.setattr(Image, "open", watched)
    _found(tmp_path / "set")
    assert len(looked) == opened


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist, expected a folder or a file \.csv, "):
        _found(tmp_path / "set")


@pytest.mark.parametrize(("name", "got"), [("x.doc", "got a .doc,"), ("x", "got a file,")])
def test_another_file_is_none(tmp_path: Path, name: str, got: str) -> None:
    (tmp_path / name).write_text("text", encoding="utf-8")
    with pytest.raises(DataError, match="expected a folder") as caught:
        _found(tmp_path / name)
    assert caught.value.message.startswith(got)
    assert "a MedMNIST .npz" in (caught.value.hint or "")


def test_a_folder_that_is_only_a_folder_says_why_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "set" / "deep" / "er").mkdir(parents=True)
    for name in ("a.TXT", "b.txt", "deep/c.png", "deep/d", "deep/er/e.jpeg"):
        (tmp_path / "set" / name).write_text("text", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        _found(tmp_path / "set")
    assert caught.value.message.endswith("\n  seen: 2 folders, 2 .txt, 1 .png, 1 no ending, 1 .jpeg; 2 pictures")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="\n  seen: nothing; 0 pictures"):
        _found(tmp_path / "empty")


def test_every_kind_that_was_tried_says_why_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.csv").write_text("a,b\n", encoding="utf-8")
    (tmp_path / "set" / "x.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"\n  seen: 1 \.\w+, 1 \.\w+; 0 pictures\n") as caught:
        _found(tmp_path / "set")
    said = caught.value.message.splitlines()
    assert said[0] == "got no folders, expected one for each of at least two classes"
    assert said[2].startswith("  x.npz: is no .npz or is damaged")
    assert said[3] == "  x.csv: no column is the path, left out"
    assert "x.csv --columns path=COLUMN,label=COLUMN" in (caught.value.hint or "")


@pytest.mark.parametrize(("limit", "counted"), [(3, "3 .b"), (2, "3 .b"), (1, "2 .a")])
def test_a_folder_is_not_counted_for_ever(
    tmp_path: Path, limit: int, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends behind the folder with which there are more than enough files."""
    (tmp_path / "set" / "deep").mkdir(parents=True)
    for name in ("1.a", "2.a", "deep/1.b", "deep/2.b", "deep/3.b"):
        (tmp_path / "set" / name).write_text("text", encoding="utf-8")
    monkeypatch.setattr(discovery, "_ENTRIES", limit)
    with pytest.raises(DataError) as caught:
        _found(tmp_path / "set")
    assert ("3 .b" in caught.value.message) is (counted == "3 .b")
    assert "2 .a" in caught.value.message


def _two_sizes(root: Path) -> None:
    """The pictures of a table for each split, once more in a folder of smaller ones."""
    for at, split in enumerate(("train", "test")):
        rows = ["image,label"]
        for number in range(4 * at, 4 * at + 4):
            for folder in ("large", "small"):
                _picture(root / folder / f"{number}.png")
            rows.append(f"{number},{'ab'[number % 2]}")
        (root / f"{split}.csv").write_text("\n".join(rows), encoding="utf-8")


def test_the_folder_that_is_asked_for_holds_for_tables_of_splits(tmp_path: Path) -> None:
    _two_sizes(tmp_path / "set")
    asked = Asked(replace(AS_USUAL, folder="small"), {})
    found = discover(tmp_path / "set", tmp_path / "scratch", Silent(), asked)
    assert {record.image.split("/")[0] for record in found.source.records} == {"small"}
    assert (found.layout.folder, found.layout.splits) == ("small", {"test": "test.csv", "train": "train.csv"})
    with pytest.raises(DataError, match=r"which may be .*large/\d.png or .*small/\d.png: say"):
        _found(tmp_path / "set")


def test_a_row_of_the_second_table_is_named_with_its_table(tmp_path: Path) -> None:
    _two_sizes(tmp_path / "set")
    for number in range(4):
        (tmp_path / "set" / "small" / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"4\.png: say which folder") as caught:
        open_source(
            "csv", tmp_path / "set", layout=replace(AS_USUAL, splits={"train": "train.csv", "test": "test.csv"})
        )
    assert caught.value.place == f"{tmp_path / 'set' / 'test.csv'}:2"
