"""Data sets that are wrong, each in one way, and what a build has to make of them.

A case builds its data set in an empty folder. What it expects is one of

- refused: exit code 2 and one message, which names `place` (a part of a path or a line of a table) and says `says`;
- bearable: exit code 0, and `says` is in a warning or in what is said on the way; empty for what is simply right.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


@dataclass(frozen=True)
class Case:
    """One data set.

    make: fills a folder and returns the root that the recipe names.
    data: further fields of the recipe's data section.
    """

    name: str
    kind: str
    make: Callable[[Path], Path]
    refused: bool
    says: str
    place: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def picture(number: int, size: tuple[int, int] = (40, 40), kind: str = "PNG") -> bytes:
    """A file of a picture that looks like no other."""
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return _file(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), kind)


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _classes(root: Path, names: Iterable[str] = ("a", "b"), count: int = 4) -> Path:
    """A folder for each class, with good pictures."""
    for number, name in enumerate(names):
        for index in range(count):
            _put(root / name / f"{index}.png", picture(100 * number + index))
    return root


def _with(path: str, content: bytes) -> Callable[[Path], Path]:
    """Good classes, and one file more."""

    def make(folder: Path) -> Path:
        _put(_classes(folder) / path, content)
        return folder

    return make


def _frames(kind: str) -> bytes:
    frames = [Image.open(io.BytesIO(picture(number))) for number in (900, 901)]
    return _file(
        frames[0], kind, save_all=True, append_images=frames[1:], **({} if kind == "TIFF" else {"duration": 99})
    )


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _bomb() -> bytes:
    """80 GB of black in some kilobytes."""
    return _png(160_000, 160_000, zlib.compress(bytes(10_000_000)))


def _broken_files() -> Iterable[Case]:
    """One file among good ones that is no whole picture."""
    photograph = picture(900, (64, 64), "JPEG")
    whole = picture(900)
    for name, path, content, says in (
        ("truncated_jpeg", "a/x.jpg", photograph[: len(photograph) // 2], "truncated"),
        ("jpeg_cut_and_closed", "a/x.jpg", photograph[: len(photograph) // 2] + b"\xff\xd9", "truncated"),
        ("jpeg_zero_tail", "a/x.jpg", photograph[:600] + bytes(len(photograph) - 600), "damaged or truncated"),
        ("truncated_png", "a/x.png", whole[: len(whole) // 2], "truncated"),
        ("png_of_ten_rows", "a/x.png", _png(40, 40, zlib.compress(bytes(10 * 121))), "truncated"),
        ("png_too_long", "a/x.png", _png(20_000_000, 1, zlib.compress(b"")), "65,535 pixels"),
        ("zero_bytes", "a/x.png", b"", "0 bytes"),
        (
            "html_as_jpeg",
            "a/x.jpg",
            b"<!DOCTYPE html><title>404 Not Found</title>" * 9,
            "is a web page (HTML), not a picture",
        ),
        ("text_as_png", "a/x.png", "keine Bilddatei\n".encode("utf-16"), "is text, not a picture"),
        ("animated_gif", "a/x.gif", _frames("GIF"), "2 frames"),
        ("animated_webp", "a/x.webp", _frames("WEBP"), "2 frames"),
        ("animated_png", "a/x.png", _frames("PNG"), "2 frames"),
        ("multipage_tiff", "a/x.tif", _frames("TIFF"), "2 frames"),
        ("bomb_png", "a/x.png", _bomb(), "million pixels"),
        ("float_tiff", "a/x.tif", _file(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"), "pixels of type 'F'"),
        ("integer_tiff", "a/x.tif", _file(Image.fromarray(np.ones((40, 40), np.int32)), "TIFF"), "pixels of type 'I'"),
        ("png_wrong_crc", "a/x.png", whole[:-20] + b"\0" * 8 + whole[-12:], "damaged"),
    ):
        yield Case(name, "folder", _with(path, content), True, says, path)


def _folders() -> Iterable[Case]:
    def many_broken(folder: Path) -> Path:
        for name in ("a", "b"):
            for index in range(15):
                _put(folder / name / f"{index}.png", b"nothing")
        return folder

    def a_file(folder: Path) -> Path:
        return _put(folder / "data.txt", b"hello")

    def made(*folders: str) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            for name in folders:
                (folder / name).mkdir(parents=True)
            return folder

        return make

    def nested(folder: Path) -> Path:
        _classes(folder / "images")
        return folder

    def mixed(folder: Path) -> Path:
        _classes(folder / "train")
        _classes(folder, ("a", "b"))
        return folder

    def one_class(folder: Path) -> Path:
        return _classes(folder, ("a",))

    def few(folder: Path) -> Path:
        _classes(folder)
        for index in range(2):
            _put(folder / "rare" / f"{index}.png", picture(500 + index))
        return folder

    def no_test_class(folder: Path) -> Path:
        for split in ("train", "val", "test"):
            for index, name in enumerate(("a", "b", "c")[: 3 if split == "train" else 2]):
                _put(folder / split / name / "1.png", picture(1000 * len(split) + ord(split[0]) + index))
        return folder

    def empty_class(folder: Path) -> Path:
        (_classes(folder) / "c").mkdir()
        return folder

    yield Case("empty_folder", "folder", made(), True, "no folders")
    yield Case("empty_class_folders", "folder", made("a", "b"), True, "no images")
    yield Case("one_class", "folder", one_class, True, "one class (a)")
    yield Case("file_instead_of_folder", "folder", a_file, True, "is a file", "r.yaml:1")
    yield Case("nested_wrongly", "folder", nested, True, "is it")
    yield Case("splits_beside_classes", "folder", mixed, True, "split folders (train)")
    yield Case("all_broken", "folder", many_broken, True, "cannot be read")
    yield Case("class_of_two", "folder", few, True, "rare has 2 groups")
    yield Case("class_missing_in_test", "folder", no_test_class, True, "c has 1 groups")
    yield Case("level_too_large", "folder", _classes, True, "write data: {level: 1}", "level 1: a, b", {"level": 2})
    yield Case(
        "parts", "folder", lambda folder: _classes(folder, ("images_1", "images_2")), True, "hold pictures and no class"
    )
    yield Case(
        "other_inner_set", "folder", _with_class("c/a", "c/b"), True, "c holds a, b as they lie beside it", "c/a/0.png"
    )
    yield Case(
        "masks_folder",
        "folder",
        _with("a/masks/0.png", picture(900)),
        False,
        "1 pictures in a/masks are taken for masks",
    )
    yield Case("one_empty_class", "folder", empty_class, False, "c: holds no pictures")
    yield Case("broken_jfif", "folder", _with("a/x.jfif", b"oops"), True, "is text, not a picture", "a/x.jfif")
    yield Case("phone_picture", "folder", _with("a/x.HEIC", b"ftypheic"), False, "1 .heic (a/x.HEIC)")
    yield Case("dicom_without_ending", "folder", _with("a/IM0001", b"DICM"), False, "1 without an ending (a/IM0001)")
    yield Case("loose_picture", "folder", _with("loose.png", picture(900)), False, "1 in no class (loose.png)")
    yield Case(
        "volumes", "folder", _only("a/x.nii.gz", "b/y.nii.gz"), True, "2 NIfTI volumes (.nii.gz), which are not read"
    )
    yield Case("two_spellings", "folder", _with_class("A"), False, '{labels: {"a": "A"}}')


def _names() -> Iterable[Case]:
    def loop(folder: Path) -> Path:
        (_classes(folder) / "a" / "again").symlink_to(folder)
        return folder

    def dangling(folder: Path) -> Path:
        (_classes(folder) / "a" / "gone.png").symlink_to(folder / "nowhere.png")
        return folder

    def directory(folder: Path) -> Path:
        (_classes(folder) / "a" / "x.png").mkdir()
        return folder

    def pipe(folder: Path) -> Path:
        os.mkfifo(_classes(folder) / "a" / "x.png")
        return folder

    def not_text(folder: Path) -> Path:
        name = os.fsencode(_classes(folder) / "a") + b"/\xff\xfe.png"
        with open(name, "wb") as file:  # noqa: PTH123 - a Path holds no such name
            file.write(picture(900))
        return folder

    def no_mask(folder: Path) -> Path:
        _put(_classes(folder) / "b" / "x.png", b"oops")
        (folder / "a" / "0_mask.png").symlink_to("nowhere")
        return folder

    def closed_folder(folder: Path) -> Path:
        _put(_classes(folder) / "a" / "deep" / "x.png", picture(900)).parent.chmod(0)
        return folder

    def closed(folder: Path) -> Path:
        _put(_classes(folder) / "a" / "x.png", picture(900)).chmod(0)
        return folder

    yield Case("symlink_loop", "folder", loop, False, "")
    yield Case("dangling_symlink", "folder", dangling, True, "cannot be read", "a/gone.png")
    yield Case("folder_named_png", "folder", directory, False, "")
    yield Case("fifo_named_png", "folder", pipe, True, "is no file", "a/x.png")
    yield Case("name_not_utf8", "folder", not_text, True, "not UTF-8")
    yield Case("name_with_newline", "folder", _with("a/x\ny.png", picture(900)), False, "")
    yield Case("class_with_newline", "folder", _with_class("c\nd"), True, "the class 'c\\nd'")
    yield Case("hidden_and_macos", "folder", _with("__MACOSX/a/._0.png", b"resource"), False, "")
    yield Case("mask_without_picture", "folder", _with("a/9_mask.png", picture(900)), False, "1 masks have no picture")
    yield Case(
        "mask_of_zero_bytes", "folder", _with("a/0_mask.png", b""), True, "a/0_mask.png: the file is empty (0 bytes)"
    )
    yield Case("mask_and_picture_broken", "folder", no_mask, True, "b/x.png: is text", "a/0_mask.png: cannot")
    yield Case("broken_uppercase", "folder", _with("a/X.PNG", b"oops"), True, "is text, not a picture", "a/X.PNG")
    if os.geteuid() != 0:  # root reads everything
        yield Case("folder_closed", "folder", closed_folder, True, "Permission denied", "a/deep")
        yield Case("permission_denied", "folder", closed, True, "Permission denied", "a/x.png")


def _with_class(*names: str) -> Callable[[Path], Path]:
    return lambda folder: _classes(folder, ("a", "b", *names))


def _only(*names: str) -> Callable[[Path], Path]:
    """Files that are no pictures."""

    def make(folder: Path) -> Path:
        for name in names:
            _put(folder / name, b"something")
        return folder

    return make


def _leaks() -> Iterable[Case]:
    def contradicting(folder: Path) -> Path:
        _put(_classes(folder, count=6) / "b" / "x.png", picture(0))
        return folder

    def across(folder: Path) -> Path:
        for number, split in enumerate(("train", "val", "test")):
            for index, name in enumerate(("a", "b")):
                _put(folder / split / name / "1.png", picture(10 * number + index))
        _put(folder / "test" / "a" / "2.png", picture(0))
        return folder

    def resized(folder: Path) -> Path:
        _put(_classes(folder, count=6) / "a" / "x.png", picture(0, (60, 60)))
        return folder

    yield Case("identical_contradicting", "folder", contradicting, False, "contradict")
    yield Case("identical_across_splits", "folder", across, True, "two prescribed splits", "1.png")
    yield Case("resized_copy", "folder", resized, False, "saved again")


_HEADER = "path,label,patient,split"


def _table(
    rows: Iterable[str], header: str = _HEADER, encoding: str = "utf-8", pictures: int = 12
) -> Callable[[Path], Path]:
    """A table beside good pictures 0.png, 1.png, ..."""

    def make(folder: Path) -> Path:
        for index in range(pictures):
            _put(folder / f"{index}.png", picture(index))
        return _put(folder / "labels.csv", "\n".join([header, *rows, ""]).encode(encoding))

    return make


def _rows(count: int = 12) -> list[str]:
    return [f"{index}.png,{'ab'[index % 2]},p{index}," for index in range(count)]


def _crowd() -> list[str]:
    """Sixty pictures, half of them of one group."""
    return [f"{index}.png,{'ab'[index // 2 % 2]},{'unknown' if index % 2 else index}" for index in range(60)]


def _csv() -> Iterable[Case]:
    good = _rows()
    for name, make, says, place in (
        ("csv_only_header", _table([]), "no images", ""),
        ("csv_no_label_column", _table(good, "path,colour,patient,split"), "no column is the label", "csv:1"),
        ("csv_two_label_columns", _table(good, "path,label,class,split"), "may each be the label", "csv:1"),
        ("csv_ragged", _table([*good[:3], "4.png,a"]), "got 2 cells, expected 4", "csv:5"),
        (
            "csv_missing_files",
            _table([*good, "gone.png,a,p,", "lost.png,b,p,"]),
            "gone.png: cannot be read: No",
            "lost",
        ),
        (
            "csv_missing_and_broken",
            _table([*good, "gone.png,a,p,", "labels.csv,b,p,"]),
            "gone.png: cannot",
            "labels.csv: is",
        ),
        ("csv_no_file_there", _table([f"x/{row}" for row in good]), "none of 12 pictures", "labels.csv"),
        ("csv_open_quote", _table([*good[:4], '4.png,a,p4,"', *good[5:]]), "unexpected end of data", "csv:6"),
        ("csv_quote_within", _table([*good[:4], '4.png,a,"5 mm" wide,', *good[5:]]), "a quote", "csv:6"),
        ("csv_no_label_by_r", _table([*good[:2], "2.png,NA,p2,"]), "label: got NA", "csv:4"),
        ("csv_absolute_path", _table([*good, "/etc/passwd,a,p,"]), "absolute path", "csv:14"),
        ("csv_leaves_folder", _table([*good, "../../x.png,a,p,"]), "leaves the table's folder", "csv:14"),
        ("csv_twice_other_label", _table([*good, "0.png,b,p0,"]), "a second time", "csv:14"),
        ("csv_empty_label", _table([*good[:2], "2.png,,p2,"]), "label: got nothing", "csv:4"),
        ("csv_bad_split", _table([good[0] + "train", good[1] + "holdout"]), "holdout", "csv:3"),
        ("csv_nul_bytes", _table([*good, "\0\0\0,a,p,"]), "", "csv"),
        ("csv_huge_field", _table([*good, f"{'x' * 300_000}.png,a,p,"]), "", "csv"),
        ("csv_utf16", _table(good, encoding="utf-16"), "not UTF-8", "labels.csv"),
        ("csv_latin1", _table([*good, "11.png,ä,p,"], encoding="latin-1"), "not UTF-8", "labels.csv"),
        ("csv_one_label", _table([row.replace(",b,", ",a,") for row in good]), "one class (a)", ""),
        ("csv_folder_as_picture", _table([*good, ".,a,p,"]), "", "csv"),
    ):
        yield Case(name, "csv", make, True, says, place)
    torn = [f"{row}{('train', 'val', 'test')[index // 4]}" for index, row in enumerate(good)]
    torn[4] = torn[4].replace("p4", "p0")
    yield Case("csv_group_in_two_splits", "csv", _table(torn), True, "prescribed splits", "p0")
    twice = {"columns": {"label": "patient", "group": "Patient"}}
    yield Case("csv_column_twice", "csv", _table(good), True, "for two of label, group", "csv:1", twice)
    excel = [row.replace(",", ";") for row in (_HEADER, *good)]
    yield Case("csv_excel", "csv", _table(excel, "sep=;"), False, "")
    crowd = _table(_crowd(), "path,label,group", pictures=60)
    yield Case("csv_group_unknown", "csv", crowd, False, "group 'unknown' holds 30 of 60 images")
    yield Case("csv_windows", "csv", _table([f"{row}\r" for row in good], encoding="utf-8-sig"), False, "")
    yield Case("csv_wrong_column", "csv", _table(good), True, "did you mean", "csv:1", {"columns": {"label": "labell"}})


def _arrays(**changes: Any) -> Callable[[Path], Path]:
    """A MedMNIST file with arrays replaced; None leaves one out."""

    def make(folder: Path) -> Path:
        rng = np.random.default_rng(0)
        arrays: dict[str, npt.NDArray[Any]] = {}
        for split in ("train", "val", "test"):
            arrays[f"{split}_images"] = rng.integers(0, 256, (8, 28, 28), dtype=np.uint8)
            arrays[f"{split}_labels"] = np.arange(8).reshape(8, 1) % 2
        arrays.update(changes)
        path = folder / "set.npz"
        np.savez_compressed(path, allow_pickle=True, **{name: one for name, one in arrays.items() if one is not None})
        return path

    return make


def _cut(keep: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = _arrays()(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        return path

    return make


def _other_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "set.npz", "w") as archive:
        archive.writestr("train_images.npy", b"not an array")
    return folder / "set.npz"


def _npz() -> Iterable[Case]:
    def no_zip(folder: Path) -> Path:
        return _put(folder / "set.npz", b"\x93NUMPY nothing")

    def header(text: bytes) -> Callable[[Path], Path]:
        """An array whose header says something else."""

        def make(folder: Path) -> Path:
            names = [f"{split}_{what}.npy" for split in ("train", "val", "test") for what in ("images", "labels")]
            with zipfile.ZipFile(folder / "set.npz", "w") as archive:
                for name in names:
                    archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
            return folder / "set.npz"

        return make

    def newer_zip(folder: Path) -> Path:
        path = _arrays()(folder)
        content = path.read_bytes()
        entry = content.index(b"PK\x01\x02") + 6  # the version of zip that its first file needs
        return _put(path, content[:entry] + b"\xff\0" + content[entry + 2 :])

    noise = np.random.default_rng(1).integers(0, 256, (3, 8, 28, 28, 1), dtype=np.uint8)
    one_channel = dict(zip(("train_images", "val_images", "test_images"), noise, strict=True))
    yield Case("npz_one_channel", "medmnist", _arrays(**one_channel), False, "")
    objects = np.array([{"a": 1}] * 8, dtype=object)
    for name, make, says in (
        ("npz_no_zip", no_zip, "is no .npz"),
        ("npz_truncated", _cut(0.6), "is no .npz"),
        ("npz_of_something_else", _other_zip, "set.npz"),
        ("npz_of_a_newer_zip", newer_zip, "is damaged"),
        ("npz_header_open", header(b"{'descr': ("), "is no array"),
        ("npz_header_of_bytes", header(b"\xff" * 40), "is no array"),
        ("npz_header_of_a_list", header(b"[] + {}   \n"), "is no array"),
        ("npz_no_test_labels", _arrays(test_labels=None), "test_labels"),
        ("npz_pickled", _arrays(train_labels=objects), "pickled"),
        ("npz_several_labels", _arrays(train_labels=np.ones((8, 14), np.uint8)), "several labels"),
        ("npz_volumes", _arrays(train_images=np.ones((8, 28, 28, 28), np.uint8)), "volumes"),
        ("npz_wrong_length", _arrays(train_images=np.ones((7, 28, 28), np.uint8)), "7 images and 8 labels"),
        ("npz_float_images", _arrays(val_images=np.ones((8, 28, 28), np.float32)), "expected uint8"),
        (
            "npz_one_label",
            _arrays(**{f"{s}_labels": np.ones((8, 1), int) for s in ("train", "val", "test")}),
            "one class",
        ),
    ):
        yield Case(name, "medmnist", make, True, says, "set.npz: ")


def _ham(rows: Iterable[str] | None, header: str = "lesion_id,image_id,dx") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for index in range(8):
            _put(folder / "HAM10000_images_part_1" / f"I{index}.jpg", picture(index, kind="JPEG"))
        if rows is not None:
            _put(folder / "HAM10000_metadata.csv", "\n".join([header, *rows, ""]).encode())
        return folder

    return make


def _ham10000() -> Iterable[Case]:
    good = [f"L{index},I{index},{'mel' if index % 2 else 'nv'}" for index in range(8)]
    for name, make, says, place in (
        ("ham_no_table", _ham(None), "no HAM10000_metadata.csv", ""),
        ("ham_unknown_dx", _ham([*good[:7], "L7,I7,scc"]), "'scc'", "csv:9"),
        ("ham_missing_image", _ham([*good, "L9,I9,mel"]), "no image file of 'I9'", "csv:10"),
        ("ham_rows_wrong", _ham([*good[:6], "L6,I6,scc", ",I7,nv", "L9,I9,mel"]), "dx: got 'scc'", "csv:10: image_id"),
        ("ham_id_with_ending", _ham([*good[:7], "L7,I7.jpg,mel"]), "without its ending", "csv:9"),
        ("ham_image_twice", _ham([*good, "L0,I0,mel"]), "second time", "csv:10"),
        ("ham_no_lesion", _ham([*good[:7], ",I7,mel"]), "lesion_id: got nothing", "csv:9"),
        ("ham_no_dx_column", _ham(good, "lesion_id,image_id,diagnosis"), "dx missing", "csv:1"),
    ):
        yield Case(name, "ham10000", make, True, says, place)
    yield Case("ham_image_without_row", "ham10000", _ham(good[:7]), False, "1 image files have no row")


def cases() -> list[Case]:
    """All of them; names differ."""
    return [*_broken_files(), *_folders(), *_names(), *_leaks(), *_csv(), *_npz(), *_ham10000()]
