"""Class folders as people download them: what they are taken for, what is said of it, and that hints work."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetl.data import readers
from edgetl.data.layout import Layout
from edgetl.data.readers.folder_names import are_no_classes, holds_masks, look_like_classes, says_nothing
from edgetl.data.readers.hints import as_yaml
from edgetl.data.records import Reading, Split, split_named, split_of, splits_within
from edgetl.data.source import Source, open_source
from edgetl.data.splits import split
from edgetl.errors import DataError


def files(*parts: str, count: int = 2, ending: str = ".png") -> list[str]:
    """Paths of `count` files in each of the folders that "a|b", "c|d" stand for: a/c/0.png, a/c/1.png, a/d/0.png, ..."""
    folders = product(*(part.split("|") for part in parts))
    return ["/".join((*folder, f"{number}{ending}")) for folder in folders for number in range(count)]


def make(root: Path, *names: str) -> Path:
    """A file of each name, with its own name in it; a folder where the name ends in a slash."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)
    return root


def read(root: Path, level: int = 1) -> Reading:
    return readers.read("folder", root, Layout(level=level))


def refused(root: Path, level: int = 1) -> DataError:
    with pytest.raises(DataError) as caught:
        read(root, level)
    return caught.value


def classes(reading: Reading | Source) -> dict[str, int]:
    return dict(Counter(record.label for record in reading.records))


def splits(reading: Reading) -> dict[str | None, int]:
    return dict(Counter(record.split for record in reading.records))


def proposed(text: str | None) -> dict[str, Any]:
    """What `data: {...}` in a hint or caution says, as YAML reads it."""
    assert text
    start = text.index("data: {")
    ends = [end for end in range(start, len(text)) if text[end] == "}"]
    end = next(end for end in ends if text[start : end + 1].count("{") == text[start : end + 1].count("}"))
    found: dict[str, Any] = yaml.safe_load(text[start : end + 1])["data"]
    return found


def followed(root: Path, data: dict[str, Any]) -> Source:
    """The data set, read as a hint proposes."""
    layout = Layout(level=data.get("level", 1))
    return open_source("folder", Path(data.get("root", root)), layout=layout, exclude=data.get("exclude", ()))


LC25000 = [*files("colon_image_sets", "colon_aca|colon_n"), *files("lung_image_sets", "lung_aca|lung_n|lung_scc")]
BREAKHIS = [
    *files("benign", "SOB", "adenosis|tubular_adenoma", "SOB_B_A-14-22549|SOB_B_A-14-22550", "40X|100X"),
    *files("malignant", "SOB", "ductal|lobular", "SOB_M_D-14-2523|SOB_M_D-14-2524", "40X|100X"),
]
KERMANY = files("train|val|test", "NORMAL|PNEUMONIA")


