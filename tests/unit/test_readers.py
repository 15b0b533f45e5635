"""Every reader, through the same promises; then what is particular to each."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import struct
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data import readers
from edgetl.data.layout import Layout
from edgetl.data.readers import READERS
from edgetl.data.readers.endings import SUFFIXES
from edgetl.data.records import Record
from edgetl.data.source import open_source
from edgetl.errors import DataError, EnvironmentFault, UsageError

HAM_HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"
PHANTOM_HEADER = "image,label,lesion,mask,device,skin_tone,age,sex,localization,split"
CSV = """Image,Diagnosis,Patient ID,Segmentation,Set,Age
scans/a.png,nevus,P1,masks/a.png,Training,45

scans/b 2.png,"melanoma, thin",P2,,,
"""


def read(kind: str, root: Path, columns: Mapping[str, str] | None = None) -> list[Record]:
    """The records of what is read without a caution, but that pictures lie further down in a class's folder."""
    reading = readers.read(kind, root, Layout(columns=columns or {}))
    assert not [caution for caution in reading.cautions if "lie in folders below" not in caution]
    return reading.records


def touch(path: Path, content: bytes = b"picture") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def make_folder(root: Path) -> Path:
    for name in ("nevus/b.png", "nevus/a.JPG", "melanoma/deep/er/c.png", "melanoma/a.png", "melanoma/a_mask.png"):
        touch(root / name)
    return root


def make_ham10000(root: Path) -> Path:
    rows = (
        "HAM_1,ISIC_2,nv,histo,45.0,male,back",
        "HAM_1,ISIC_1,nv,histo,45.0,male,back",
        "HAM_2,ISIC_3,mel,histo,,,ear",
    )
    root.mkdir(exist_ok=True)
    (root / "HAM10000_metadata.csv").write_text("\n".join((HAM_HEADER, *rows)) + "\n")
    touch(root / "HAM10000_images_part_1" / "ISIC_1.jpg")
    touch(root / "HAM10000_images_part_1" / "ISIC_2.jpg")
    touch(root / "HAM10000_images_part_2" / "ISIC_3.jpg")
    touch(root / "HAM10000_segmentations_lesion_tschandl" / "ISIC_3_segmentation.png")
    return root


def make_skin_phantom(root: Path) -> Path:
    rows = (
        "images/1.png,nv,L1,masks/1.png,phone,II,40,male,back,",
        "images/2.png,mel,L2,,scope,VI,41,female,arm,",
    )
    root.mkdir(exist_ok=True)
    (root / "metadata.csv").write_text("\n".join((PHANTOM_HEADER, *rows)) + "\n")
    for name in ("images/1.png", "images/2.png", "masks/1.png"):
        touch(root / name)
    return root


def make_csv(root: Path, text: str = CSV) -> Path:
    for name in ("scans/a.png", "scans/b 2.png", "masks/a.png"):
        touch(root / name)
    (root / "scans.csv").write_text(text, encoding="utf-8")
    return root / "scans.csv"


def arrays(images: int = 3, shape: tuple[int, ...] = (8, 8)) -> dict[str, Any]:
    """What a MedMNIST .npz holds; the labels alternate."""
    draw = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        found[f"{split}_images"] = draw.integers(0, 256, (images, *shape), dtype=np.uint8)
        found[f"{split}_labels"] = np.arange(images, dtype=np.uint8)[:, None] % 2
    return found


def make_medmnist(root: Path, **changed: Any) -> Path:
    root.mkdir(exist_ok=True, parents=True)
    np.savez_compressed(root / "set.npz", **{**arrays(), **changed})
    return root / "set.npz"


MAKERS: dict[str, Callable[[Path], Path]] = {
    "folder": make_folder,
    "csv": make_csv,
    "ham10000": make_ham10000,
    "medmnist": make_medmnist,
    "skin_phantom": make_skin_phantom,
}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_reader_is_under_contract() -> None:
    assert MAKERS.keys() == READERS.keys()


@pytest.fixture
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unpacked")


