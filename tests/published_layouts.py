"""Data sets as people download them, in small: their tables, columns, folders and names, with pictures of our own.

A function lays one out in an empty folder and says what `edgetl init` has to make of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["LAYOUTS", "Ask", "Expected", "Pictures", "put", "table"]


@dataclass(frozen=True)
class Ask:
    """What may be asked for beside the data set's name, and what then comes.

    words: of the command line, after `edgetl init DATA`.
    """

    words: tuple[str, ...]
    expected: Expected


@dataclass(frozen=True)
class Expected:
    """What `edgetl init` makes of a data set.

    classes: images of each, of what a build learns. groups: how many there are; None where the source knows none.
    splits: images of each that the source prescribes. masks: images that have one. section: fields of the recipe's data
    section. said: parts of what init says about them, in any order. refused: parts of its error, where it has to be one.
    asks: what else may be asked for. data: of the root, what is handed to init.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    groups: int | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    masks: int = 0
    section: Mapping[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()
    data: str = ""


class Pictures:
    """Writes pictures, of which none looks like another."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0

    def __call__(self, *paths: str) -> None:
        for path in paths:
            self._count += 1
            coarse = np.random.default_rng(self._count).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            file = self._root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(file)

    def mask(self, path: str) -> None:
        """A disc of a size that no other mask has."""
        self._count += 1
        y, x = np.mgrid[:40, :40]
        disc = ((x - 20) ** 2 + (y - 20) ** 2 < 9 * self._count % 400) * np.uint8(255)
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc).save(file)


def table(path: Path, header: str, rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
    """Write a table; without a header where that is empty."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([next(csv.reader([header])), *rows] if header else rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8")


def put(path: Path, content: bytes = b"") -> None:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _one_hot(classes: Sequence[str], label: str) -> list[float]:
    assert label in classes
    return [float(name == label) for name in classes]


def ham10000(root: Path) -> Expected:
    """Tschandl, Rosendahl and Kittler, Scientific Data 2018: two folders of pictures, two pictures of some lesions."""
    picture, rows = Pictures(root), []
    for dx in ("nv", "mel", "bkl"):
        for number in range(7):
            image = f"ISIC_{dx}{number}"
            picture(f"HAM10000_images_part_{1 + number % 2}/{image}.jpg")
            rows.append((f"HAM_{dx}{max(number, 1)}", image, dx, "histo", "40.0", "male", "back"))
    table(root / "HAM10000_metadata.csv", "lesion_id,image_id,dx,dx_type,age,sex,localization", rows)
    return Expected({"bkl": 7, "mel": 7, "nv": 7}, groups=18)


_ISIC_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


def isic_2018(root: Path) -> Expected:
    """Task 3: a column a class, and the lesions in a table of their own."""
    picture, rows, lesions = Pictures(root), [], []
    for label in _ISIC_2018:
        for number in range(5):
            image = f"ISIC_{label}{number}"
            picture(f"ISIC2018_Task3_Training_Input/{image}.jpg")
            rows.append((image, *_one_hot(_ISIC_2018, label)))
            lesions.append((image, f"HAM_{label}{max(number, 1)}", "histopathology"))
    put(root / "ISIC2018_Task3_Training_Input" / "LICENSE.txt", b"CC BY-NC 4.0, see the publication for the terms\n")
    table(root / "ISIC2018_Task3_Training_GroundTruth.csv", f"image,{','.join(_ISIC_2018)}", rows)
    table(root / "ISIC2018_Task3_Training_LesionGroupings.csv", "image,lesion_id,diagnosis_confirm_type", lesions[::-1])
    return Expected(
        dict.fromkeys(_ISIC_2018, 5),
        groups=28,
        section={"columns.label": list(_ISIC_2018), "table.join": "ISIC2018_Task3_Training_LesionGroupings.csv"},
        said=(
            "each row has just one of the columns MEL, NV, BCC, AKIEC, BKL, DF, VASC set: taken for the classes",
            "ISIC2018_Task3_Training_LesionGroupings.csv: joined, as it has lesion_id",
        ),
    )