class TestLevel:
    def test_lc25000(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *LC25000))
        assert classes(reading) == {"colon_image_sets": 4, "lung_image_sets": 6}
        (caution,) = reading.cautions
        assert caution.startswith(
            "colon_image_sets, lung_image_sets are classes, and 10 of 10 pictures lie in folders below: "
        )
        assert "colon_aca, colon_n, lung_aca, lung_n, lung_scc, write data: {level: 2}" in caution
        source = followed(tmp_path, proposed(caution))
        assert classes(source) == dict.fromkeys(("colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"), 2)
        assert source.cautions == ()

    def test_the_level_is_the_next_one_that_parts_something(self, tmp_path: Path) -> None:
        make(tmp_path, *BREAKHIS)
        (caution,) = read(tmp_path).cautions
        assert proposed(caution) == {"level": 3}
        assert sorted(classes(source := followed(tmp_path, {"level": 3}))) == [
            *("adenosis", "ductal", "lobular", "tubular_adenoma")
        ]
        assert source.cautions == (), "patients and magnifications below a class that was chosen"
        error = refused(tmp_path, 2)
        assert error.message == "got one class (SOB), expected at least two classes with images"
        assert proposed(error.hint) == {"level": 3}

    def test_splits_lie_above_the_level(self, tmp_path: Path) -> None:
        make(tmp_path, *(f"{name}/{path}" for name in ("train", "test") for path in LC25000))
        assert proposed(read(tmp_path).cautions[0]) == {"level": 2}
        reading = read(tmp_path, 2)
        assert (len(classes(reading)), splits(reading)) == (5, {"train": 10, "test": 10})
        assert not reading.cautions

    def test_one_name_in_two_folders_is_one_class(self, tmp_path: Path) -> None:
        make(tmp_path, *files("left|right", "0|1|2"))
        assert proposed(read(tmp_path).cautions[0]) == {"level": 2}
        reading = read(tmp_path, 2)
        assert classes(reading) == {"0": 4, "1": 4, "2": 4}
        assert reading.cautions == [
            "folders of one name are one class: 0 (left/0, right/0); 1 (left/1, right/1); 2 (left/2, right/2)"
        ]

    @pytest.mark.parametrize("level", [3, 8])
    @pytest.mark.parametrize("above", [("",), ("train/", "test/")])
    def test_too_deep(self, above: tuple[str, ...], level: int, tmp_path: Path) -> None:
        make(tmp_path, *(f"{folder}{path}" for folder in above for path in LC25000))
        error = refused(tmp_path, level)
        assert (
            f"no pictures are in folders {level} levels below {'the splits' if above[1:] else 'root'}" in error.message
        )
        assert error.message.endswith(
            "level 1: colon_image_sets, lung_image_sets; level 2: colon_aca, colon_n, lung_aca, lung_n, lung_scc"
        )
        assert proposed(error.hint) == {"level": 2}
        assert len(classes(followed(tmp_path, {"level": 2}))) == 5

    def test_pictures_above_the_level_are_in_no_class(self, tmp_path: Path) -> None:
        make(tmp_path, *LC25000, *files("normal"), "lung_image_sets/x.dcm")
        reading = read(tmp_path, 2)
        assert len(classes(reading)) == 5
        assert reading.cautions == [
            "3 files are left out: 3 in no class (lung_image_sets/x.dcm, normal/0.png, normal/1.png)"
        ]

    def test_one_folder_may_hold_one_class(self, tmp_path: Path) -> None:
        (caution,) = read(make(tmp_path, *files("colon", "aca"), *files("lung", "scc|aca"))).cautions
        assert classes(followed(tmp_path, proposed(caution))) == {"aca": 4, "scc": 2}

    def test_no_level_is_proposed_where_pictures_lie_above_it(self, tmp_path: Path) -> None:
        (caution,) = read(make(tmp_path, *files("tumor", "glioma|meningioma"), *files("normal"))).cautions
        assert caution == "tumor is a class, and 4 of 6 pictures lie in folders below: glioma, meningioma"

    @pytest.mark.parametrize(
        "below",
        [
            *(
                "images",
                "imgs",
                "jpg",
                "Pictures",
                "patient_1|patient_2",
                "P001|P002|P003",
                "train|test",
                "case 1|case 2",
            ),
            *("part1|part2", "|".join(f"{number}" for number in range(30)), "one"),
        ],
    )
    def test_folders_that_are_no_classes_are_only_named(self, below: str, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("mel|nv", below)))
        assert set(classes(reading)) == {"mel", "nv"}
        (caution,) = reading.cautions
        assert f"pictures lie in folders below: {sorted(below.split('|'))[0]}" in caution
        assert "level" not in caution
        assert ("splits are read only where" in caution) == ("train" in below)

    def test_links_never_lead_up_at_any_level(self, tmp_path: Path) -> None:
        make(tmp_path / "set", *LC25000)
        for folder in ("again", "lung_image_sets/up", "lung_image_sets/lung_n/up"):
            (tmp_path / "set" / folder).symlink_to(tmp_path / "set")
        (tmp_path / "set/lung_image_sets/back").symlink_to(tmp_path)
        (tmp_path / "set/lung_image_sets/lung_n/back").symlink_to(tmp_path / "set/lung_image_sets")
        assert len(read(tmp_path / "set", 2).records) == 10
        assert len(read(tmp_path / "set", 1).records) == 10


