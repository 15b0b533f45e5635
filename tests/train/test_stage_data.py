"""The data stage end to end on small folders: what it writes, and what it says about bad data."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.progress import Heard
from PIL import Image

from edgetl.config.loading import Loaded, load
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Silent
from edgetl.data import originals
from edgetl.data.images import Images, open_images
from edgetl.data.records import SPLITS
from edgetl.data.table import DataTable
from edgetl.errors import DataError, RecipeError
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess
from edgetl.stages.common import sources
from edgetl.stages.common.settings import preprocessing_after
from edgetl.stages.common.stage import Context
from edgetl.stages.data import STAGE
from edgetl.store import Store


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def two_classes(root: Path, count: int = 12) -> Path:
    for index in range(count):
        picture(root / "benign" / f"{index}.png", index)
        picture(root / "malignant" / f"{index}.png", 1000 + index)
    return root


def run(data_root: Path, work: Path, **data: Any) -> tuple[Path, dict[str, Any], list[str]]:
    """Result folder, summary, and what was said."""
    fields = {"kind": "folder", "root": str(data_root), "image_size": 32, **data}
    recipe = Recipe.model_validate({"name": "test", "data": fields})
    folder, scratch, listener = work / "result", work / "scratch", Heard()
    for path in (folder, scratch):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    STAGE.run(Context(recipe, folder, {}, scratch, data_root, work, listener))
    return folder, json.loads((folder / "summary.json").read_text()), listener.lines


def opened(folder: Path) -> tuple[DataTable, Images]:
    """The whole table, and all pixels."""
    table = DataTable.load(folder)
    return table, open_images(folder, table, SPLITS)


def test_table_images_and_summary_agree(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    folder, summary, _ = run(root, tmp_path)
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    parts = ("originals.json", "pixels.npy", "records.json")
    assert written == ["depth.json", "summary.json", *(f"{split}/{part}" for split in sorted(SPLITS) for part in parts)]
    table, images = opened(folder)
    how = Preprocessing(Resize("crop", "bilinear", height=32, width=32))
    for row in (0, 7, 23):
        np.testing.assert_array_equal(images[row], preprocess(root / table.records[row].image, how))
    assert summary["classes"] == {"benign": 12, "malignant": 12}
    for name in ("train", "val", "test"):
        assert (
            summary["splits"][name]["images"] == len(table.of(name)) == sum(summary["splits"][name]["classes"].values())
        )
    assert summary["splits"]["val"]["classes"] == {"benign": 2, "malignant": 2}
    for sample in summary["samples"]:
        assert table.records[sample["row"]].label == sample["label"]
        assert table.records[sample["row"]].split == "train"
    assert not any(str(tmp_path) in path.read_text() for path in folder.rglob("*.json"))


def test_each_split_says_what_its_files_hold(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    folder, _, _ = run(root, tmp_path)
    table = DataTable.load(folder)
    for split in SPLITS:
        expected = {one.image: hashlib.sha256((root / one.image).read_bytes()).hexdigest() for one in table.of(split)}
        assert originals.read(folder, split) == expected


def test_a_changed_test_picture_leaves_what_training_reads_as_it_is(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    folder, _, _ = run(root, tmp_path)
    before = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    picture(root / DataTable.load(folder).of("test")[0].image, 4711)
    folder, _, _ = run(root, tmp_path)
    after = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    assert {name for name in before if before[name] != after[name]} == {"test/pixels.npy", "test/originals.json"}


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    results = []
    for _ in range(2):
        folder, _, _ = run(root, tmp_path)
        results.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")})
    assert results[0] == results[1]


def test_missing_groups_are_said(tmp_path: Path) -> None:
    _, summary, said = run(two_classes(tmp_path / "data"), tmp_path)
    assert summary["has_groups"] is False
    assert any("optimistic" in caution for caution in summary["warnings"])
    assert [f"warning: {caution}" for caution in summary["warnings"]] == said


def test_identical_files_stay_together_and_are_said(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    for copy in range(5):
        shutil.copy(root / "benign" / "3.png", root / "benign" / f"copy{copy}.png")
    shutil.copy(root / "malignant" / "1.png", root / "benign" / "contradiction.png")
    folder, summary, _ = run(root, tmp_path)
    same, contradiction = sorted(summary["leaks"]["identical"], key=lambda found: -len(found["images"]))
    assert len(same["images"]) == 6
    assert len(same["splits"]) == len(contradiction["splits"]) == 1
    assert contradiction["labels"] == ["benign", "malignant"]
    assert any("8 files are byte-identical" in caution for caution in summary["warnings"])
    assert any("contradicting labels" in caution and "contradiction.png" in caution for caution in summary["warnings"])
    assert len(DataTable.load(folder).records) == 30, "none is left out"
    assert summary["has_groups"] is False, "merged copies do not make it a grouped source"


def test_identical_files_in_two_prescribed_splits_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for seed, name in enumerate(("train", "val", "test")):
        picture(root / name / "benign" / f"{name}.png", seed)
        picture(root / name / "malignant" / f"{name}.png", 10 + seed)
    shutil.copy(root / "train" / "benign" / "train.png", root / "test" / "benign" / "again.png")
    with pytest.raises(
        DataError, match=r"two prescribed splits.*again\.png \(test\), train/benign/train\.png \(train\)"
    ):
        run(root, tmp_path)


def test_a_readers_warning_reaches_the_report(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    (root / "empty").mkdir()
    _, summary, _ = run(root, tmp_path)
    assert "empty: holds no pictures and is ignored" in summary["warnings"]


def test_labels_and_exclusions(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    for number in range(12):
        picture(root / "naevus" / f"{number}.png", 100 + number)
    (root / "benign" / "3.png").write_bytes(b"broken, but left out")
    labels = {"naevus": "benign", "malignant": "mel"}
    folder, summary, _ = run(root, tmp_path, labels=labels, exclude=["benign/3.png", "gone*"])
    assert summary["classes"] == {"benign": 23, "mel": 12}
    assert DataTable.load(folder).classes == ("benign", "mel")
    assert "data.exclude: nothing matches gone*" in summary["warnings"]
    (root / "out.txt").write_text("benign/3.png  \n# blurred:\nnaevus/*\n")
    _, summary, _ = run(root, tmp_path, exclude="out.txt")
    assert summary["classes"] == {"benign": 11, "malignant": 12}


def test_every_bad_picture_is_named_in_one_message(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    whole = (root / "benign" / "0.png").read_bytes()
    bad = root / "benign"
    (bad / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (bad / "empty.png").touch()
    (bad / "page.jpg").write_bytes(b"<!DOCTYPE html><title>404</title>")
    (bad / "loop.png").symlink_to("loop.png")
    (bad / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(bad / "pipe.png")
    picture(root / "malignant" / "folder.png" / "inside.png", 77)
    frames = [Image.new("L", (8, 8), colour) for colour in (0, 255)]
    frames[0].save(bad / "film.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.zeros((8, 8), np.float32)).save(bad / "float.tif")
    with pytest.raises(DataError, match="8 images cannot be read") as caught:
        run(root, tmp_path)
    for name in ("truncated.png", "empty.png", "page.jpg", "loop.png", "gone.png", "pipe.png", "film.gif", "float.tif"):
        assert f"benign/{name}: " in str(caught.value)
    assert "folder.png" not in str(caught.value), "a folder called so holds pictures like any other"
    assert not list((tmp_path / "result").rglob("*.*"))


def test_odd_but_good_pictures(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    odd = root / "benign"
    whole = (root / "malignant" / "0.png").read_bytes()
    (odd / "png_called.jpg").write_bytes(whole)
    (odd / "more_behind.png").write_bytes(whole + b"something")
    pixels = np.random.default_rng(9).integers(0, 65536, (40, 48), dtype=np.uint16)
    Image.fromarray(pixels).save(odd / "sixteen.png")
    for mode in ("1", "L", "LA", "P", "RGBA"):
        Image.fromarray(pixels.astype(np.uint8)).convert("RGB").convert(mode).save(odd / f"mode_{mode}.png")
    Image.fromarray(pixels.astype(np.uint8)).convert("CMYK").save(odd / "cmyk.jpg")
    for size in ((1, 1), (20_000, 1), (1, 20_000)):
        Image.new("RGB", size, "orange").save(odd / f"size_{size[0]}x{size[1]}.png")
    folder, summary, _ = run(root, tmp_path)
    assert summary["classes"]["benign"] == 12 + 12
    table, images = opened(folder)
    (row,) = (row for row, record in enumerate(table.records) if record.image == "benign/size_20000x1.png")
    np.testing.assert_array_equal(images[row], np.broadcast_to([255, 165, 0], (32, 32, 3)))


def test_a_csv_table(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    rows = [f"{path.parent.name}/{path.name};{path.parent.name};P{path.stem}" for path in sorted(root.rglob("*.png"))]
    (root / "all.csv").write_text("\n".join(["file;befund;patient", *rows]) + "\n")
    (root / "other.csv").write_text("not this one\n")
    folder, summary, _ = run(root / "all.csv", tmp_path, kind="csv", columns={"label": "befund"})
    assert summary["has_groups"] is True
    assert {split: part["groups"] for split, part in summary["splits"].items()} == {"train": 8, "val": 2, "test": 2}
    table, images = opened(folder)
    how = Preprocessing(Resize("crop", "bilinear", height=32, width=32))
    np.testing.assert_array_equal(images[5], preprocess(root / table.records[5].image, how))


def loaded(project: Path, **data: Any) -> Loaded:
    """A recipe of a project, as the command line would read it."""
    fields = {"name": "test", "data": {"image_size": 32, **data}}
    (project / "recipe.yaml").write_text(json.dumps(fields))
    return load(project / "recipe.yaml")


def test_medmnist_is_unpacked_into_the_store_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {f"{split}_images": draw.integers(0, 256, (6, 28, 28), dtype=np.uint8) for split in SPLITS}
    arrays |= {f"{split}_labels": np.array([[0], [1]] * 3, np.uint8) for split in SPLITS}
    np.savez(tmp_path / "set.npz", allow_pickle=False, **arrays)
    recipe = loaded(tmp_path, kind="medmnist", root="set.npz", labels={"0": "normal"}, exclude=["train/000005.png"])
    store = Store(tmp_path / "store")
    assert sources.fingerprint(recipe, store) == sources.fingerprint(recipe, store)
    root = sources.root(recipe, store, Silent())
    assert root == sources.root(recipe, store, Silent())
    _, summary, _ = run(root, tmp_path, **recipe.recipe.data.model_dump(mode="json", exclude={"image_size", "root"}))
    assert summary["classes"] == {"1": 8, "normal": 9}
    assert {split: part["images"] for split, part in summary["splits"].items()} == {"train": 5, "val": 6, "test": 6}


def test_what_is_left_out_and_how_it_is_labelled_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    two_classes(tmp_path / "data")
    store = Store(tmp_path / "store")

    def found(**data: Any) -> str:
        return sources.fingerprint(loaded(tmp_path, root="data", **data), store)

    whole = found()
    without = found(exclude=["benign/0.png"])
    assert len({whole, without, found(labels={"benign": "x"}), found(labels={"malignant": "x"})}) == 4
    (tmp_path / "out.txt").write_text("benign/0.png\n")
    assert found(exclude="out.txt") == without
    (tmp_path / "data" / "benign" / "0.png").write_bytes(b"changed")
    assert found(exclude="out.txt") == without
    (tmp_path / "out.txt").write_text("# none\n")
    assert found(exclude="out.txt") not in (whole, without)


def test_a_file_of_patterns_is_one_that_the_stage_reads(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("images/1.png")
    recipe = loaded(tmp_path, kind="skin_phantom", exclude="out.txt")
    assert STAGE.files(recipe, tmp_path) == {"out.txt": tmp_path / "out.txt"}
    assert STAGE.files(loaded(tmp_path, kind="skin_phantom", exclude=["images/1.png"]), tmp_path) == {}


def test_what_is_odd_about_the_data_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    root, store = two_classes(tmp_path / "data"), Store(tmp_path / "store")
    recipe = loaded(tmp_path, root="data")
    before = sources.fingerprint(recipe, store)
    (root / "empty").mkdir()
    assert sources.fingerprint(recipe, store) != before


def test_a_file_of_patterns_that_is_not_there(tmp_path: Path) -> None:
    two_classes(tmp_path / "data")
    with pytest.raises(RecipeError, match=r"no file scans/\*(.|\n)*exclude: \[.scans/\*.\]"):
        sources.fingerprint(loaded(tmp_path, root="data", exclude="scans/*"), Store(tmp_path / "store"))


def test_a_file_of_patterns_in_the_home_of_nobody(tmp_path: Path) -> None:
    two_classes(tmp_path / "data")
    with pytest.raises(RecipeError, match=r"data\.exclude: ~nobody123/out\.txt: Could not"):
        sources.fingerprint(loaded(tmp_path, root="data", exclude="~nobody123/out.txt"), Store(tmp_path / "store"))


def test_missing_masks_and_broken_pictures_are_named_at_once(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    (root / "benign" / "1_mask.png").symlink_to("nowhere")
    (root / "malignant" / "2_mask.png").write_bytes(b"")
    masks = (
        r"2 masks cannot be read:\n  benign/1_mask\.png: cannot be read: No such(.|\n)*2_mask\.png: the file is empty"
    )
    with pytest.raises(DataError, match=rf"data: {masks}"):
        run(root, tmp_path)
    (root / "benign" / "1.png").write_bytes(b"oops")
    with pytest.raises(DataError, match=rf"1 images cannot be read:\n  benign/1\.png: is text(.|\n)*\n{masks}"):
        run(root, tmp_path)


def _deep(root: Path, largest: int = 4080) -> Path:
    for index in range(24):
        path = root / ("benign", "malignant")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(index).integers(0, largest + 1, (40, 48), dtype=np.uint16)
        values[0, 0] = largest
        Image.fromarray(values).save(path)
    return root


def test_grey_that_uses_twelve_of_sixteen_bits(tmp_path: Path) -> None:
    root = _deep(tmp_path / "data")
    folder, summary, said = run(root, tmp_path)
    caution = "24 pictures have 16-bit grey, of which 12 bits are used (largest value 4080): white is taken as 4095"
    assert [warning for warning in summary["warnings"] if warning.startswith(caution)]
    assert [line for line in said if line.startswith(f"warning: {caution}")]
    table, images = opened(folder)
    how = preprocessing_after(
        Recipe.model_validate({"name": "x", "data": {"root": "x", "image_size": 32}}).data, folder
    )
    assert how.bits == 12
    np.testing.assert_array_equal(images[5], preprocess(root / table.records[5].image, how))
    assert max(images[row].max() for row in range(24)) > 200
    folder, summary, _ = run(root, tmp_path, bits=16)
    assert json.loads((folder / "depth.json").read_text()) == {"schema": 1, "bits": 16}
    assert not any("16-bit" in warning for warning in summary["warnings"])
    assert max(opened(folder)[1][row].max() for row in range(24)) < 16


def test_grey_beyond_the_bits_of_the_recipe_is_named_and_not_clipped(tmp_path: Path) -> None:
    root = _deep(tmp_path / "data")
    with pytest.raises(
        DataError, match=r"24 images cannot be read:\n  benign/0\.png: .* up to 4080, expected at most 2047"
    ):
        run(root, tmp_path, bits=11)


def test_a_brighter_test_picture_is_another_depth(tmp_path: Path) -> None:
    root = _deep(tmp_path / "data")
    folder, _, _ = run(root, tmp_path)
    brighter = root / DataTable.load(folder).of("test")[0].image
    Image.fromarray(np.full((40, 48), 5000, np.uint16)).save(brighter)
    folder, _, _ = run(root, tmp_path)
    assert json.loads((folder / "depth.json").read_text())["bits"] == 13


def test_transparent_pictures_are_said(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    for number in range(3):
        Image.new("RGBA", (40, 48), (200, 100, 50 + number, 0)).save(root / "benign" / f"{number}.png")
    folder, summary, _ = run(root, tmp_path)
    assert "3 pictures have transparent pixels, which become black" in summary["warnings"]
    table, images = opened(folder)
    assert not images[[record.image for record in table.records].index("benign/1.png")].any()


def test_the_key_ignores_where_the_data_lies(tmp_path: Path) -> None:
    def settings(**data: Any) -> Any:
        return STAGE.settings(
            Recipe.model_validate({"name": "test", "data": {"kind": "ham10000", "root": "a", **data}})
        )

    assert settings() == settings(root="b") == settings(stand_in="skin_phantom")
    assert settings() != settings(image_size=64)
    assert settings() != settings(split={"val": 0.2})


def test_real_ultrasound(busi: Path, tmp_path: Path) -> None:
    folder, summary, _ = run(busi, tmp_path, image_size=64)
    assert opened(folder)[1].shape[1:] == (64, 64, 3)
    assert set(summary["classes"]) == {"benign", "malignant", "normal"}
    assert all(summary["splits"][name]["classes"]["benign"] >= 6 for name in ("val", "test"))


def test_the_phantom(tmp_path: Path) -> None:
    from edgetl.data.phantom import render

    render(tmp_path / "data", images=140, size=32, seed=0)
    _, summary, _ = run(tmp_path / "data", tmp_path, kind="skin_phantom", root=None)
    assert summary["has_groups"] is True
    assert sum(summary["classes"].values()) == 140