_ISIC_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def isic_2019(root: Path) -> Expected:
    """As 2018, but UNK is a column without a picture, some names have an addition, and some lesions are not known."""
    picture, rows, metadata = Pictures(root), [], []
    for label in _ISIC_2019[:4]:
        for number in range(5):
            image = f"ISIC_{label}{number}"
            picture(f"ISIC_2019_Training_Input/{image}{'_downsampled' if number < 2 else ''}.jpg")
            image += "_downsampled" if number == 0 else ""
            rows.append((image, *_one_hot(_ISIC_2019, label)))
            lesion = "" if number == 4 else f"MSK4_{label}{max(number, 1)}"
            metadata.append((image, "55.0", "anterior torso", lesion, "female"))
    table(root / "ISIC_2019_Training_GroundTruth.csv", f"image,{','.join(_ISIC_2019)}", rows)
    table(root / "ISIC_2019_Training_Metadata.csv", "image,age_approx,anatom_site_general,lesion_id,sex", metadata)
    return Expected(
        dict.fromkeys(_ISIC_2019[:4], 5),
        groups=16,
        section={"columns.group": "lesion_id"},
        said=("4 rows lack the _downsampled of their pictures' names", "joined, as it has lesion_id"),
    )


def isic_2020(root: Path) -> Expected:
    """Two columns that may be the label, patients with several lesions, and a test set without labels."""
    picture, rows, test = Pictures(root), [], []
    for number in range(24):
        image, malignant = f"ISIC_{number:07}", number % 3 == 0
        picture(f"train/{image}.jpg")
        diagnosis = "melanoma" if malignant else "nevus" if number % 2 else "unknown"
        known = "malignant" if malignant else "benign"
        rows.append((image, f"IP_{number // 6}{number % 3}", "male", "45.0", "torso", diagnosis, known, int(malignant)))
    for number in range(100, 104):
        picture(f"test/ISIC_{number:07}.jpg")
        test.append((f"ISIC_{number:07}", "IP_9", "male", "70.0", "torso"))
    columns = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge"
    table(root / "train.csv", f"{columns},diagnosis,benign_malignant,target", rows)
    table(root / "test.csv", columns, test)
    said = ("test.csv: data.columns.label: got ", "4 pictures have no row in the table and are left out (4 in test)")
    return Expected(
        refused=(
            'diagnosis ("melanoma" 8, "nevus" 8, "unknown" 8)',
            'benign_malignant ("benign" 16, "malignant" 8)',
            'target ("0" 16, "1" 8)',
            "may each be the label",
            "--columns label=",
        ),
        asks=(
            Ask(
                ("--columns", "label=benign_malignant"),
                Expected({"benign": 16, "malignant": 8}, groups=12, said=said),
            ),
            Ask(
                ("--columns", "label=diagnosis"),
                Expected({"melanoma": 8, "nevus": 8, "unknown": 8}, groups=12, said=said),
            ),
        ),
    )


def pad_ufes_20(root: Path) -> Expected:
    """Ids with their ending, in three folders; a patient has several lesions, a lesion several pictures."""
    picture, rows = Pictures(root), []
    for kind, label in enumerate(("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")):
        for number in range(5):
            patient = f"PAT_{kind}{max(number, 1)}"
            image = f"{patient}_{number}_{kind}{number}.png"
            picture(f"imgs_part_{1 + number % 3}/{image}")
            rows.append((patient, 100 * kind + number, "False", 50, "FACE", label, image, "True"))
    table(root / "metadata.csv", "patient_id,lesion_id,smoke,age,region,diagnostic,img_id,biopsed", rows)
    return Expected(
        dict.fromkeys(("ACK", "BCC", "MEL", "NEV", "SCC", "SEK"), 5),
        groups=24,
        section={"columns.label": "diagnostic", "columns.group": "patient_id"},
        said=("patient_id, lesion_id may each be the group; patient_id is taken",),
    )