class TestMasks:
    def test_covid_19_radiography(self, tmp_path: Path) -> None:
        make(tmp_path, *files("COVID|Normal|Viral Pneumonia", "images|masks"), "COVID.metadata.xlsx", "README.md.txt")
        reading = read(tmp_path)
        assert classes(reading) == {"COVID": 2, "Normal": 2, "Viral Pneumonia": 2}
        assert all(record.mask == record.image.replace("/images/", "/masks/") for record in reading.records)
        assert reading.cautions == [
            "6 pictures in COVID/masks, Normal/masks, Viral Pneumonia/masks are taken for masks of the pictures of the same "
            "names",
            "COVID, Normal, Viral Pneumonia are classes, and 6 of 6 pictures lie in folders below: images",
            "labels are the folders' names; tables beside them are not read: COVID.metadata.xlsx",
        ]

    def test_busi(self, tmp_path: Path) -> None:
        names = [
            f"{label}/{label} ({n}){end}.png" for label in ("benign", "normal") for n in (1, 2) for end in ("", "_mask")
        ]
        reading = read(make(tmp_path, *names, "benign/benign (1)_mask_1.png"))
        assert classes(reading) == {"benign": 2, "normal": 2}
        assert [record.mask for record in reading.records] == [name for name in names if "_mask" in name]
        assert not reading.cautions

    @pytest.mark.parametrize(
        "name",
        [
            "mask",
            "MASKS",
            "segmentation",
            "Segmentations",
            "seg",
            "label_masks",
            "annotations",
            "lung masks",
            "labels",
            "Ground_Truth",
        ],
    )
    @pytest.mark.parametrize("mask", ["1.png", "1_mask.png", "1_Mask_2.tif", "1-segmentation.png"])
    def test_names_of_folders_and_masks(self, name: str, mask: str, tmp_path: Path) -> None:
        reading = read(make(tmp_path, "a/1.jpg", f"a/{name}/{mask}", "b/1.jpg"))
        assert [(record.image, record.mask) for record in reading.records] == [
            ("a/1.jpg", f"a/{name}/{mask}"),
            ("b/1.jpg", None),
        ]
        assert reading.cautions == [f"1 pictures in a/{name} are taken for masks of the pictures of the same names"]

    def test_masks_without_a_picture_are_counted(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("a|b", "images"), *files("a", "masks", count=4)))
        assert len(reading.records) == 4
        assert reading.cautions[0] == (
            "4 pictures in a/masks are taken for masks of the pictures of the same names; 2 belong to no picture, "
            "or to one of several, and are ignored "
            "(a/masks/2.png, a/masks/3.png)"
        )

    def test_one_name_in_several_patients(self, tmp_path: Path) -> None:
        """Each patient's own folder of masks is meant, or the one of the same place; never somebody else's."""
        make(tmp_path, *files("a|b", "P1|P2", "images|masks", count=1))
        assert all(record.mask == record.image.replace("images", "masks") for record in read(tmp_path).records)
        other = make(
            tmp_path / "other", *files("a|b", "images", "P1|P2", count=1), *files("a|b", "masks", "P1|P3", count=1)
        )
        found = {record.image: record.mask for record in read(other).records}
        assert found["a/images/P1/0.png"] == "a/masks/P1/0.png"
        assert found["a/images/P2/0.png"] is None

    def test_a_mask_of_either_of_two_pictures_is_of_none(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("a|b", "P1|P2", "images", count=1), *files("a", "masks", count=1)))
        assert not any(record.mask for record in reading.records)
        assert "1 belong to no picture, or to one of several, and are ignored (a/masks/0.png)" in reading.cautions[0]

    @pytest.mark.parametrize("name", ["no_mask", "without mask", "lesions_no_mask", "unmasked", "masked"])
    def test_no_masks(self, name: str, tmp_path: Path) -> None:
        assert len(read(make(tmp_path, *files("a|b", name))).records) == 4
        assert not holds_masks(name)

    def test_folders_of_masks_beside_the_classes_are_said(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("a|b|masks|images")))
        (caution,) = reading.cautions
        assert caution.startswith(
            "taken for classes, although their names only say what files they hold: images, masks; "
        )
        assert classes(followed(tmp_path, proposed(caution))) == {"a": 2, "b": 2}

    def test_train_images_beside_classes_are_no_split(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("a|b|train_images")))
        assert splits(reading) == {None: 6}
        assert "what files they hold: train_images" in reading.cautions[0]

    def test_mask_may_be_a_class(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("mask|no_mask")))
        assert (classes(reading), reading.cautions) == ({"mask": 2, "no_mask": 2}, [])


