"""The data stage end to end on small folders: what it writes, and what it says about bad data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgetl.data.images import open_cache
from edgetl.data.table import DataTable
from edgetl.errors import DataError
from edgetl.progress import Silent
from edgetl.recipe import Recipe
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess
from edgetl.stages.data import STAGE
from edgetl.stages.stage import Context


class Listener(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


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
    folder, scratch, listener = work / "result", work / "scratch", Listener()
    for path in (folder, scratch):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    STAGE.run(Context(recipe, folder, {}, scratch, data_root, work, listener))
    return folder, json.loads((folder / "summary.json").read_text()), listener.said


def test_table_images_and_summary_agree(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    folder, summary, _ = run(root, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["images.npy", "summary.json", "table.json"]
    table, images = DataTable.load(folder / "table.json"), open_cache(folder / "images.npy")
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
    assert not any(str(tmp_path) in path.read_text() for path in folder.glob("*.json"))


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "data")
    results = []
    for _ in range(2):
        folder, _, _ = run(root, tmp_path)
        results.append({path.name: path.read_bytes() for path in folder.iterdir()})
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
    assert len(DataTable.load(folder / "table.json").records) == 30, "none is left out"
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
    assert open_cache(folder / "images.npy").shape[1:] == (64, 64, 3)
    assert set(summary["classes"]) == {"benign", "malignant", "normal"}
    assert all(summary["splits"][name]["classes"]["benign"] >= 6 for name in ("val", "test"))


def test_the_phantom(tmp_path: Path) -> None:
    from edgetl.data.phantom import render

    render(tmp_path / "data", images=140, size=32, seed=0)
    _, summary, _ = run(tmp_path / "data", tmp_path, kind="skin_phantom", root=None)
    assert summary["has_groups"] is True
    assert sum(summary["classes"].values()) == 140