def aptos_2019(root: Path) -> Expected:
    """Ids without an ending, grades, and a test set without labels."""
    picture, rows = Pictures(root), []
    for grade in range(5):
        for number in range(5):
            picture(f"train_images/{grade}{number}ab.png")
            rows.append((f"{grade}{number}ab", grade))
    picture(*(f"test_images/9{number}cd.png" for number in range(5)))
    table(root / "train.csv", "id_code,diagnosis", rows)
    table(root / "test.csv", "id_code", [(f"9{number}cd",) for number in range(5)])
    return Expected(
        {str(grade): 5 for grade in range(5)},
        said=("test.csv: no column is the label", "5 pictures have no row in the table and are left out (5 in test_im"),
    )


def eyepacs(root: Path) -> Expected:
    """Both eyes of each patient."""
    picture, rows = Pictures(root), []
    for grade in range(5):
        for number in range(4):
            for eye in ("left", "right"):
                image = f"{10 * number + grade + 13}_{eye}"
                picture(f"train/{image}.jpeg")
                rows.append((image, grade))
    table(root / "trainLabels.csv", "image,level", rows)
    classes = {str(grade): 8 for grade in range(5)}
    return Expected(
        classes,
        asks=(Ask(("--set", r"data.group.pattern=^(\d+)_(?:left|right)\."), Expected(classes, groups=20)),),
    )


def messidor_2(root: Path) -> Expected:
    """Pictures of two endings, in other letters than in the table, and some that nobody could grade."""
    picture = Pictures(root)
    rows: list[tuple[object, ...]] = []
    for grade in range(4):
        for number in range(5):
            if number % 2:
                picture(f"IMAGES/2005{grade}_{number}_PP.png")
                rows.append((f"2005{grade}_{number}_PP.png", grade, 0, 1))
            else:
                picture(f"IMAGES/IM00{grade}{number}.JPG")
                rows.append((f"IM00{grade}{number}.jpg", grade, 0, 1))
    for number in range(2):
        picture(f"IMAGES/2009_{number}_PP.png")
        rows.append((f"2009_{number}_PP.png", "", "", 0))
    table(root / "messidor_data.csv", "image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable", rows)
    return Expected(
        {str(grade): 5 for grade in range(4)},
        section={"labels": {"": None}},
        said=(
            "2 images without a label are left out",
            "12 rows are in other letters (capitals, accents) than their pictures",
        ),
    )


def odir_5k(root: Path) -> Expected:
    """A row an eye, a diagnosis a patient: flags of the patient, a list of the eye's, a path of somebody else's."""
    picture, rows = Pictures(root), []
    letters = "NDGCAHMO"
    for number in range(18):
        of_the_left, of_the_right = letters[number % 3], letters[(number + number % 2) % 3]
        flags = [int(letter in (of_the_left, of_the_right)) for letter in letters]
        for eye, letter in (("left", of_the_left), ("right", of_the_right)):
            name = f"{number}_{eye}.jpg"
            picture(f"preprocessed_images/{name}")
            target = [int(letter == other) for other in letters]
            rows.append(
                (
                    *(number, 60, "Male", f"{number}_left.jpg", f"{number}_right.jpg", "cataract", "normal fundus"),
                    *(*flags, f"../input/ocular/ODIR-5K/Training Images/{name}", f"['{letter}']", target, name),
                )
            )
    header = (
        "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords,"
        "N,D,G,C,A,H,M,O,filepath,labels,target,filename"
    )
    for name in [f"{number}_{eye}.jpg" for number in range(18) for eye in ("left", "right")]:
        source = root / "preprocessed_images" / name
        put(root / "ODIR-5K" / "ODIR-5K" / "Training Images" / name, source.read_bytes())
    table(root / "full_df.csv", header, rows)
    return Expected(
        refused=("labels (", "target (", "may each be the label"),
        asks=(
            Ask(
                ("--columns", "label=labels,group=ID"),
                Expected(
                    refused=(
                        "preprocessed_images/0_left.jpg have that name in other folders",
                        "--set 'data.table.folder=ODIR-5K/OD",
                    )
                ),
            ),
            Ask(
                ("--columns", "label=labels,group=ID", "--set", "data.table.folder=ODIR-5K/ODIR-5K/Training Images"),
                Expected({"D": 12, "G": 12, "N": 12}, groups=18),
            ),
            Ask(
                ("--columns", "label=labels,path=filename,group=ID", "--set", "data.table.folder=preprocessed_images"),
                Expected({"D": 12, "G": 12, "N": 12}, groups=18),
            ),
            Ask(
                ("--columns", "label=labels,path=filename"),
                Expected(
                    refused=(
                        "which may be ODIR-5K/ODIR-5K/Training Images/0_left.jpg or preprocessed_images/0_left.jpg",
                    )
                ),
            ),
        ),
    )