class TestNestedOnceMore:
    def test_kermany(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *KERMANY, *(f"chest_xray/{path}" for path in KERMANY), "__MACOSX/train/._x.png"))
        assert sorted(record.image for record in reading.records) == sorted(KERMANY)
        assert splits(reading) == {"train": 4, "val": 4, "test": 4}
        assert reading.cautions == [
            "chest_xray holds test, train, val once more, as they lie beside it, and is left out: its 12 pictures have the "
            "names and sizes of those"
        ]

    @pytest.mark.parametrize("level", [1, 2])
    def test_brain_mri(self, level: int, tmp_path: Path) -> None:
        above = "set|other" if level == 2 else "."
        make(tmp_path, *files(above, "yes|no"), *files(above.split("|")[0], "brain_tumor_dataset", "yes|no"))
        reading = read(tmp_path, level)
        assert set(classes(reading)) == {"no", "yes"}
        assert "brain_tumor_dataset holds no, yes once more" in reading.cautions[0]
        assert not any("brain_tumor_dataset" in record.image for record in reading.records)

    @pytest.mark.parametrize("name", ["train", "again"])
    def test_classes_in_a_split_once_more(self, name: str, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *KERMANY, *files(f"train/{name}", "NORMAL|PNEUMONIA")))
        assert sorted(record.image for record in reading.records) == sorted(KERMANY)
        assert len(reading.cautions) == 1

    @pytest.mark.parametrize("difference", ["one more", "another size"])
    def test_what_is_no_copy_is_refused(self, difference: str, tmp_path: Path) -> None:
        root = make(tmp_path / "my set", *files("yes|no"), *files("inner set", "yes|no"))
        if difference == "one more":
            make(root, "inner set/no/2.png")
            message = "inner set holds no, yes as they lie beside it, and 1 of its 5 pictures are not those beside it, such as "
        else:
            (root / "inner set/no/2.png").write_text("")
            (root / "no/2.png").write_text("longer")
            message = "inner set holds no, yes as they lie beside it, and 1 of its 5 pictures "
        error = refused(root)
        assert error.message.startswith(message)
        assert error.message.endswith("such as inner set/no/2.png")
        assert classes(followed(root, proposed(error.hint))) == {"no": 3, "yes": 2}
        assert f"move inner set out of {root}" in (error.hint or "")
        (root / "inner set").rename(tmp_path / "elsewhere")
        assert set(classes(read(root))) == {"no", "yes"}

    def test_one_class_in_another(self, tmp_path: Path) -> None:
        reading = read(
            make(tmp_path, *files("benign|malignant"), *files("benign", "deep", "Malignant"), *files("a", "a"))
        )
        assert classes(reading) == {"a": 2, "benign": 4, "malignant": 2}
        assert reading.cautions[1] == (
            "folders inside a class have the name of another class: benign/deep/Malignant (taken for benign)"
        )

    def test_one_folder_of_a_name_beside_is_no_set(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("benign|malignant"), *files("benign", "malignant")))
        assert classes(reading) == {"benign": 4, "malignant": 2}
        assert reading.cautions[1].endswith("have the name of another class: benign/malignant (taken for benign)")

    @pytest.mark.parametrize("level", [1, 2])
    def test_what_a_class_holds_once_more_is_in_it(self, level: int, tmp_path: Path) -> None:
        place = ("s",) if level == 2 else ()
        reading = read(make(tmp_path, *files(*place, "a|b", "x|y"), *files(*place, "a", "z", "x|y")), level)
        assert classes(reading) == {"a": 8, "b": 4}

    def test_links_to_nowhere_are_no_copies(self, tmp_path: Path) -> None:
        make(tmp_path, *files("yes|no"), *files("inner", "yes|no"), "no/2.png")
        (tmp_path / "inner/no/2.png").symlink_to("nowhere")
        assert refused(tmp_path).message.endswith("1 of its 5 pictures are not those beside it, such as inner/no/2.png")

    def test_images_and_masks_in_each_are_no_copy(self, tmp_path: Path) -> None:
        assert set(classes(read(make(tmp_path, *files("a|b", "images|masks"), *files("images|masks"))))) == {
            "a",
            "b",
            "images",
            "masks",
        }

    def test_a_wrapped_set_names_the_inner_folder(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *(f"chest xray/{path}" for path in KERMANY)))
        assert len(followed(tmp_path, proposed(error.hint)).records) == 12


