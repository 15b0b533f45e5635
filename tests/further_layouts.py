"""Data sets of the same kinds as those in `published_layouts`, which nobody wrote the code for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from published_layouts import Ask, Expected, Pictures, put, table

__all__ = ["FURTHER"]


def ph2(root: Path) -> Expected:
    """A cross in the column of the class, and a folder for each picture and its mask."""
    picture, rows = Pictures(root), []
    for number in range(12):
        name = f"IMD{number:03}"
        picture(f"PH2 Dataset images/{name}/{name}_Dermoscopic_Image/{name}.bmp")
        picture.mask(f"PH2 Dataset images/{name}/{name}_lesion/{name}_lesion.bmp")
        rows.append((name, *("X" if number % 3 == at else "" for at in range(3))))
    table(root / "PH2_dataset.csv", "Image Name,Common Nevus,Atypical Nevus,Melanoma", rows)
    put(root / "PH2_dataset.xlsx", b"PK\3\4")
    return Expected(
        {"Atypical Nevus": 4, "Common Nevus": 4, "Melanoma": 4},
        said=("PH2_dataset.xlsx: a workbook, not read", "12 pictures have no row in the table and are left out"),
    )


def fitzpatrick17k(root: Path) -> Expected:
    """Pictures by a hash; several columns that partition the labels."""
    picture, rows = Pictures(root), []
    for number in range(15):
        name = f"{number * 7919:032x}"
        picture(f"data/finalfitz17k/{name}.jpg")
        label, part = (("psoriasis", "inflammatory"), ("acne", "inflammatory"), ("melanoma", "malignant"))[number % 3]
        rows.append((name, number % 6, label, part, f"https://example.org/{number}.jpg"))
    table(root / "fitzpatrick17k.csv", "md5hash,fitzpatrick_scale,label,three_partition_label,url", rows)
    return Expected(
        {"acne": 5, "melanoma": 5, "psoriasis": 5},
        section={"columns": {"path": "md5hash", "label": "label"}},
        said=("column md5hash holds names of pictures that are there",),
    )


def ddr(root: Path) -> Expected:
    """Lists without a header, of two columns."""
    picture = Pictures(root)
    for split, count in (("train", 12), ("valid", 6), ("test", 6)):
        names = [f"007-{split}-{number}.jpg" for number in range(count)]
        picture(*(f"{split}/{name}" for name in names))
        put(root / f"{split}.txt", "\n".join(f"{name} {at % 3}" for at, name in enumerate(names)).encode())
    return Expected(
        refused=("looks like a row", "--set 'data.table.header=[path, label]'"),
        asks=(
            Ask(
                ("--set", "data.table.header=[path, label]"),
                Expected({"0": 8, "1": 8, "2": 8}, splits={"train": 12, "val": 6, "test": 6}),
            ),
        ),
    )


def derm7pt(root: Path) -> Expected:
    """Two pictures a row, and the table in a folder of its own."""
    picture, rows = Pictures(root), []
    for number in range(15):
        picture(f"images/NEL/{number}_c.jpg", f"images/NEL/{number}_d.jpg")
        rows.append(
            (number, ("nevus", "melanoma", "bcc")[number % 3], f"NEL/{number}_c.jpg", f"NEL/{number}_d.jpg", "")
        )
    table(root / "meta/meta.csv", "case_num,diagnosis,clinic,derm,notes", rows)
    table(root / "meta/train_indexes.csv", "indexes", [(number,) for number in range(9)])
    return Expected(
        refused=("clinic, derm may each be the path", "--columns path=clinic"),
        asks=(
            Ask(
                ("--columns", "path=derm"),
                Expected(
                    {"bcc": 5, "melanoma": 5, "nevus": 5},
                    section={"table.folder": ".."},
                    said=("meta/train_indexes.csv: ", "15 pictures have no row"),
                ),
            ),
        ),
    )


def breakhis(root: Path) -> Expected:
    """A deep tree: class, subclass, patient, magnification."""
    picture = Pictures(root)
    for top, kinds in (("benign", ("adenosis", "fibroadenoma")), ("malignant", ("ductal", "lobular"))):
        for kind in kinds:
            for number in range(3):
                case = f"SOB_{top[0].upper()}_{kind[0].upper()}-14-{number}2549AB"
                picture(
                    *(f"BreaKHis_v1/breast/{top}/SOB/{kind}/{case}/{zoom}X/{case}-{zoom}.png" for zoom in (40, 100))
                )
    return Expected(
        {"benign": 12, "malignant": 12},
        said=("everything lies in breast", "adenosis, ductal, fibroadenoma, lobular, write data: {level: 3}"),
        asks=(
            Ask(
                ("--set", "data.level=3"),
                Expected({"adenosis": 6, "ductal": 6, "fibroadenoma": 6, "lobular": 6}, data="BreaKHis_v1/breast"),
            ),
            Ask(
                ("--set", r"data.group.pattern=-14-(\d+\w\w)"),
                Expected({"benign": 12, "malignant": 12}, groups=3, data="BreaKHis_v1/breast"),
            ),
        ),
    )


def patch_camelyon(root: Path) -> Expected:
    """A template of answers beside the labels, whose pictures are there too."""
    picture = Pictures(root)
    names = [f"{number * 7919 + 1:040x}" for number in range(20)]
    picture(*(f"{'train' if at < 16 else 'test'}/{name}.tif" for at, name in enumerate(names)))
    table(root / "train_labels.csv", "id,label", [(name, at % 2) for at, name in enumerate(names[:16])])
    table(root / "sample_submission.csv", "id,label", [(name, 0) for name in names[16:]])
    return Expected({"0": 8, "1": 8}, said=("sample_submission.csv: one class (0), left out", "4 pictures have no row"))


def idrid(root: Path) -> Expected:
    """The same ids in the folders of both splits, a blank at the end of a column's name, and columns of nothing."""
    picture = Pictures(root)
    for split, letter, count in (("Training", "a", 12), ("Testing", "b", 6)):
        names = [f"IDRiD_{number:03}" for number in range(1, count + 1)]
        picture(*(f"1. Original Images/{letter}. {split} Set/{name}.jpg" for name in names))
        rows = [(name, (at + (letter == "b")) % 3, at % 2, *[""] * 9) for at, name in enumerate(names)]
        header = "Image name,Retinopathy grade,Risk of macular edema ,,,,,,,,,"
        table(root / f"2. Groundtruths/{letter}. IDRiD_Disease Grading_{split} Labels.csv", header, rows)
    return Expected({"0": 6, "1": 6, "2": 6}, splits={"train": 12, "test": 6})