def nih_chest_xray14(root: Path) -> Expected:
    """Several labels an image, joined by a bar; lists of names for the official splits."""
    picture, rows = Pictures(root), []
    labels = ("No Finding", "Effusion", "Effusion|Mass", "Infiltration", "Mass")
    for number in range(30):
        image = f"{number // 2:08}_{number % 2:03}.png"
        picture(f"images_{1 + number % 3:03}/images/{image}")
        rows.append((image, labels[number // 2 % 5], number % 2, number // 2, 58, "M", "PA", 2682, 2749, 0.143, 0.143))
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    table(root / "Data_Entry_2017.csv", header, rows)
    for name, chosen in (("train_val_list.txt", rows[:24]), ("test_list.txt", rows[24:])):
        put(root / name, "\n".join(str(row[0]) for row in chosen).encode())
    effusion = {"Effusion": 12, "no Effusion": 18}
    patterns = ("--set", 'data.labels={"*Effusion*": Effusion, "*": "no Effusion"}')
    columns = ("--columns", "label=Finding Labels")
    lists = ("test_list.txt", "train_val_list.txt")
    return Expected(
        refused=(
            "6 of 30 images have several labels, such as Effusion|Mass of images_00",
            "edgetl learns one label per image",
            '"*|*": null',
            "*Effusion*",
        ),
        asks=(
            Ask(patterns, Expected(effusion, groups=15, said=lists)),
            Ask((*columns, *patterns), Expected(effusion, groups=15, said=lists)),
            Ask(
                ("--set", 'data.labels={"*|*": null}'),
                Expected({"Effusion": 6, "Infiltration": 6, "Mass": 6, "No Finding": 6}, groups=12),
            ),
        ),
    )


_CHEXPERT = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)


def chexpert(root: Path) -> Expected:
    """A column a finding, of which most cells are blank and some uncertain; paths from the folder above on."""
    picture = Pictures(root)
    header = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(_CHEXPERT)}"
    for split, first, patients in (("train", 1, 24), ("valid", 90, 8)):
        rows = []
        for patient in range(first, first + patients):
            pneumonia = ("1.0", "0.0", "1.0", "0.0", "1.0", "0.0", "", "-1.0")[
                patient % 8 if split == "train" else patient % 2
            ]
            cells = {"Pneumonia": pneumonia, "Edema": "1.0", "Support Devices": "1.0" if patient % 2 else ""}
            path = f"{split}/patient{patient:05}/study1/view1_frontal.jpg"
            picture(path)
            found = [cells.get(name, "") for name in _CHEXPERT]
            rows.append((f"CheXpert-v1.0-small/{path}", "Male", 60, "Frontal", "AP", *found))
        table(root / f"{split}.csv", header, rows)
    classes = {"Pneumonia": 13, "no Pneumonia": 13}
    splits = {"train": 18, "val": 8}
    said = ("3 images without a label are left out", "3 images of which Pneumonia is uncertain (-1) are left out")
    section = {"table.splits": {"train": "train.csv", "val": "valid.csv"}}
    return Expected(
        refused=("these are several labels per image", "edgetl learns one label per image", "--columns"),
        asks=(
            Ask(
                ("--columns", "label=Pneumonia"),
                Expected(classes, splits=splits, said=said, section=section),
            ),
            Ask(
                ("--columns", "label=Pneumonia", "--set", r"data.group={from: path, pattern: (patient\d+)}"),
                Expected(classes, groups=26, splits=splits, said=said, section=section),
            ),
        ),
    )


def rsna_pneumonia(root: Path) -> Expected:
    """DICOM files, and a row a box."""
    rows, details = [], []
    for number in range(8):
        patient = f"{number:08}-aaaa"
        put(root / "stage_2_train_images" / f"{patient}.dcm", bytes(128) + b"DICM")
        for box in range(1 + number % 2):
            rows.append((patient, *((box, 2, 3, 4) if number % 2 else ("", "", "", "")), number % 2))
            details.append((patient, "Lung Opacity" if number % 2 else "Normal"))
    table(root / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", rows)
    table(root / "stage_2_detailed_class_info.csv", "patientId,class", details)
    put(root / "GCP Credits Request Link - RSNA.txt", b"https://example.org\n")
    return Expected(refused=("DICOM", "export them as PNG"))


def rsna_pneumonia_as_png(root: Path) -> Expected:
    """What becomes of it once its files are exported, as the message says."""
    rsna_pneumonia(root)
    picture = Pictures(root)
    for file in sorted((root / "stage_2_train_images").iterdir()):
        picture(f"stage_2_train_images/{file.stem}.png")
    boxes = ("4 rows, a box each (x, y, width, height), tell of a picture that an earlier row told of",)
    return Expected(
        refused=("got 2 tables that tell of pictures", "Lung Opacity", "stage_2_train_labels.csv"),
        asks=(
            Ask((), Expected({"0": 4, "1": 4}, said=boxes, data="stage_2_train_labels.csv")),
            Ask((), Expected({"Lung Opacity": 4, "Normal": 4}, data="stage_2_detailed_class_info.csv")),
        ),
    )


_RANZCR = ("ETT - Abnormal", "ETT - Borderline", "ETT - Normal", "NGT - Normal", "CVC - Normal", "Swan Ganz Present")


def ranzcr_clip(root: Path) -> Expected:
    """A column a finding, several of them in most images, and the picture by its UID."""
    picture, rows = Pictures(root), []
    for number in range(24):
        image = f"1.2.826.0.1.3680043.8.498.{10_000 + number}"
        picture(f"train/{image}.jpg")
        rows.append((image, int(number % 6 == 0), 0, int(number % 2), 1, int(number % 3 == 0), 0, f"ec89{number // 2}"))
    table(root / "train.csv", f"StudyInstanceUID,{','.join(_RANZCR)},PatientID", rows)
    table(root / "train_annotations.csv", "StudyInstanceUID,label,data", [(rows[0][0], "CVC - Normal", "[[1, 2]]")])
    table(root / "sample_submission.csv", f"StudyInstanceUID,{','.join(_RANZCR)}", [("1.2.826.9", *[0] * 6)])
    return Expected(
        refused=("these are several labels per image", "edgetl learns one label per image"),
        data="train.csv",
        asks=(
            Ask(
                ("--columns", "label=ETT - Normal"),
                Expected({"ETT - Normal": 12, "no ETT - Normal": 12}, groups=12, data="train.csv"),
            ),
        ),
    )


def covidx(root: Path) -> Expected:
    """Lists without a header, separated by blanks, one for each split."""
    picture = Pictures(root)
    for split, count in (("train", 10), ("test", 5)):
        lines = []
        for label in ("negative", "positive"):
            for number in range(count):
                image = f"{split}-{label}{number}.png"
                picture(f"{split}/{image}")
                lines.append(f"{split}{label}{number // 2} {image} {label} rsna")
        put(root / f"{split}.txt", ("\n".join(lines) + "\n").encode())
    return Expected(
        {"negative": 15, "positive": 15},
        groups=16,
        splits={"train": 20, "test": 10},
        section={"table.header": ["patientid", "path", "label", "source"]},
        said=("the lists have no header: their columns are read as patientid, path, label, source",),
    )


def vindr_cxr(root: Path) -> Expected:
    """A row a box and reader, of DICOM files."""
    rows = []
    for number in range(6):
        put(root / "train" / f"{number:032x}.dicom", bytes(128) + b"DICM")
        for reader in range(3):
            finding = (
                "No finding" if number % 2 else ("Aortic enlargement", "Cardiomegaly", "Aortic enlargement")[reader]
            )
            rows.append((f"{number:032x}", finding, 14 if number % 2 else 0, f"R{reader}", *[""] * 4))
    table(root / "train.csv", "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max", rows)
    return Expected(refused=("DICOM", "export them as PNG"))


def vindr_cxr_as_png(root: Path) -> Expected:
    """Once its files are exported: the readers do not agree."""
    vindr_cxr(root)
    picture = Pictures(root)
    for file in sorted((root / "train").iterdir()):
        picture(f"train/{file.stem}.png")
    return Expected(
        refused=(
            "a second time, as Cardiomegaly; before it was Aortic enlargement",
            "edgetl learns one label per image",
        ),
        asks=(
            Ask(
                ("--set", 'data.labels={"*|*": finding, "No finding": none found}'),
                Expected({"finding": 3, "none found": 3}, said=("12 rows", "each picture counts once")),
            ),
        ),
    )


_CBIS = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,mass margins,"
    "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)


def cbis_ddsm(root: Path) -> Expected:
    """A DICOM tree; the tables name files that are called otherwise once they are downloaded."""
    for split in ("train", "test"):
        rows = []
        for number in range(6):
            case = f"Mass-{split}_P_{number:05}_LEFT_CC"
            path = f"{case}/1.3.6.1.4.1.{number}/1.3.6.1.4.2.{number}"
            put(root / "CBIS-DDSM" / path / "1-1.dcm", bytes(128) + b"DICM")
            pathology = ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK")[number % 3]
            files = [f"{folder}/000000.dcm" for folder in (path, f"{case}_1/1.3.7", f"{case}_1/1.3.8")]
            rows.append((f"P_{number:05}", 3, "LEFT", "CC", 1, "mass", "OVAL", "SPICULATED", 4, pathology, 4, *files))
        table(root / f"mass_case_description_{split}_set.csv", _CBIS, rows)
    return Expected(refused=("DICOM",))


def covid_19_radiography(root: Path) -> Expected:
    """Pictures and masks of the same names in two folders of each class; workbooks of what the folders say anyway."""
    picture = Pictures(root)
    for name in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"):
        for number in range(1, 6):
            picture(f"{name}/images/{name}-{number}.png")
            picture.mask(f"{name}/masks/{name}-{number}.png")
        put(root / f"{name}.metadata.xlsx", b"PK\x03\x04")
    put(root / "README.md.txt", b"COVID-19 Radiography Database, some prose, and more of it\n")
    return Expected(
        dict.fromkeys(("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"), 5),
        masks=20,
        said=("COVID.metadata.xlsx: a workbook, not read",),
    )


def kermany_chest_xray(root: Path) -> Expected:
    """Everything once more in a folder of its own name, what a Mac leaves behind, and patients in the names."""
    picture = Pictures(root)
    for split, count in (("train", 8), ("val", 3), ("test", 4)):
        for number in range(count):
            patient = {"train": 0, "val": 100, "test": 200}[split] + number // 2
            for path in (
                f"{split}/NORMAL/IM-{patient:04}-000{number}.jpeg",
                f"{split}/PNEUMONIA/person{patient}_bacteria_{number}.jpeg",
            ):
                picture(f"chest_xray/{path}")
                put(root / "chest_xray" / "chest_xray" / path, (root / "chest_xray" / path).read_bytes())
                put(root / "chest_xray" / "__MACOSX" / "chest_xray" / split / f"._{Path(path).name}", b"\0\5\x16\7")
    classes, splits = {"NORMAL": 15, "PNEUMONIA": 15}, {"train": 16, "val": 6, "test": 8}
    return Expected(
        classes,
        splits=splits,
        said=("chest_xray",),
        asks=(
            Ask(
                ("--set", r"data.group.pattern=^(?:IM-(\d+)|(person\d+))"),
                Expected(classes, groups=16, splits=splits),
            ),
        ),
    )


def brain_mri(root: Path) -> Expected:
    """Two classes, and the same once more in a folder beside them."""
    picture = Pictures(root)
    for name, letter in (("yes", "Y"), ("no", "no ")):
        for number in range(6):
            path = f"{name}/{letter}{number}.jpg"
            picture(path)
            put(root / "brain_tumor_dataset" / path, (root / path).read_bytes())
    return Expected({"no": 6, "yes": 6}, said=("brain_tumor_dataset",))


def brain_mri_of_four_classes(root: Path) -> Expected:
    """Training and Testing."""
    picture = Pictures(root)
    for split, short, count in (("Training", "Tr", 6), ("Testing", "Te", 3)):
        for name in ("glioma", "meningioma", "notumor", "pituitary"):
            picture(*(f"{split}/{name}/{short}-{name[:2]}_{number:04}.jpg" for number in range(count)))
    classes = dict.fromkeys(("glioma", "meningioma", "notumor", "pituitary"), 9)
    return Expected(classes, splits={"train": 24, "test": 12})


def lc25000(root: Path) -> Expected:
    """The classes lie two folders down, below their organs."""
    picture = Pictures(root)
    organs = {"colon": ("colon_aca", "colon_n"), "lung": ("lung_aca", "lung_n", "lung_scc")}
    for organ, names in organs.items():
        for name in names:
            picture(*(f"lung_colon_image_set/{organ}_image_sets/{name}/{name}{number}.jpeg" for number in range(5)))
    return Expected(
        dict.fromkeys((*organs["colon"], *organs["lung"]), 5),
        section={"level": 2},
    )


def busi(root: Path) -> Expected:
    """Masks beside the pictures, of some two."""
    picture = Pictures(root)
    for name in ("benign", "malignant", "normal"):
        for number in range(1, 6):
            picture(f"{name}/{name} ({number}).png")
            picture.mask(f"{name}/{name} ({number})_mask.png")
    picture.mask("benign/benign (5)_mask_1.png")
    return Expected(dict.fromkeys(("benign", "malignant", "normal"), 5), masks=15)


def medmnist(root: Path) -> Expected:
    """A file of arrays."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 12), ("val", 4), ("test", 4)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8).reshape(count, 1) % 2
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / "pneumoniamnist.npz", **arrays)
    return Expected({"0": 10, "1": 10}, splits={"train": 12, "val": 4, "test": 4})


LAYOUTS: tuple[Callable[[Path], Expected], ...] = (
    *(ham10000, isic_2018, isic_2019, isic_2020, pad_ufes_20, aptos_2019, eyepacs, messidor_2, odir_5k),
    *(nih_chest_xray14, chexpert, rsna_pneumonia, rsna_pneumonia_as_png, ranzcr_clip, covidx, vindr_cxr),
    *(vindr_cxr_as_png, cbis_ddsm, covid_19_radiography, kermany_chest_xray, brain_mri, brain_mri_of_four_classes),
    *(lc25000, busi, medmnist),
)