class TestSplits:
    @pytest.mark.parametrize(
        ("name", "split"),
        [
            *(
                (name, "train")
                for name in ("train", "Training", "TRAIN_SET", "trainset", "train_data", "train-data", "Train Set")
            ),
            *(
                (name, "val")
                for name in ("val", "valid", "Validation", "dev", "Development", "validation_set", "valid_data")
            ),
            *(
                (name, "test")
                for name in ("test", "Testing", "test_set", "TestSet", "test dataset", "eval", "Evaluation")
            ),
            *((name, None) for name in ("trained", "tests", "train_1", "holdout", "", "evaluated", "set", "detest")),
        ],
    )
    def test_names(self, name: str, split: Split | None) -> None:
        assert split_of(name) == split

    @pytest.mark.parametrize("name", ["train", "VAL", "TestData", "valid-set", "dev images", "training_split"])
    def test_what_a_table_calls_a_split_is_one_as_a_folder(self, name: str) -> None:
        assert split_named(name) == split_of(name) is not None

    @pytest.mark.parametrize(
        ("name", "splits"),
        [
            ("a. Training Set", {"train"}),
            ("ISIC2018_Task3_Validation_GroundTruth", {"val"}),
            ("train_and_test", {"train", "test"}),
            ("retrained", set()),
        ],
    )
    def test_splits_within_a_name(self, name: str, splits: set[Split]) -> None:
        assert splits_within(name) == splits

    @pytest.mark.parametrize(
        ("names", "found"),
        [
            ("train|eval", {"train": 4, "test": 4}),
            ("Train|EVALUATION", {"train": 4, "test": 4}),
            ("train|val|eval", {"train": 4, "val": 4, "test": 4}),
            ("train|eval|test", {"train": 4, "val": 4, "test": 4}),
            ("train|val|eval|test", {"train": 4, "val": 8, "test": 4}),
            ("train_images|val_images|Test Images", {"train": 4, "val": 4, "test": 4}),
            ("Training|dev|testset", {"train": 4, "val": 4, "test": 4}),
            ("Training|Testing", {"train": 4, "test": 4}),
        ],
    )
    def test_folders(self, names: str, found: dict[str, int], tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files(names, "glioma|notumor")))
        assert splits(reading) == found
        assert classes(reading).keys() == {"glioma", "notumor"}
        assert not reading.cautions

    @pytest.mark.parametrize("beside", [["val/"], ["val/a/", "val/b/"], ["val/a/readme.md"]])
    def test_an_empty_split_is_not_prescribed(self, beside: Sequence[str], tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("train|test", "a|b", count=10), *beside))
        assert "val: holds no pictures of a class; val counts as not prescribed" in reading.cautions
        dealt = Counter(split(reading.records, 0.2, 0.2, 0))
        assert dealt == {"train": 16, "val": 4, "test": 20}

    def test_pictures_in_one_of_two_folders_of_pictures_have_no_class(self, tmp_path: Path) -> None:
        """train_images is a split where classes are in it, though the other holds none, and not only classes lie there."""
        reading = read(make(tmp_path, *files("train_images", "a|b|images"), *files("test_images")))
        assert splits(reading) == {"train": 6}
        assert "test_images: holds no pictures of a class; test counts as not prescribed" in reading.cautions

    def test_an_unlabelled_test_set_is_left_out(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("train", "a|b", count=10), *files("test"), "sample_submission.csv"))
        assert splits(reading) == {"train": 20}
        assert reading.cautions == [
            "test: holds no pictures of a class; test counts as not prescribed",
            "labels are the folders' names; tables beside them are not read: sample_submission.csv",
            "2 files are left out: 2 in no class (test/0.png, test/1.png)",
        ]

    @pytest.mark.parametrize(
        ("beside", "said"),
        [
            (["docs/notes.md"], "docs: holds no pictures"),
            (files("masks"), "masks: 2 masks beside the split folders are ignored"),
        ],
    )
    def test_what_lies_beside_split_folders_and_is_no_class(
        self, beside: Sequence[str], said: str, tmp_path: Path
    ) -> None:
        reading = read(make(tmp_path, *KERMANY, *beside))
        assert len(reading.records) == 12
        assert reading.cautions[0].startswith(said)

    def test_hints_about_prescribed_splits_work(self, tmp_path: Path) -> None:
        make(tmp_path, *KERMANY, *files("train", "no: such|rare", count=9), *files("val", "no: such"))
        with pytest.raises(
            DataError, match=r"no: such has 11 groups \(train 9, val 2, test 0\), none in test; rare"
        ) as caught:
            split(read(tmp_path).records, 0.2, 0.2, 0)
        hint = caught.value.hint or ""
        assert proposed(hint) == {"split": {"prescribed": "ignore"}}
        source = open_source("folder", tmp_path, layout=Layout(prescribed=False))
        assert Counter(split(source.records, 0.2, 0.2, 0)).keys() == {"train", "val", "test"}
        labels = proposed(hint.partition(";")[2])["labels"]
        kept = open_source("folder", tmp_path, labels=labels)
        assert len(split(kept.records, 0.2, 0.2, 0)) == 12

    @pytest.mark.parametrize(("count", "classes", "dealt"), [(2, "a|b", False), (9, "a", True)])
    def test_no_hint_that_would_not_work(self, count: int, classes: str, dealt: bool, tmp_path: Path) -> None:
        """Two groups cannot be in three splits; and of one class nothing is left to tell apart."""
        make(tmp_path, *files("train|val|test", classes), *files("train", "lone", count=count))
        with pytest.raises(DataError) as caught:
            split(read(tmp_path).records, 0.2, 0.2, 0)
        assert ("prescribed: ignore" in (caught.value.hint or "")) == dealt
        assert ("lone" in (caught.value.hint or "")) != dealt

    def test_a_group_in_two_of_them_has_the_line_that_drops_them(self, tmp_path: Path) -> None:
        records = [replace(record, group=record.image[-5:]) for record in read(make(tmp_path, *KERMANY)).records]
        with pytest.raises(DataError) as caught:
            split(records, 0.2, 0.2, 0)
        assert proposed(caught.value.hint) == {"split": {"prescribed": "ignore"}}


