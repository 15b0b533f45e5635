"""The data table and the image cache: rows agree, pixels are the device's, unreadable files are named together."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data.images import cache, divide, open_cache, open_images
from edgetl.data.records import SPLITS, Record, Split
from edgetl.data.table import DataTable
from edgetl.errors import DataError, EnvironmentFault, IntegrityError
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

PREPROCESSING = Preprocessing(Resize("crop", "bilinear", height=32, width=40))


def table_of(count: int) -> DataTable:
    records = tuple(
        Record(
            image=f"pictures/{index:04}.png",
            label="benign" if index % 3 else "malignant",
            group=f"L{index // 2}" if index != 1 else None,
            split=SPLITS[index // 2 % 3],
            mask="masks/äöü.png" if index == 2 else None,
            metadata=MappingProxyType({"age": "45.0", "sex": "female"} if index else {}),
        )
        for index in range(count)
    )
    return DataTable(("benign", "malignant"), records, "folder", has_groups=True)


def write_pictures(table: DataTable, root: Path) -> None:
    generator = np.random.default_rng(0)
    for record in table.records:
        (root / record.image).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (50, int(generator.integers(30, 90)), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / record.image)


class TestTable:
    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        table = table_of(12)
        table.save(tmp_path)
        assert DataTable.load(tmp_path) == table
        assert not any(str(tmp_path) in path.read_text() for path in tmp_path.rglob("*.json"))

    def test_some_splits_have_the_rows_that_they_have_among_all(self, tmp_path: Path) -> None:
        table = table_of(12)
        table.save(tmp_path)
        shutil.rmtree(tmp_path / "test")
        some = DataTable.load(tmp_path, ("val", "train"))
        for name in ("train", "val"):
            assert some.rows(name).tolist() == table.rows(name).tolist()
            assert some.of(name) == table.of(name)
            assert some.labels(name).tolist() == table.labels(name).tolist()
        assert [some.record(row) for row in some.rows("val")] == table.of("val")
        assert len(some.rows("test")) == 0
        assert list(some.records) == [record for record in table.records if record.split != "test"]
        with pytest.raises(IntegrityError, match=r"test/records\.json"):
            DataTable.load(tmp_path)

    def test_splits_partition_the_rows(self) -> None:
        table = table_of(12)
        rows = np.concatenate([table.rows(name) for name in SPLITS])
        assert sorted(rows) == list(range(12))
        for name in SPLITS:
            assert [table.records[row] for row in table.rows(name)] == table.of(name)
            assert [table.classes[label] for label in table.labels(name)] == [record.label for record in table.of(name)]
            assert len(table.groups(name)) == len(table.of(name))
        assert table.groups("train")[:2] == ["L0", "pictures/0001.png"], "without a group, a picture is its own"

    def test_what_is_written_can_be_read_by_this_version(self, tmp_path: Path) -> None:
        table_of(12).save(tmp_path)
        first, *lines, last = (tmp_path / "val" / "records.json").read_text(encoding="utf-8").splitlines()
        head = {"schema": 2, "source": "folder", "has_groups": True, "classes": ["benign", "malignant"], "records": []}
        assert json.loads(first + "]}") == head
        assert json.loads(lines[0].removesuffix(",")) == {
            "row": 2,
            "image": "pictures/0002.png",
            "label": "benign",
            "group": "L1",
            "mask": "masks/äöü.png",
            "metadata": {"age": "45.0", "sex": "female"},
        }
        assert last == "]}"

    @pytest.mark.parametrize("name", SPLITS)
    def test_one_split_alone(self, name: Split, tmp_path: Path) -> None:
        table = table_of(12)
        table.save(tmp_path)
        alone = DataTable.load(tmp_path, (name,))
        assert (list(alone.records), alone.rows(name).tolist()) == (table.of(name), table.rows(name).tolist())
        assert (alone.classes, alone.source, alone.has_groups) == (table.classes, "folder", True)

    def test_splits_of_different_sets_do_not_go_together(self, tmp_path: Path) -> None:
        table_of(12).save(tmp_path)
        dataclasses.replace(table_of(12), source="csv").save(tmp_path / "other")
        shutil.copy(tmp_path / "other" / "test" / "records.json", tmp_path / "test")
        with pytest.raises(IntegrityError, match="different data sets"):
            DataTable.load(tmp_path)
        assert len(DataTable.load(tmp_path, ("train", "val")).records) == 8

    def test_a_split_without_records(self) -> None:
        table = table_of(2)
        assert table.rows("test").shape == table.labels("test").shape == (0,)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"schema": 1, "source": "", "has_groups": true, "classes": [], "records": [\n\n]}\n',
            '{"schema": 2, "classes": [], "records": [{}], "source": "", "has_groups": true}',
            '{"schema": 2, "source": "", "has_groups": true, "classes": [], "records": [\n',
            '{"schema": 2, "source": "", "has_groups": true, "classes": [], "records": [\n{"image": "a"',
            '{"schema": 2, "source": "", "has_groups": true, "classes": ["c"], "records": [\n\n]}\n',
        ],
    )
    def test_a_damaged_file_is_refused(self, text: str, tmp_path: Path) -> None:
        table_of(12).save(tmp_path)
        (tmp_path / "val" / "records.json").write_text(text)
        with pytest.raises(IntegrityError, match=r"val/records\.json|different data sets"):
            DataTable.load(tmp_path)


class TestCache:
    def test_rows_are_what_the_device_computes(self, tmp_path: Path) -> None:
        table = table_of(7)
        write_pictures(table, tmp_path)
        cache(table, tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())
        images = open_cache(tmp_path / "images.npy")
        assert images.shape == (7, 32, 40, 3)
        assert images.dtype == np.uint8
        assert not images.flags.writeable
        for row, record in enumerate(table.records):
            np.testing.assert_array_equal(images[row], preprocess(tmp_path / record.image, PREPROCESSING))

    def test_picked_rows_are_copies_in_the_order_asked_for(self, tmp_path: Path) -> None:
        table = table_of(7)
        write_pictures(table, tmp_path)
        cache(table, tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())
        images, plain = open_cache(tmp_path / "images.npy"), np.load(tmp_path / "images.npy")
        for index in (
            3,
            -1,
            np.int64(5),
            np.array([6, 0, 0, -2]),
            np.array([], int),
            slice(1, 5, 2),
            (2, 0),
            plain[:, 0, 0, 0] > 99,
        ):
            np.testing.assert_array_equal(images[index], plain[index])
        picked = images[np.array([1, 2])]
        picked[:] = 0
        np.testing.assert_array_equal(images[1], plain[1])
        np.testing.assert_array_equal(np.asarray(images), plain)
        assert images[2:][0].tolist() == plain[2].tolist()
        with pytest.raises(IndexError):
            images[7]
        with pytest.raises(IndexError):
            images[np.array([0, -8])]

    def test_divided_pictures_keep_their_rows_and_no_other_row_is_there(self, tmp_path: Path) -> None:
        table = table_of(12)
        write_pictures(table, tmp_path)
        cache(table, tmp_path, PREPROCESSING, tmp_path / "all.npy", Silent())
        plain = np.load(tmp_path / "all.npy")
        divide(tmp_path / "all.npy", table, tmp_path)
        assert not (tmp_path / "all.npy").exists()
        images = open_images(tmp_path, table, ("val", "train"))
        rows = np.concatenate([table.rows("train"), table.rows("val")])[::-1]
        np.testing.assert_array_equal(images[rows], plain[rows])
        np.testing.assert_array_equal(images[int(rows[0])], plain[rows[0]])
        np.testing.assert_array_equal(images[table.rows("train")], plain[table.rows("train")])
        assert images.shape == (len(rows), 32, 40, 3)
        for row in (*table.rows("test").tolist(), -1, 12):
            with pytest.raises(IndexError, match=f"row {row} is in none of the splits"):
                images[np.array([rows[0], row])]
        np.testing.assert_array_equal(
            open_images(tmp_path, table, ("test",))[table.rows("test")], plain[table.rows("test")]
        )

    def test_pictures_of_another_table(self, tmp_path: Path) -> None:
        table = table_of(7)
        write_pictures(table, tmp_path)
        cache(table, tmp_path, PREPROCESSING, tmp_path / "all.npy", Silent())
        divide(tmp_path / "all.npy", table, tmp_path)
        with pytest.raises(IntegrityError, match=r"train/pixels\.npy: got 3 pictures, the table has 4"):
            open_images(tmp_path, table_of(8), ("train",))

    def test_reading_and_writing_map_nothing(self, tmp_path: Path) -> None:
        table = table_of(3)
        write_pictures(table, tmp_path)
        large = Preprocessing(Resize("crop", "bilinear", height=1024, width=1024))
        cache(table, tmp_path, large, tmp_path / "images.npy", Silent())
        images = open_cache(tmp_path / "images.npy")
        assert images[np.array([0, 1, 2])].nbytes == 3 * 3 * 1024**2
        inside = False
        resident = 0
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split(" ")[0]:
                inside = "images.npy" in line
            elif inside and line.startswith("Rss:"):
                resident += int(line.split()[1])
        assert resident < 100, "kB of the cache in this process; a map would hold all 9 MB"

    def test_a_cache_that_was_cut(self, tmp_path: Path) -> None:
        table = table_of(3)
        write_pictures(table, tmp_path)
        cache(table, tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())
        images = open_cache(tmp_path / "images.npy")
        with (tmp_path / "images.npy").open("r+b") as file:
            file.truncate(2000)
        with pytest.raises(IntegrityError, match="ends early"):
            images[2]

    def test_all_unreadable_pictures_are_named_at_once(self, tmp_path: Path) -> None:
        table = table_of(6)
        write_pictures(table, tmp_path)
        (tmp_path / table.records[1].image).write_bytes(b"")
        whole = (tmp_path / table.records[4].image).read_bytes()
        (tmp_path / table.records[4].image).write_bytes(whole[: len(whole) // 2])
        (tmp_path / table.records[5].image).unlink()
        with pytest.raises(DataError, match=r"3 images(.|\n)*0001\.png(.|\n)*0004\.png(.|\n)*0005\.png"):
            cache(table, tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())
        assert not list(tmp_path.glob("images.npy*")), "no half cache is left"

    def test_a_picture_that_memory_does_not_hold_is_named_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def preprocess(path: Path, preprocessing: Preprocessing) -> None:
            raise MemoryError

        monkeypatch.setattr("edgetl.data.images.preprocess", preprocess)
        with pytest.raises(DataError, match=r"0001\.png: needs more memory than there is"):
            cache(table_of(3), tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())

    def test_many_unreadable_pictures_are_counted(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"300 images(.|\n)*and 290 more"):
            cache(table_of(300), tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())

    def test_a_full_disk_is_said_before(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Usage(NamedTuple):
            free: int

        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free=1000))
        with pytest.raises(EnvironmentFault, match="of free disk"):
            cache(table_of(3), tmp_path, PREPROCESSING, tmp_path / "images.npy", Silent())