@pytest.mark.parametrize("kind", READERS)
class TestEveryReader:
    def test_paths_are_relative_posix_sorted_unique_and_there(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        source = open_source(kind, MAKERS[kind](tmp_path), unpack_to=unpacked)
        images = [record.image for record in source.records]
        assert images == sorted(set(images))
        for path in [*images, *(record.mask for record in source.records if record.mask)]:
            assert not PurePosixPath(path).is_absolute()
            assert "\\" not in path
            assert (source.root / path).is_file()

    def test_two_readings_agree(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        root = MAKERS[kind](tmp_path)
        assert open_source(kind, root, unpack_to=unpacked) == open_source(kind, root, unpack_to=unpacked)

    def test_a_moved_root_reads_the_same(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        root = MAKERS[kind](tmp_path / "here")
        before = open_source(kind, root, unpack_to=unpacked).records
        (tmp_path / "here").rename(tmp_path / "there")
        moved = tmp_path / "there" / root.relative_to(tmp_path / "here")
        assert open_source(kind, moved, unpack_to=unpacked).records == before

    def test_masks_are_attached_and_never_images(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        records = open_source(kind, MAKERS[kind](tmp_path), unpack_to=unpacked).records
        masks = {record.mask for record in records} - {None}
        assert len(masks) == (0 if kind == "medmnist" else 1)
        assert not masks & {record.image for record in records}

    def test_hidden_files_change_nothing(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        root = MAKERS[kind](tmp_path)
        before = open_source(kind, root, unpack_to=unpacked)
        for name in (".hidden/x.png", "__MACOSX/nevus/._a.png", "Thumbs.db", ".DS_Store", ".~lock.scans.csv"):
            touch(tmp_path / name)
        assert open_source(kind, root, unpack_to=unpacked) == before

    def test_missing_root_and_file_as_root(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        with pytest.raises(DataError, match="got nothing, expected a"):
            open_source(kind, tmp_path / "nowhere", unpack_to=unpacked)
        touch(tmp_path / "file")
        with pytest.raises(DataError, match=r"got a file|no column is the label|is no \.npz"):
            open_source(kind, tmp_path / "file", unpack_to=unpacked)

    def test_empty_root(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        with pytest.raises(DataError, match=r"got no"):
            open_source(kind, tmp_path, unpack_to=unpacked)

    def test_labels_and_exclusions_are_applied(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        root = MAKERS[kind](tmp_path)
        whole = open_source(kind, root, unpack_to=unpacked).records
        image, label = whole[0].image, whole[-1].label
        alone = sum(record.label == whole[0].label for record in whole) == 1
        exclude = () if alone else (image,)
        records = open_source(kind, root, unpack_to=unpacked, labels={label: "new"}, exclude=exclude).records
        assert [record.image for record in records] == [record.image for record in whole][len(exclude) :]
        assert {record.label for record in records} == {record.label for record in whole} - {label} | {"new"}

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are not text")
    def test_a_name_that_is_not_text_is_refused_or_not_used(self, kind: str, tmp_path: Path, unpacked: Path) -> None:
        root = MAKERS[kind](tmp_path)
        before = len(open_source(kind, root, unpack_to=unpacked).records)
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/nevus/\xff.png")))
        if kind == "folder":
            with pytest.raises(DataError, match="not UTF-8"):
                open_source(kind, root, unpack_to=unpacked)
        else:
            source = open_source(kind, root, unpack_to=unpacked)
            assert len(source.records) == before
            assert ("1 image files have no row" in " ".join(source.cautions)) == (kind == "ham10000")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are not text")
def test_what_is_said_of_a_name_that_is_not_text_is_text(tmp_path: Path) -> None:
    touch(Path(os.fsdecode(os.fsencode(make_folder(tmp_path)) + b"/nevus/\xff.heic")))
    *_, caution = open_source("folder", tmp_path).cautions
    assert caution.encode().endswith(b"1 .heic (nevus/\\udcff.heic)")


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'ham10000'"):
        read("ham1000", Path())


def test_reading_loads_no_picture_library() -> None:
    code = (
        "import sys, edgetl.data.readers, edgetl.data.source, edgetl.data.splits, edgetl.data.leaks, edgetl.data.fingerprint;"
        "assert not {'numpy', 'PIL', 'cv2', 'torch', 'albumentations'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestFolder:
    def test_class_folders(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        records = read("folder", tmp_path)
        assert [(record.image, record.label) for record in records] == [
            ("melanoma/a.png", "melanoma"),
            ("melanoma/deep/er/c.png", "melanoma"),
            ("nevus/a.JPG", "nevus"),
            ("nevus/b.png", "nevus"),
        ]
        assert all(record.group is None and record.split is None for record in records)

    @pytest.mark.parametrize(
        ("name", "split"), [("train", "train"), ("Valid", "val"), ("validation", "val"), ("test", "test")]
    )
    def test_split_folders_prescribe(self, name: str, split: str, tmp_path: Path) -> None:
        for folder in (name, "training"):
            touch(tmp_path / folder / "a" / "1.png")
            touch(tmp_path / folder / "b" / "1.png")
        found = {record.image: record.split for record in read("folder", tmp_path)}
        assert found[f"{name}/a/1.png"] == split
        assert found["training/b/1.png"] == "train"

    def test_every_ending_that_is_read_in_any_case(self, tmp_path: Path) -> None:
        for number, suffix in enumerate(sorted(SUFFIXES)):
            touch(tmp_path / "ab"[number % 2] / f"{number}{suffix.upper() if number % 3 else suffix}")
        assert {".jfif", ".jpe", ".jpg", ".png"} < SUFFIXES
        assert len(read("folder", tmp_path)) == len(SUFFIXES)

    def test_what_looks_like_a_picture_and_is_left_out_is_said_once(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            for name in ("a/1.png", "b/1.png"):
                touch(tmp_path / split / name)
        for name in ("a/x.heic", "a/y.HEIC", "a/z.jp2", "b/IM1", "b/1.2.840", "stray.png", "LICENSE", "a/notes.txt"):
            touch(tmp_path / "train" / name)
        for name in ("a/w.heic", "b/1.jp2", "b/2.jp2", "b/3.jp2"):
            touch(tmp_path / "train" / name)
        touch(tmp_path / "loose.dcm")
        source = open_source("folder", tmp_path)
        assert len(source.records) == 4
        assert source.cautions == (
            "11 files are left out: 1 .840 (train/b/1.2.840); 3 .heic (train/a/w.heic, train/a/x.heic, train/a/y.HEIC); "
            "4 .jp2 (train/a/z.jp2, train/b/1.jp2, train/b/2.jp2, ...); "
            "2 in no class (loose.dcm, train/stray.png); 1 without an ending (train/b/IM1)",
        )

    def test_only_folders_that_systems_keep_for_themselves_are_no_classes(self, tmp_path: Path) -> None:
        for name in ("__unknown__/1.png", "nv/1.png", "__MACOSX/1.png", "@eaDir/1.png", ".git/1.png"):
            touch(tmp_path / name)
        touch(tmp_path / "nv" / "@eaDir" / "1.png" / "SYNOPHOTO_THUMB_M.jpg")
        source = open_source("folder", tmp_path)
        assert [record.image for record in source.records] == ["__unknown__/1.png", "nv/1.png"]
        assert source.cautions == ()

    def test_links_to_folders_are_followed_once_and_never_up(self, tmp_path: Path) -> None:
        root = make_folder(tmp_path / "set")
        touch(tmp_path / "elsewhere" / "deep" / "1.png")
        (tmp_path / "elsewhere" / "deep" / "back").symlink_to(tmp_path / "elsewhere")
        (root / "nevus" / "patient").symlink_to(tmp_path / "elsewhere")
        (root / "nevus" / "again").symlink_to(tmp_path / "elsewhere")
        (root / "nevus" / "up").symlink_to(tmp_path)
        (root / "nevus" / "root").symlink_to(root)
        found = [record.image for record in read("folder", root) if record.label == "nevus"]
        assert found == ["nevus/a.JPG", "nevus/again/deep/1.png", "nevus/b.png"]

    @pytest.mark.parametrize("kind", ["folder", "ham10000"])
    def test_a_folder_that_may_not_be_entered(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = MAKERS[kind](tmp_path / "set")
        touch(root / "nevus" / "closed" / "1.png")
        scan = os.scandir

        def scandir(path: Any) -> Any:  # root may enter everything
            if str(path).endswith("closed"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)
        with pytest.raises(DataError, match="nevus/closed: cannot be read: Permission denied"):
            read(kind, root)

    def test_split_folders_beside_others_are_refused(self, tmp_path: Path) -> None:
        for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "nevus/1.png"):
            touch(tmp_path / name)
        with pytest.raises(DataError, match=r"\(test, train\) beside others \(nevus\)"):
            read("folder", tmp_path)

    def test_one_wrapping_folder_is_named_in_the_hint(self, tmp_path: Path) -> None:
        make_folder(tmp_path / "dataset")
        with pytest.raises(DataError, match=r"one class \(dataset\)[^?]*is it .*dataset\?"):
            read("folder", tmp_path)

    def test_busi_masks(self, tmp_path: Path) -> None:
        for name in (
            "x (1).png",
            "x (1)_mask.png",
            "x (1)_mask_1.png",
            "x (2).png",
            "x (2)_mask_1.png",
            "y_masked.png",
        ):
            touch(tmp_path / "benign" / name)
        touch(tmp_path / "normal" / "n.png")
        found = {record.image: record.mask for record in read("folder", tmp_path)}
        assert found == {
            "benign/x (1).png": "benign/x (1)_mask.png",
            "benign/x (2).png": "benign/x (2)_mask_1.png",
            "benign/y_masked.png": None,
            "normal/n.png": None,
        }

    @pytest.mark.parametrize("name", ["1_MASK.PNG", "1_Mask_2.png", "1-mask.png", "1_segmentation.png"])
    def test_other_spellings_of_masks(self, name: str, tmp_path: Path) -> None:
        make_folder(tmp_path)
        touch(tmp_path / "nevus" / "1.jpg")
        touch(tmp_path / "nevus" / name)
        masks = {record.image: record.mask for record in read("folder", tmp_path)}
        assert masks["nevus/1.jpg"] == f"nevus/{name}"
        assert len(masks) == 5

    def test_masks_without_a_picture_and_empty_classes_are_said(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        touch(tmp_path / "nevus" / "gone_mask.png")
        deeper = "melanoma is a class, and 1 of 4 pictures lie in folders below: deep"
        assert readers.read("folder", tmp_path).cautions == [
            "nevus: 1 masks have no picture beside them and are ignored",
            deeper,
        ]
        (tmp_path / "nevus" / "gone_mask.png").unlink()
        touch(tmp_path / "papers" / "paper.pdf")
        reading = readers.read("folder", tmp_path)
        assert reading.cautions == [
            "papers: holds no pictures and is ignored",
            deeper,
            "1 files are left out: 1 .pdf (papers/paper.pdf)",
        ]
        assert {record.label for record in reading.records} == {"melanoma", "nevus"}


class TestHam10000:
    def test_groups_and_metadata(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        first, second, third = read("ham10000", tmp_path)
        assert first.image == "HAM10000_images_part_1/ISIC_1.jpg"
        assert first.group == second.group == "HAM_1" != third.group
        assert dict(first.metadata) == {"dx_type": "histo", "age": "45.0", "sex": "male", "localization": "back"}
        assert dict(third.metadata) == {"dx_type": "histo", "localization": "ear"}, "missing age and sex stay missing"

    @pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata", "ham10000_METADATA.CSV"])
    def test_the_table_under_its_other_names(self, name: str, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        table = tmp_path / "HAM10000_metadata.csv"
        expected = read("ham10000", tmp_path)
        if not name.lower().endswith(".csv"):
            lines = table.read_text().splitlines()
            quoted = ["\t".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
            table.write_text("\r\n".join(quoted), encoding="utf-8-sig")
        table.rename(tmp_path / name)
        assert read("ham10000", tmp_path) == expected

    @pytest.mark.parametrize("folder", ["", "images", "ham10000_images_part1", "HAM10000_images"])
    def test_images_wherever_they_lie(self, folder: str, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        for image in sorted(tmp_path.glob("HAM10000_images_part_*/*.jpg")):
            (tmp_path / folder).mkdir(exist_ok=True)
            image.rename(tmp_path / folder / image.name)
        prefix = f"{folder}/" if folder else ""
        assert [record.image for record in read("ham10000", tmp_path)] == [f"{prefix}ISIC_{n}.jpg" for n in (1, 2, 3)]

    def test_images_twice_are_read_once(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        touch(tmp_path / "ham10000_images_part_1" / "ISIC_1.jpg")
        reading = readers.read("ham10000", tmp_path)
        assert len(reading.records) == 3
        (caution,) = reading.cautions
        assert re.search(r"1 image files are further copies .* ham\S+1\.jpg beside HAM\S+1\.jpg", caution)

    @pytest.mark.parametrize("folder", ["annotations", "masks"])
    def test_a_photograph_goes_before_a_png_of_its_id(self, folder: str, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        touch(tmp_path / folder / "ISIC_1.png")
        reading = readers.read("ham10000", tmp_path)
        assert reading.records[0].image == "HAM10000_images_part_1/ISIC_1.jpg"
        (caution,) = reading.cautions
        assert caution.endswith(f"{folder}/ISIC_1.png beside HAM10000_images_part_1/ISIC_1.jpg")

    def test_images_without_a_row_are_said(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        touch(tmp_path / "HAM10000_images_part_2" / "ISIC_9.jpg")
        reading = readers.read("ham10000", tmp_path)
        assert len(reading.records) == 3
        assert reading.cautions == ["1 image files have no row in the metadata table and are ignored"]

    def test_all_wrong_rows_are_named_at_once(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        (tmp_path / "HAM10000_images_part_2" / "ISIC_3.jpg").unlink()
        edit(tmp_path / "HAM10000_metadata.csv", "ISIC_2,nv", "ISIC_2,naevus")
        with pytest.raises(
            DataError, match=r":2: dx: got 'naevus'.*\n.*:4: image_id: there is no image file of 'ISIC_3'\n.*both image"
        ):
            read("ham10000", tmp_path)

    def test_ids_with_an_ending(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        edit(tmp_path / "HAM10000_metadata.csv", "ISIC_2", "ISIC_2.jpg")
        with pytest.raises(DataError, match=r"part_1/ISIC_2\.jpg is there: write the id without its ending"):
            read("ham10000", tmp_path)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("dx,", "diagnosis,", "dx missing"),
            (",nv,", ",naevus,", r":2: dx: got 'naevus', expected one of akiec"),
            ("HAM_1,ISIC_1", ",ISIC_1", r":3: lesion_id: got nothing"),
            ("ISIC_1", "ISIC_2", r":3: image_id: got ISIC_2 a second time"),
            (",male", "", r":2: got 6 cells, expected 7"),
        ],
    )
    def test_a_wrong_table_is_refused_with_its_line(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        edit(tmp_path / "HAM10000_metadata.csv", old, new)
        with pytest.raises(DataError, match=message):
            read("ham10000", tmp_path)

    def test_a_table_that_is_not_text(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        (tmp_path / "HAM10000_metadata.csv").write_bytes(b"lesion_id\xff\xfe")
        with pytest.raises(DataError, match="not UTF-8"):
            read("ham10000", tmp_path)

    def test_the_real_one(self, ham10000: Path) -> None:
        records = read("ham10000", ham10000)
        assert {record.label for record in records} == {"akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"}
        assert len(records) > 8000
        assert len({record.group for record in records}) < 0.8 * len(records)


class TestSkinPhantom:
    def test_lesions_and_metadata(self, tmp_path: Path) -> None:
        make_skin_phantom(tmp_path)
        first, second = read("skin_phantom", tmp_path)
        assert (first.label, first.group, first.mask, first.split) == ("nv", "L1", "masks/1.png", None)
        assert dict(first.metadata)["device"] == "phone"
        assert second.mask is None

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("images/1.png", "images/9.png", r"metadata.csv:2: image: images/9.png is not there"),
            ("masks/1.png", "masks/9.png", r"mask: masks/9.png is not there"),
            ("images/2.png", "images/1.png", "a second time"),
            ("back,", "back,dev", "split: got 'dev', expected train, val, test or nothing"),
        ],
    )
    def test_a_wrong_table_is_refused(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        make_skin_phantom(tmp_path)
        edit(tmp_path / "metadata.csv", old, new)
        with pytest.raises(DataError, match=message):
            read("skin_phantom", tmp_path)


class TestCsv:
    def test_columns_are_found_by_their_usual_names(self, tmp_path: Path) -> None:
        first, second = read("csv", make_csv(tmp_path))
        assert (first.image, first.label, first.group) == ("scans/a.png", "nevus", "P1")
        assert (first.mask, first.split, dict(first.metadata)) == ("masks/a.png", "train", {"age": "45"})
        assert (second.image, second.label) == ("scans/b 2.png", "melanoma, thin")
        assert (second.mask, second.split, dict(second.metadata)) == (None, None, {})

    def test_a_folder_with_one_table_is_as_good(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path)
        assert read("csv", tmp_path) == read("csv", table)
        (tmp_path / "more.tsv").write_text("")
        with pytest.raises(DataError, match=r"got 2 \(more\.tsv, scans\.csv\), expected one"):
            read("csv", tmp_path)

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: "\ufeff" + text,
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace("\n", "\r"),
            lambda text: text.replace('"melanoma, thin"', "melanoma_ thin").replace(",", ";").replace("_", ","),
            lambda text: text.replace('"melanoma, thin"', "melanoma_ thin").replace(",", "\t").replace("_", ","),
            lambda text: text + "\n,,,,,\n ,,,,,\n",
            lambda text: text.replace("scans/a", "./scans//a").replace("scans/b", "scans\\b"),
            lambda text: text.replace("Image,", " IMAGE ,"),
            lambda text: "sep=,\n" + text,
            lambda text: (
                "\ufeffsep=;\r\n"
                + text.replace('"melanoma, thin"', "melanoma_ thin").replace(",", ";").replace("_", ",")
            ),
            lambda text: text.replace(",,,\n", ",,,,, \n"),
            lambda text: text.replace(",,,\n", ",NA,n/a,\n"),
        ],
        ids=[
            *("BOM", "CRLF", "CR", "semicolons", "tabs", "empty rows", "spelling of paths", "spelling of names"),
            *("Excel's separator", "Excel's other separator", "cells beyond the header", "words for nothing"),
        ],
    )
    def test_other_spellings_of_the_same_table(self, change: Callable[[str], str], tmp_path: Path) -> None:
        expected = read("csv", make_csv(tmp_path / "a"))
        table = make_csv(tmp_path / "b")
        table.write_bytes(change(CSV).encode())
        assert read("csv", table) == expected

    def test_the_recipe_names_columns(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path, CSV.replace("Diagnosis", "Befund").replace("Patient ID", "lesion"))
        columns = {"label": "befund", "group": "Age"}
        first, _ = read("csv", table, columns)
        assert (first.label, first.group, first.metadata["lesion"]) == ("nevus", "45", "P1")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("Diagnosis", "diagnoses", r":1: no column is the label(.|\n)*columns: \{label: diagnoses\}"),
            ("Age", "image", r":1: got column image twice"),
            ("scans/b 2.png", "../b.png", r":4: image: got \.\./b\.png, which leaves"),
            ("scans/b 2.png", "scans/../../b.png", r":4: image: got .* which leaves"),
            ("scans/b 2.png", "/data/b.png", r":4: image: got the absolute path"),
            ("scans/b 2.png", "C:\\data\\b.png", r":4: image: got the absolute path"),
            ("scans/b 2.png", "./scans/a.png", r":4: got scans/a\.png a second time, with the group P2; before it was P1"),
            ("scans/b 2.png", "", r":4: image: got nothing"),
            ("masks/a.png", "/masks/a.png", r":2: segmentation: got the absolute path"),
            (",45", "", r":2: got 5 cells, expected 6"),
            ('P2,,,\n', 'P2,,held,\n', r":4: set: got 'held', expected train, val, test or nothing"),
            ("nevus", "melanoma, thin", "got 7 cells"),
        ],
    )  # fmt: skip
    def test_a_wrong_table_is_refused_with_its_line(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        table = make_csv(tmp_path)
        edit(table, old, new)
        with pytest.raises(DataError, match=message):
            read("csv", table)

    def test_all_wrong_rows_are_named_at_once(self, tmp_path: Path) -> None:
        rows = "".join(f"/{number}.png,x\n" for number in range(14))
        table = make_csv(tmp_path, f"path,label\n{rows}")
        with pytest.raises(DataError, match=r"csv:2: path(.|\n)*csv:11: (.|\n)*\.\.\. and 4 more$") as caught:
            read("csv", table)
        assert "csv:12:" not in str(caught.value)

    def test_a_column_that_only_looks_like_a_split_is_metadata(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path, CSV.replace("Set", "fold").replace("Training", "3"))
        source = open_source("csv", table)
        assert source.records[0].split is None
        assert source.records[0].metadata["fold"] == "3"
        assert source.cautions == ("column fold holds no splits (train, val, test) and is taken as metadata",)
        with pytest.raises(DataError, match="fold: got '3'"):
            open_source("csv", table, layout=Layout(columns={"split": "fold"}))

    def test_an_unknown_column_of_the_recipe(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"data\.columns\.group: got 'patient'(.|\n)*did you mean 'Patient ID'"):
            read("csv", make_csv(tmp_path), {"group": "patient"})

    def test_missing_files_are_left_to_the_decoding_unless_all_are(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path)
        (tmp_path / "scans" / "a.png").unlink()
        assert len(open_source("csv", table).records) == 2
        (tmp_path / "scans" / "b 2.png").unlink()
        with pytest.raises(
            DataError, match=r"none of 2 pictures is where the data set says(.|\n)*relative to its folder"
        ):
            open_source("csv", table)

    def test_an_open_quote_is_refused_where_its_row_begins(self, tmp_path: Path) -> None:
        table = make_csv(
            tmp_path, 'path,label,notes\n\n1.png,x,"two\nlines"\n2.png,y,"5 mm lesion\n3.png,x,\n4.png,y,\n'
        )
        with pytest.raises(DataError, match=r"scans\.csv:5: the row that begins here(.|\n)*has to close it"):
            read("csv", table)

    def test_separators_in_a_quoted_header_do_not_count(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path, '"path";"label";"a,b,c,d"\nscans/a.png;x;1\nscans/b 2.png;y;2\n')
        assert [dict(record.metadata) for record in read("csv", table)] == [{"a,b,c,d": "1"}, {"a,b,c,d": "2"}]

    @pytest.mark.parametrize("word", ["NA", "n/a", "nan", "NULL", "None"])
    def test_words_for_nothing(self, word: str, tmp_path: Path) -> None:
        text = (
            f"path,label,mask,group,set,note\nscans/a.png,x,{word},{word},{word},{word}\nscans/b 2.png,y,,P2,train,\n"
        )
        first, _ = read("csv", make_csv(tmp_path, text))
        assert (first.mask, first.group, first.split, dict(first.metadata)) == (None, None, None, {"note": word})
        edit(tmp_path / "scans.csv", "scans/a.png,x", f"scans/a.png,{word}")
        with pytest.raises(DataError, match=f":2: label: got {word}, expected the picture's label"):
            open_source("csv", tmp_path / "scans.csv")

    @pytest.mark.parametrize(("disk", "table"), [("NFD", "NFC"), ("NFC", "NFD")])
    def test_paths_as_a_mac_spells_them(self, disk: Any, table: Any, tmp_path: Path) -> None:
        there = unicodedata.normalize(disk, "scans/é.png")
        touch(tmp_path / there)
        named = unicodedata.normalize(table, "scans/é.png")
        text = f"path,label,mask\nscans/a.png,x,{named}\n{named},y,\n"
        records = open_source("csv", make_csv(tmp_path, text)).records
        assert (records[0].mask, records[1].image) == (there, there)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            (
                {"label": "Diagnosis", "group": " diagnosis "},
                r":1: data\.columns: got 'Diagnosis' for two of label, group",
            ),
            ({"label": "nothing"}, r":1: data\.columns\.label: got 'nothing'"),
        ],
    )
    def test_columns_that_are_wrong(self, columns: dict[str, str], message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=message):
            read("csv", make_csv(tmp_path), columns)

    def test_columns_of_no_role_or_of_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="got 'lable', expected one of path, label"):
            read("csv", make_csv(tmp_path), {"lable": "Diagnosis"})
        with pytest.raises(UsageError, match="only a csv has them"):
            read("folder", tmp_path, {"label": "Diagnosis"})

    def test_a_missing_column_is_named_with_both_ways_to_say_it(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path, CSV.replace("Diagnosis", "diagnoses"))
        with pytest.raises(
            DataError, match=r"\{columns: \{label: diagnoses\}\}; beside --data: --columns label=diagnoses"
        ):
            read("csv", table)

    def test_what_is_left_out_need_not_be_there(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path, CSV + "gone.png,nevus,,,,\n")
        assert len(open_source("csv", table, exclude=["gone.png"]).records) == 2

    def test_a_table_beside_its_link_starts_where_the_link_stands(self, tmp_path: Path) -> None:
        table = make_csv(tmp_path / "set")
        (tmp_path / "annex").mkdir()
        table.rename(tmp_path / "annex" / "content")
        table.symlink_to(tmp_path / "annex" / "content")
        assert open_source("csv", table).root == tmp_path / "set"


class TestMedMnist:
    @pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 3)])
    def test_pixels_labels_and_splits_survive(self, shape: tuple[int, ...], tmp_path: Path) -> None:
        content = arrays(5, shape)
        source = open_source("medmnist", make_medmnist(tmp_path / "set", **content), unpack_to=tmp_path / "store")
        assert len(source.records) == 15
        for split in ("train", "val", "test"):
            records = [record for record in source.records if record.split == split]
            assert [record.label for record in records] == ["0", "1", "0", "1", "0"]
            for record, pixels in zip(records, content[f"{split}_images"], strict=True):
                np.testing.assert_array_equal(np.asarray(Image.open(source.root / record.image)), np.squeeze(pixels))

    def test_unpacked_once_and_by_content(self, tmp_path: Path) -> None:
        first = open_source("medmnist", make_medmnist(tmp_path / "a"), unpack_to=tmp_path / "store").root
        touched = (first / "labels.csv").stat().st_mtime_ns
        again = open_source("medmnist", make_medmnist(tmp_path / "b"), unpack_to=tmp_path / "store").root
        assert (again, (again / "labels.csv").stat().st_mtime_ns) == (first, touched)
        other = make_medmnist(tmp_path / "a", **arrays(4))
        assert open_source("medmnist", other, unpack_to=tmp_path / "store").root != first

    def test_an_unpacking_that_fails_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        root = make_medmnist(tmp_path / "set")
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(EnvironmentFault, match="the disk is full"):
            open_source("medmnist", root, unpack_to=tmp_path / "store")
        assert [path.name for path in (tmp_path / "store").iterdir()] == ["files.sqlite"]

    def test_what_a_killed_unpacking_left_is_removed(self, tmp_path: Path) -> None:
        touch(tmp_path / "store" / "1-abc.part-999999999" / "train" / "000000.png")
        at_work = f"1-abc.part-{os.getppid()}"
        touch(tmp_path / "store" / at_work / "train" / "000000.png")
        open_source("medmnist", make_medmnist(tmp_path / "set"), unpack_to=tmp_path / "store")
        assert [path.name for path in (tmp_path / "store").glob("*.part-*")] == [at_work]

    @pytest.mark.parametrize(("side", "each"), [(8, 4096), (70, 4900)])
    @pytest.mark.parametrize("enough", [True, False])
    def test_every_file_takes_its_pixels_and_a_block_of_the_disk_at_least(
        self, side: int, each: int, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free = 9 * each - (not enough)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
        root = make_medmnist(tmp_path / "set", **arrays(3, (side, side)))
        if enough:
            assert len(open_source("medmnist", root, unpack_to=tmp_path / "store").records) == 9
            return
        with pytest.raises(
            EnvironmentFault, match=r"got 0\.0 GB of free disk, expected 0\.0 GB for the unpacked images"
        ):
            open_source("medmnist", root, unpack_to=tmp_path / "store")

    def test_unpacking_is_told(self, tmp_path: Path) -> None:
        told: list[object] = []

        class Heard(Silent):
            def say(self, message: str) -> None:
                told.append(message)

            def advance(self, label: str, done: int, total: int) -> None:
                told.append((label, done, total))

        content = arrays(100, (2, 2))
        root = make_medmnist(tmp_path / "set", **content)
        open_source("medmnist", root, unpack_to=tmp_path / "store", progress=Heard())
        assert told == ["unpacking 300 images of set.npz", ("unpack", 256, 300), ("unpack", 300, 300)]

    def test_a_damaged_archive(self, tmp_path: Path) -> None:
        root = make_medmnist(tmp_path / "set", **arrays(50, (28, 28)))
        content = bytearray(root.read_bytes())
        content[len(content) // 4] ^= 0xFF
        root.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            open_source("medmnist", root, unpack_to=tmp_path / "store")
        assert [path.name for path in (tmp_path / "store").iterdir()] == ["files.sqlite"]
        root.write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match="is damaged"):
            open_source("medmnist", root, unpack_to=tmp_path / "store")

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_one_changed_pixel_of_an_uncompressed_archive(self, split: str, tmp_path: Path) -> None:
        root, content = tmp_path / "set.npz", arrays()
        np.savez(root, **content)
        whole = bytearray(root.read_bytes())
        whole[whole.index(content[f"{split}_images"].tobytes()) + 100] ^= 1
        root.write_bytes(whole)
        with pytest.raises(DataError, match=rf"is damaged: Bad CRC-32 for file '{split}_images\.npy'"):
            open_source("medmnist", root, unpack_to=tmp_path / "store")

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"val_labels": np.zeros((3, 14), np.uint8)}, r"val_labels: got \[3, 14\], several labels an image"),
            ({"train_images": np.zeros((3, 28, 28, 28), np.uint8)}, r"\[3, 28, 28, 28\], volumes, expected"),
            ({"train_images": np.zeros((3, 8, 8), np.float32)}, "train_images: got float32, expected uint8"),
            ({"train_images": np.zeros((3, 8, 8, 2), np.uint8)}, r"\[3, 8, 8, 2\], volumes, expected"),
            ({"train_images": np.zeros((3, 8, 8, 8, 1), np.uint8)}, r"\[3, 8, 8, 8, 1\], volumes, expected"),
            ({"train_images": np.zeros((3, 8), np.uint8)}, r"got \[3, 8\], expected \[N, H, W\]"),
            ({"train_images": np.zeros((2, 8, 8), np.uint8)}, "train_images: got 2 images and 3 labels"),
            ({"train_labels": np.zeros((3, 1, 1), np.uint8)}, r"train_labels: got uint8 \[3, 1, 1\], expected whole"),
            ({"test_images": np.zeros((3, 8, 0), np.uint8)}, "got images of 8x0"),
            ({"train_labels": np.zeros((3, 1), np.float32)}, "train_labels: got float32"),
            ({"test_labels": np.zeros((2, 1), np.uint8)}, "test_images: got 3 images and 2 labels"),
            ({"test_images": np.array([None, 1, "x"])}, "got pickled objects"),
            ({"test_images": np.zeros((3, 0, 8), np.uint8)}, "got images of 0x8"),
            ({"train_images": np.asfortranarray(np.zeros((3, 8, 8), np.uint8))}, "Fortran"),
            ({"val_labels": np.zeros((0, 1), np.uint8), "val_images": np.zeros((0, 8, 8), np.uint8)}, "val_labels"),
            ({f"{split}_labels": np.zeros((3, 1), np.uint8) for split in ("train", "val", "test")}, "one class"),
        ],
    )
    def test_what_it_is_not(self, changed: dict[str, Any], message: str, tmp_path: Path) -> None:
        root = make_medmnist(tmp_path / "set", **changed)
        with pytest.raises(DataError, match=message):
            open_source("medmnist", root, unpack_to=tmp_path / "store")

    @pytest.mark.parametrize("side", [1, 4096, 4097])
    def test_images_have_up_to_4096_rows_and_columns(self, side: int, tmp_path: Path) -> None:
        for shape in ((3, side, 1), (3, 1, side)):
            root = make_medmnist(tmp_path / "set", val_images=np.zeros(shape, np.uint8))
            if side <= 4096:
                assert len(open_source("medmnist", root, unpack_to=tmp_path / "store").records) == 9
                continue
            with pytest.raises(DataError, match=rf"got images of {shape[1]}x{shape[2]}, expected 1..4096"):
                open_source("medmnist", root, unpack_to=tmp_path / "store")

    @pytest.mark.parametrize("labels", [np.arange(3) % 2, (np.arange(3) % 2)[:, None].astype(np.int32)])
    def test_labels_of_any_whole_type_in_one_or_two_axes(self, labels: Any, tmp_path: Path) -> None:
        root = make_medmnist(tmp_path / "set", train_labels=labels)
        records = open_source("medmnist", root, unpack_to=tmp_path / "store").records
        assert [record.label for record in records if record.split == "train"] == ["0", "1", "0"]

    @pytest.mark.parametrize("header", [b"{'descr': (", b"\xff" * 9, b"[] + {}", b"{'descr': '<f8', 'shape': ()}", b""])
    def test_headers_that_are_none(self, header: bytes, tmp_path: Path) -> None:
        root = make_medmnist(tmp_path / "set")
        content = {f"{name}.npy": b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header for name in arrays()}
        with zipfile.ZipFile(root, "w") as archive:
            for name, array in content.items():
                archive.writestr(name, array)
        with pytest.raises(DataError, match=r"set\.npz: train_labels: is no array"):
            open_source("medmnist", root, unpack_to=tmp_path / "store")

    def test_any_changed_byte_is_read_or_refused(self, tmp_path: Path) -> None:
        root = make_medmnist(tmp_path / "set")
        whole, draw = root.read_bytes(), np.random.default_rng(0)
        for place in draw.integers(0, len(whole), 300):
            content = bytearray(whole)
            content[place] ^= int(draw.integers(1, 256))
            root.write_bytes(content)
            with contextlib.suppress(DataError):
                open_source("medmnist", root, unpack_to=tmp_path / "store")

    def test_errors_name_the_archive_not_where_it_was_unpacked(self, tmp_path: Path) -> None:
        ones = {f"{split}_labels": np.zeros((3, 1), np.uint8) for split in ("train", "val", "test")}
        root = make_medmnist(tmp_path / "set", **ones)
        with pytest.raises(DataError) as caught:
            open_source("medmnist", root, unpack_to=tmp_path / "store")
        assert caught.value.place == str(root)
        unpacked = next(path for path in (tmp_path / "store").iterdir() if path.is_dir())
        with pytest.raises(DataError, match=r"^bloodmnist\.npz: got one class"):
            open_source("medmnist", unpacked, named="bloodmnist.npz")

    def test_other_archives(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", images=np.zeros(3))
        with pytest.raises(DataError, match=r"got arrays images; train_images, train_labels(.|\n)*missing"):
            open_source("medmnist", tmp_path / "x.npz", unpack_to=tmp_path / "store")


class TestOddities:
    def labelled(self, root: Path, *labels: str) -> Path:
        rows = [f'{number}.png,"{label}"' for number, label in enumerate(labels)]
        touch(root / "0.png")
        (root / "scans.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
        return root / "scans.csv"

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            (("benign", "benign", "Benign", "mel"), '{"Benign": "benign"}'),
            (
                ("basal cell", "basal  cell", "basalcell", "basal cell"),
                '{"basal  cell": "basal cell", "basalcell": "basal cell"}',
            ),
            (("na\u00efve", "nai\u0308ve", "na\u00efve"), '{"nai\u0308ve": "na\u00efve"}'),
            (("b\u200b", "b\u200b", "b"), '{"b\\u200b": "b"}'),
        ],
        ids=["case", "spaces", "Unicode form", "unseen"],
    )
    def test_labels_that_are_hardly_two_are_said_with_the_way_to_make_them_one(
        self, labels: tuple[str, ...], said: str, tmp_path: Path
    ) -> None:
        (caution,) = open_source("csv", self.labelled(tmp_path, *labels)).cautions
        assert caution.endswith(f"to make them one: data: {{labels: {said}}}")

    def test_a_recipe_that_names_them_all_means_it(self, tmp_path: Path) -> None:
        table = self.labelled(tmp_path, "mel", "Mel", "nv")
        assert open_source("csv", table, labels={"mel": "a", "Mel": "b"}).cautions == ()
        assert open_source("csv", table, labels={"mel": "a", "Mel": "a"}).cautions == ()
        (caution,) = open_source("csv", table, labels={"mel": "malignant"}).cautions
        assert caution.endswith('{labels: {"Mel": "malignant"}}')

    @pytest.mark.parametrize(("count", "images", "said"), [(11, 50, True), (10, 50, False), (30, 49, False)])
    def test_a_group_that_is_hardly_one_patient(self, count: int, images: int, said: bool, tmp_path: Path) -> None:
        rows = [f"{n}.png,{'ab'[n % 2]},{'unknown' if n < count else n}" for n in range(images)]
        touch(tmp_path / "0.png")
        (tmp_path / "scans.csv").write_text("\n".join(["path,label,group", *rows]))
        cautions = open_source("csv", tmp_path / "scans.csv").cautions
        assert [f"group 'unknown' holds {count} of {images} images" in caution for caution in cautions] == [True] * said

    def test_one_class_is_enough_where_nothing_is_trained(self, tmp_path: Path) -> None:
        touch(tmp_path / "nv" / "1.png")
        assert [record.label for record in open_source("folder", tmp_path, fewest=1).records] == ["nv"]
        with pytest.raises(DataError, match=r"none of 1 images left .* expected at least one class"):
            open_source("folder", tmp_path, fewest=1, exclude=["nv"])


def test_the_real_busi(busi: Path) -> None:
    records = read("folder", busi)
    assert {record.label for record in records} == {"benign", "malignant", "normal"}
    assert all(record.mask and not record.image.endswith("_mask.png") for record in records)