TABLE = "path,label\ntrain/0.png,a\ntrain/1.png,b\n"


class TestNoClasses:
    @pytest.mark.parametrize(
        ("names", "said", "table"),
        [
            (
                [*files("train_images|test_images"), "train.csv", "test.csv"],
                "test_images, train_images hold",
                "train.csv",
            ),
            ([*files("train|test"), "x.json", "train.csv", "a.txt"], "test, train hold", "train.csv"),
            ([*files("images|masks"), "labels.tsv"], "images, masks hold", "labels.tsv"),
            ([*files("images|labels|annotations"), "a.csv"], "annotations, images, labels hold", "a.csv"),
            (
                [*files("images_001|images_002", "images"), "Data_Entry_2017.csv"],
                "images_001, images_002 hold",
                "Data_Entry_2017.csv",
            ),
            ([*files("images_001|images_2"), "b.csv"], "images_001, images_2 hold", "b.csv"),
            (
                [*files("ISIC_2019_Training_Input|ISIC_2019_Test_Input"), "G.csv"],
                "ISIC_2019_Test_Input, ISIC_2019_T",
                "G.csv",
            ),
            (
                [*files("stage_2_train_images|stage_2_test_images"), "s.csv"],
                "stage_2_test_images, stage_2_train_i",
                "s.csv",
            ),
            ([*files("HAM10000_images_part_1|HAM10000_images_part_2"), "m.csv"], "HAM10000_images_part_1, H", "m.csv"),
            (
                [*files("train|valid", "patient01|patient02", "study1|study2"), "train.csv", "valid.csv"],
                "train/patient01, ",
                "train.csv",
            ),
            ([*files("train|valid|test"), "train/_classes.csv"], "test, train, valid hold", "train/_classes.csv"),
            (
                [*files("train|val", "images"), "t.csv", *files("train|val", "labels", ending=".txt")],
                "train/images, v",
                "t.csv",
            ),
            ([*files("imgs"), "my labels.csv"], "imgs hold", "my labels.csv"),
        ],
    )
    def test_pictures_whose_labels_are_in_a_table(
        self, names: Sequence[str], said: str, table: str, tmp_path: Path
    ) -> None:
        root = make(tmp_path / "the set, new", *names)
        error = refused(root)
        assert error.message.startswith(said)
        assert "hold pictures and no class folders: the labels are in a table (" in error.message
        data = proposed(error.hint)
        assert data == {"kind": "csv", "root": str(root / table)}
        (word,) = shlex.split((error.hint or "").rpartition("--data ")[2])
        assert word == f"csv:{root / table}"
        folder = (root / table).parent
        make(folder, "train/0.png", "train/1.png")
        (root / table).write_text(TABLE)
        assert len(open_source("csv", Path(data["root"])).records) == 2

    def test_a_table_that_is_no_text_is_to_be_saved_first(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *files("images|masks"), "labels.xlsx"))
        assert (error.hint or "").startswith("save labels.xlsx as CSV, then write data: {kind: csv, root: ")
        assert proposed(error.hint)["root"] == str(tmp_path / "labels.csv")

    def test_no_table(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *files("images|masks"), "README.txt"))
        assert error.message.endswith("hold pictures and no class folders: nothing here says their classes")

    def test_classes_inside_are_named(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *files("images|masks", "benign|malignant")))
        assert error.message == "images, masks hold pictures and no class folders: those are in images"
        assert classes(followed(tmp_path, proposed(error.hint))) == {"benign": 2, "malignant": 2}

    def test_parts_with_classes_inside_have_a_level(self, tmp_path: Path) -> None:
        (caution,) = read(make(tmp_path, *files("fold_1|fold_2", "benign|malignant"))).cautions
        assert classes(followed(tmp_path, proposed(caution))) == {"benign": 4, "malignant": 4}

    def test_loose_pictures_and_a_table(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, "0.png", "labels.csv"))
        assert error.message.startswith("got no folders, expected")
        assert proposed(error.hint) == {"kind": "csv", "root": str(tmp_path / "labels.csv")}

    @pytest.mark.parametrize(
        "names",
        [
            *(
                "0|1|2|3|4",
                "grade_0|grade_1",
                "BIRADS 1|BIRADS 2",
                "benign_images|malignant_images",
                "Normal cases|Malignant cases",
            ),
            *("images_left|images_right", "type_1|type_2", "良性|悪性", "colon_image_sets|lung_image_sets"),
        ],
    )
    def test_classes(self, names: str, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files(names)))
        assert set(classes(reading)) == {*names.split("|")}
        assert not reading.cautions

    def test_tables_beside_classes_are_said(self, tmp_path: Path) -> None:
        tables = ["a.csv", "b.tsv", "c.xlsx", "d.json"]
        prose = ["README.txt", "License.txt", "requirements.txt", "notes.md"]
        reading = read(make(tmp_path, *files("a|b"), *tables, *prose))
        assert reading.cautions == [
            "labels are the folders' names; tables beside them are not read: a.csv, b.tsv, c.xlsx, ... and 1 more"
        ]