def padchest(root: Path) -> Expected:
    """A list in each cell, of which one label is a part of another's name."""
    picture, rows = Pictures(root), []
    labels = ("['normal']", "['abnormal']", "['pneumonia', 'effusion']", "['normal', 'scoliosis']")
    for number in range(24):
        picture(f"images/{number:05}_ab-cd.png")
        rows.append((number, f"{number:05}_ab-cd.png", f"s{number}", f"p{number // 4}{number % 4}", labels[number % 4]))
    table(root / "PADCHEST_chest_x_ray_images_labels.csv", ",ImageID,StudyID,PatientID,Labels", rows)
    one = ("--set", 'data.labels={"normal": "normal", "normal|*": "normal", "*": "no normal"}')
    return Expected(
        refused=("12 of 24 images have several labels", one[1]),
        asks=(Ask(one, Expected({"no normal": 12, "normal": 12}, groups=24)),),
    )


def clinic_by_excel(root: Path) -> Expected:
    """Semicolons, decimal commas, German names, a byte order mark and the line ends of Windows."""
    picture, lines = Pictures(root), ["Bild;Diagnose;Alter;Größe"]
    for number in range(12):
        picture(f"bilder/Bild {number}.jpg")
        lines.append(f"Bild {number};{('gutartig', 'bösartig')[number % 2]};{50 + number},5;1,7")
    put(root / "tabelle.csv", ("\ufeff" + "\r\n".join(lines)).encode())
    return Expected(
        refused=("no column is the label", 'Diagnose: "gutartig" 6, "bösartig" 6', "--columns label=Diagnose"),
        asks=(Ask(("--columns", "label=Diagnose"), Expected({"bösartig": 6, "gutartig": 6})),),
    )


def isbi_2016(root: Path) -> Expected:
    """A table of ids without a header, and masks in a folder beside the pictures."""
    picture, rows = Pictures(root), []
    for number in range(12):
        picture(f"ISBI2016_ISIC_Part3_Training_Data/ISIC_{number:07}.jpg")
        picture.mask(f"ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_{number:07}_Segmentation.png")
        rows.append((f"ISIC_{number:07}", ("benign", "malignant")[number % 2]))
    table(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "", rows)
    return Expected(
        refused=("'ISIC_0000000' is a picture", "--set 'data.table.header=[path, label]'"),
        asks=(Ask(("--set", "data.table.header=[path, label]"), Expected({"benign": 6, "malignant": 6})),),
    )


def roboflow(root: Path) -> Expected:
    """A table in the folder of each split."""
    picture = Pictures(root)
    for split, count in (("train", 10), ("valid", 4), ("test", 4)):
        names = [f"{split}{number}_jpg.rf.{number:032x}.jpg" for number in range(count)]
        picture(*(f"{split}/{name}" for name in names))
        table(
            root / split / "_classes.csv",
            "filename, caries, healthy",
            [(n, at % 2, 1 - at % 2) for at, n in enumerate(names)],
        )
    return Expected({"caries": 9, "healthy": 9}, splits={"train": 10, "val": 4, "test": 4})


