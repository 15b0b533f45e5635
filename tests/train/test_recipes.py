"""The recipes that come with edgetl: short, with a stranger's first data, and each built from end to end at toy size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgetl
from edgetl.config.loading import load

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
_MOST_LINES = 25
_TOY: dict[str, Any] = {
    **{"data.image_size": 32, "teacher.epochs": 1, "distil.epochs": 1, "export": ["onnx"]},
    "targets": [],  # test_build.py measures
}
EACH = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


@pytest.fixture
def ultrasound(tmp_path: Path) -> Path:
    """A folder a class, with masks beside the pictures, as BUSI is."""
    random = np.random.default_rng(0)
    for level, label in enumerate(("benign", "malignant", "normal")):
        (tmp_path / "busi" / label).mkdir(parents=True)
        for number in range(1, 25):
            picture = random.integers(60 * level, 60 * level + 80, (30 + number, 60, 3)).astype(np.uint8)
            name = tmp_path / "busi" / label / f"{label} ({number})"
            Image.fromarray(picture).save(f"{name}.png")
            Image.fromarray(np.zeros(picture.shape[:2], np.uint8)).save(f"{name}_mask.png")
    return tmp_path / "busi"


@EACH
def test_a_recipe_fits_on_a_screen(recipe: Path) -> None:
    assert len(recipe.read_text(encoding="utf-8").splitlines()) <= _MOST_LINES


@EACH
def test_a_recipe_is_built_from_end_to_end(
    recipe: Path, ultrasound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("EDGETL_BUSI", str(ultrasound))
    monkeypatch.delenv("EDGETL_HAM10000", raising=False)
    whole = load(recipe)
    toy = _TOY | ({"data.images": 140} if whole.stand_in else {}) | ({"prune.epochs": 1} if whole.recipe.prune else {})
    built = edgetl.build(recipe, overrides=toy, out=tmp_path / "run")
    assert built.complete
    assert built.report.stand_in == whole.stand_in
    ships = "pruned" if whole.recipe.prune else "student"
    assert [(artifact.name, artifact.model) for artifact in built.report.artifacts] == [
        ("onnx-fp32", ships),
        ("onnx-int8", ships),
    ]
    spared = whole.recipe.prune is not None and not whole.recipe.prune.reference
    assert ("student" in {model.name for model in built.report.models}) == (not spared)
    if not whole.stand_in:
        assert built.report.data.images == 72, "the masks are no pictures"