class TestOtherContainers:
    @pytest.mark.parametrize(
        ("names", "said", "hint"),
        [
            (files("HGG|LGG", ending="_flair.nii.gz"), "4 NIfTI volumes (.nii.gz)", "slices as PNG"),
            (files("a|b", ending=".NII"), "4 NIfTI volumes (.nii)", "slices as PNG"),
            ([*files("a", ending=".mp4"), *files("b", ending=".AVI")], "4 videos (.avi, .mp4)", "frames as PNG"),
            (["a/x.zip", "b/y.tar.gz", "b/y.7z"], "3 archives (.7z, .tar.gz, .zip)", "extract them"),
            (files("a|b", ending=".mhd"), "4 volumes (.mhd)", "slices as PNG"),
            (files("a|b", ending=".h5"), "4 volumes (.h5)", "slices as PNG"),
            (files("a|b", ending=".ndpi"), "4 whole slides (.ndpi)", "regions"),
            (files("a|b", ending=".cr2"), "4 raw photographs (.cr2)", "PNG or JPEG"),
            (files("a|b", ending=".heic"), "4 pictures (.heic)", "PNG or JPEG"),
            (files("a|b", ending=".pdf"), "4 documents (.pdf)", "PNG"),
            (files("a|b", ending=".npy"), "4 arrays (.npy)", "PNG"),
            (
                [*files("a", ending=".dcm"), "b/IM1", "b/1.2.840"],
                "2 DICOM files (.dcm), 2 files without",
                "export them as PNG",
            ),
            ([*files("train|test", ending=".dcm"), "labels.csv"], "4 DICOM files (.dcm)", "export them as PNG"),
        ],
    )
    def test_a_set_of_nothing_else(self, names: Sequence[str], said: str, hint: str, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *names))
        assert error.message.startswith(f"got no images: {said}")
        assert error.message.endswith(", which are not read")
        assert hint in (error.hint or "")

    def test_files_without_an_ending_are_counted_in_classes_only(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, "a/", "b/", "x.dcm", "LICENSE"))
        assert error.message == "got no images: 1 DICOM files (.dcm), which are not read"

    def test_archives_that_were_not_extracted(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, "a.zip", "b.rar"))
        assert error.message.startswith("got no folders but 2 archives (.rar, .zip), expected")
        assert error.hint == "extract them"

    def test_beside_pictures_they_are_counted(self, tmp_path: Path) -> None:
        reading = read(make(tmp_path, *files("a|b"), "a/x.nii.gz", "a/y.mov", "b/z.psd", "c.zip", "a/notes.txt"))
        assert reading.cautions == [
            "4 files are left out: 1 .mov (a/y.mov); 1 .nii.gz (a/x.nii.gz); 1 .psd (b/z.psd); 1 in no class (c.zip)"
        ]

    def test_a_class_of_nothing_else_is_in_the_hint(self, tmp_path: Path) -> None:
        error = refused(make(tmp_path, *files("a"), *files("b", ending=".dcm")))
        assert error.message.startswith("got one class (a)")
        assert error.hint == "b: holds no pictures and is ignored; 2 files are left out: 2 .dcm (b/0.dcm, b/1.dcm)"