def mura(root: Path) -> Expected:
    """Studies and paths without a header; the label is in the folders' names."""
    picture = Pictures(root)
    for split in ("train", "valid"):
        studies = [f"{split}/XR_WRIST/patient{at:05}/study1_{('positive', 'negative')[at % 2]}" for at in range(6)]
        picture(*(f"{study}/image{number}.png" for study in studies for number in (1, 2)))
        table(root / f"{split}_labeled_studies.csv", "", [(f"MURA-v1.1/{study}/", 0) for study in studies])
        table(root / f"{split}_image_paths.csv", "", [(f"MURA-v1.1/{study}/image1.png",) for study in studies])
    return Expected(
        refused=("train_image_paths.csv: names pictures without labels", "train_labeled_studies.csv: no column is the")
    )


def shenzhen(root: Path) -> Expected:
    """The label is the last letter of the name."""
    picture = Pictures(root)
    picture(*(f"CXR_png/CHNCXR_{number:04}_{number % 2}.png" for number in range(12)))
    for number in range(12):
        put(root / f"ClinicalReadings/CHNCXR_{number:04}_{number % 2}.txt", b"male 45yrs\n\nnormal\n")
    return Expected(refused=("write a table of their paths and labels",))


def kvasir(root: Path) -> Expected:
    """Labels in a table and as folders, of different depths."""
    picture, rows = Pictures(root), []
    for kind, place in enumerate(
        ("lower-gi/landmarks/cecum", "lower-gi/findings/polyps", "upper-gi/landmarks/pylorus")
    ):
        for number in range(5):
            picture(f"labeled-images/{place}/{kind}{number}abc.jpg")
            rows.append((f"{kind}{number}abc", place.split("-")[0], place.rpartition("/")[2], place.split("/")[1]))
    table(root / "image-labels.csv", "Video file,Organ,Finding,Classification", rows)
    return Expected({"cecum": 5, "polyps": 5, "pylorus": 5}, said=("column Video file holds names of pictures",))


def pictures_by_number(root: Path) -> Expected:
    """Ages are numbers of pictures too."""
    picture, rows = Pictures(root), []
    for number in range(12):
        picture(f"images/{number}.png")
        rows.append((number, number, "ab"[number % 2], number % 7 + 1))
    table(root / "data.csv", ",id,label,age", rows)
    return Expected({"a": 6, "b": 6}, section={"columns.path": "id"})


def two_tables(root: Path) -> Expected:
    """The patients in another table, by a column of another name."""
    picture = Pictures(root)
    picture(*(f"images/{number}.png" for number in range(12)))
    table(root / "labels.csv", "filename,label", [(f"{number}.png", "ab"[number % 2]) for number in range(12)])
    table(root / "patients.csv", "image_id,patient_id", [(number, f"p{number // 2}") for number in range(12)])
    return Expected({"a": 6, "b": 6}, said=("patients.csv: has a column of groups, but cannot be joined",))


def numbered_folders(root: Path) -> Expected:
    """Folders that are no classes, beside a table that lacks a column with a usual name."""
    picture, rows = Pictures(root), []
    for part in ("images_001", "images_002"):
        picture(*(f"{part}/{part}{number}.png" for number in range(6)))
        rows += [(f"{part}{number}.png", number % 3, 40 + number) for number in range(6)]
    table(root / "metadata.csv", "image,Retinopathie,age", rows)
    return Expected(
        refused=("no column is the label", "--columns label=Retinopathie"),
        asks=(Ask(("--columns", "label=Retinopathie"), Expected({"0": 4, "1": 4, "2": 4})),),
    )


def classes_and_metadata(root: Path) -> Expected:
    """Folders that are the classes, beside a table that has no label."""
    picture, rows = Pictures(root), []
    for name in ("healthy", "sick"):
        picture(*(f"{name}/{name}{number}.png" for number in range(6)))
        rows += [(f"{name}{number}.png", 40 + number, "m") for number in range(6)]
    table(root / "metadata.csv", "image,age,sex", rows)
    return Expected({"healthy": 6, "sick": 6}, said=("metadata.csv: no column is the label, left out",))


def joined_by_semicolons(root: Path) -> Expected:
    """What may be several labels, and may be a name."""
    picture, rows = Pictures(root), []
    for number in range(16):
        picture(f"images/{number:03}.png")
        rows.append((f"{number:03}.png", ("a", "b", "a; b", "c")[number % 4]))
    table(root / "labels.csv", "image,label", rows)
    return Expected(
        {"a": 4, "a; b": 4, "b": 4, "c": 4}, said=("4 images have labels that look like several joined by ';'",)
    )


FURTHER: tuple[Callable[[Path], Expected], ...] = (
    *(ph2, fitzpatrick17k, ddr, derm7pt, breakhis, patch_camelyon, idrid, padchest, clinic_by_excel, isbi_2016),
    *(roboflow, mura, shenzhen, kvasir, pictures_by_number, two_tables, numbered_folders, classes_and_metadata),
    joined_by_semicolons,
)
