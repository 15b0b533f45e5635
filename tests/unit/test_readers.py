"""Every reader, through the same promises; then what is particular to each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from edgetl.data.readers import READERS, read
from edgetl.data.records import DataWarning
from edgetl.errors import DataError, UsageError

HAM_HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"
PHANTOM_HEADER = "image,label,lesion,mask,device,skin_tone,age,sex,localization,split"


def touch(path: Path, content: bytes = b"picture") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def make_folder(root: Path) -> None:
    for name in ("nevus/b.png", "nevus/a.JPG", "melanoma/deep/er/c.png", "melanoma/a.png", "melanoma/a_mask.png"):
        touch(root / name)


def make_ham10000(root: Path) -> None:
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


def make_skin_phantom(root: Path) -> None:
    rows = (
        "images/1.png,nv,L1,masks/1.png,phone,II,40,male,back,",
        "images/2.png,mel,L2,,scope,VI,41,female,arm,",
    )
    root.mkdir(exist_ok=True)
    (root / "metadata.csv").write_text("\n".join((PHANTOM_HEADER, *rows)) + "\n")
    for name in ("images/1.png", "images/2.png", "masks/1.png"):
        touch(root / name)


MAKERS: dict[str, Callable[[Path], None]] = {
    "folder": make_folder,
    "ham10000": make_ham10000,
    "skin_phantom": make_skin_phantom,
}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_reader_is_under_contract() -> None:
    assert MAKERS.keys() == READERS.keys()


@pytest.mark.parametrize("kind", READERS)
class TestEveryReader:
    def test_paths_are_relative_posix_sorted_unique_and_there(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path)
        records = read(kind, tmp_path)
        images = [record.image for record in records]
        assert images == sorted(set(images))
        for path in [*images, *(record.mask for record in records if record.mask)]:
            assert not PurePosixPath(path).is_absolute()
            assert "\\" not in path
            assert (tmp_path / path).is_file()

    def test_two_readings_agree(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path)
        assert read(kind, tmp_path) == read(kind, tmp_path)

    def test_a_moved_root_reads_the_same(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path / "here")
        before = read(kind, tmp_path / "here")
        (tmp_path / "here").rename(tmp_path / "there")
        assert read(kind, tmp_path / "there") == before

    def test_masks_are_attached_and_never_images(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path)
        records = read(kind, tmp_path)
        masks = {record.mask for record in records} - {None}
        assert len(masks) == 1
        assert not masks & {record.image for record in records}

    def test_hidden_files_change_nothing(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path)
        before = read(kind, tmp_path)
        for name in (".hidden/x.png", "__MACOSX/nevus/._a.png", "Thumbs.db", ".DS_Store"):
            touch(tmp_path / name)
        assert read(kind, tmp_path) == before

    def test_missing_root_and_file_as_root(self, kind: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="got nothing, expected a folder"):
            read(kind, tmp_path / "nowhere")
        touch(tmp_path / "file")
        with pytest.raises(DataError, match="got a file"):
            read(kind, tmp_path / "file")

    def test_empty_root(self, kind: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"got no"):
            read(kind, tmp_path)

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file names that are not text")
    def test_a_name_that_is_not_text_is_refused_or_not_used(self, kind: str, tmp_path: Path) -> None:
        MAKERS[kind](tmp_path)
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/nevus/\xff.png")))
        if kind == "folder":
            with pytest.raises(DataError, match="not UTF-8"):
                read(kind, tmp_path)
        elif kind == "ham10000":
            with pytest.warns(DataWarning, match="1 image files have no row"):
                assert len(read(kind, tmp_path)) == 3
        else:
            assert len(read(kind, tmp_path)) == 2


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean ham10000"):
        read("ham1000", Path())


def test_reading_loads_no_picture_library() -> None:
    code = (
        "import sys, edgetl.data.readers, edgetl.data.splits, edgetl.data.leaks, edgetl.data.fingerprint;"
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

    def test_split_folders_beside_others_are_refused(self, tmp_path: Path) -> None:
        for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "nevus/1.png"):
            touch(tmp_path / name)
        with pytest.raises(DataError, match=r"\(test, train\) beside others \(nevus\)"):
            read("folder", tmp_path)

    def test_one_wrapping_folder_is_named_in_the_hint(self, tmp_path: Path) -> None:
        make_folder(tmp_path / "dataset")
        with pytest.raises(DataError, match=r"one folder \(dataset\)[^?]*is it .*dataset\?"):
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

    def test_masks_without_a_picture_and_empty_classes_are_said(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        touch(tmp_path / "nevus" / "gone_mask.png")
        with pytest.warns(DataWarning, match="nevus: 1 masks have no picture"):
            read("folder", tmp_path)
        (tmp_path / "nevus" / "gone_mask.png").unlink()
        touch(tmp_path / "papers" / "paper.pdf")
        with pytest.warns(DataWarning, match="papers: holds no pictures"):
            assert {record.label for record in read("folder", tmp_path)} == {"melanoma", "nevus"}


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
        with pytest.warns(DataWarning, match="1 image files are further copies"):
            assert len(read("ham10000", tmp_path)) == 3

    def test_images_without_a_row_are_said(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        touch(tmp_path / "HAM10000_images_part_2" / "ISIC_9.jpg")
        with pytest.warns(DataWarning, match="1 image files have no row"):
            assert len(read("ham10000", tmp_path)) == 3

    def test_rows_without_an_image_are_counted_and_named(self, tmp_path: Path) -> None:
        make_ham10000(tmp_path)
        (tmp_path / "HAM10000_images_part_2" / "ISIC_3.jpg").unlink()
        with pytest.raises(DataError, match=r"1 rows have no image file: ISIC_3[^.]*hint: put both image parts"):
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


def test_the_real_busi(busi: Path) -> None:
    records = read("folder", busi)
    assert {record.label for record in records} == {"benign", "malignant", "normal"}
    assert all(record.mask and not record.image.endswith("_mask.png") for record in records)