class TestNames:
    @pytest.mark.parametrize("names", [["nevus"], [], ["0", "1"], ["a_image", "b_image"], ["良性", "悪性"]])
    def test_classes(self, names: Sequence[str]) -> None:
        assert not are_no_classes(names)

    @pytest.mark.parametrize(
        "name", ["images", "JPG", "train_images", "TestImages", "images_001", "label_masks", "part 3"]
    )
    def test_says_nothing(self, name: str) -> None:
        assert says_nothing(name)
        assert are_no_classes([name])

    @pytest.mark.parametrize("name", ["nevus", "benign_images", "patient_1", "42", ""])
    def test_says_something(self, name: str) -> None:
        assert not says_nothing(name)

    def test_many_folders_are_patients(self) -> None:
        letters = [f"{one}{two}" for one in "abcdefghij" for two in "qrstuvwxyz"]
        assert look_like_classes({"x": letters})
        assert not look_like_classes({"x": [*letters, "one more"]})

    def test_grades_are_few(self) -> None:
        """A number of two patients may be anybody's; of more than twenty, hardly a grade's."""
        for count in (20, 21):
            names = [f"g{number}" for number in range(1, count + 1)]
            assert look_like_classes({"left": names, "right": names}) == (count == 20)

    @pytest.mark.parametrize(
        "text", ["yes", "a b/c-1.csv", "a, b", "1", "it's", 'a"b', "a: b", "x #1", "{a}", "[1]", "ä", "-", "~"]
    )
    def test_what_goes_into_a_recipe_is_read_as_it_was(self, text: str) -> None:
        assert yaml.safe_load(f"data: {{root: {as_yaml(text)}}}") == {"data": {"root": text}}


NAMES = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "0",
        "grade_1",
        "images",
        "masks",
        "train",
        "val",
        "Test",
        "eval",
        "train_images",
        "patient_1",
        "set",
        "new\nline",
    ]
)
FILES = st.sampled_from(["1.png", "2.JPG", "1_mask.png", "x.nii.gz", "IM1", "t.csv", "3.png"])
TREES = st.lists(st.tuples(st.lists(NAMES, min_size=0, max_size=5), FILES), min_size=1, max_size=25)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(TREES, st.integers(1, 3))
def test_a_picture_is_of_the_class_whose_folder_is_at_the_level(tree: list[tuple[list[str], str]], level: int) -> None:
    """In any tree, or it is refused: nothing is read twice, nothing is lost without a word, and all readings agree."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = {"/".join((*folders, name)) for folders, name in tree}
        make(root, *made)
        try:
            reading = readers.read("folder", root, Layout(level=level), fewest=1)
        except DataError:
            return
        assert reading == readers.read("folder", root, Layout(level=level), fewest=1)
    said = " ".join(reading.cautions)
    seen = [record.image for record in reading.records]
    masks = {record.mask for record in reading.records if record.mask}
    assert len(seen) == len(set(seen))
    for record in reading.records:
        parts = record.image.split("/")
        if record.split is not None:
            assert record.split in ("val", "test") if parts[0] == "eval" else split_of(parts[0]) == record.split
        at = level - 1 + (record.split is not None)
        assert record.label == parts[at]
        assert not any(map(holds_masks, parts[at + 1 : -1]))
        if len(parts) > at + 2 and level == 1:
            assert "lie in folders below" in said
    pictures = {path for path in made if re.search(r"\.(png|jpg)$", path, re.IGNORECASE)}
    if pictures - {*seen} - masks:
        assert re.search(r"left out|ignored|are masks of", said), (pictures - {*seen}, said)
    if {path for path in made if path.endswith(("x.nii.gz",))} and "once more" not in said:
        assert re.search("left out|ignored", said)


def test_cautions_are_in_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the disk lists its files."""
    root = make(
        tmp_path, *files("b|a", "images|masks|P1"), "a/x.nii", "b/y.mp4", "z.csv", "y.csv", "a/images/lone_mask.png"
    )
    expected = read(root)
    scan, listed = os.scandir, os.listdir

    class Backwards:
        def __init__(self, path: Any) -> None:
            with scan(path) as found:
                self._found = iter(sorted(found, key=lambda entry: entry.name, reverse=True))

        def __enter__(self) -> Iterable[Any]:
            return self._found

        def __exit__(self, *_: object) -> None:
            pass

        def __iter__(self) -> Any:
            return self._found

        def __next__(self) -> Any:
            return next(self._found)

        def close(self) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listed(path), reverse=True))
    assert read(root) == expected
