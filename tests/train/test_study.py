"""A study keeps each cell as it ends, builds none twice, and compares rows on the same test images."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.study import Study, compare

RECIPE = """\
name: tiny
data: {kind: skin_phantom, images: 140, image_size: 32}
teacher: null
student: {backbone: mobilenetv3_small_050}
distil: {epochs: 1, batch_size: 32, weights: [0.0]}
"""


def _study(folder: Path, patch: pytest.MonkeyPatch) -> Study:
    recipe = folder / "tiny.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    patch.chdir(folder)
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    rows = {"plain": ["distil.ema=0"], "averaged": ["distil.ema=0.5"]}
    return Study("tiny", recipe, rows, seeds=(3,), fixed=["data.split.seed=0"], synthetic=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both cells were built; in a copy, what is built of one again is in the store."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        _study(folder, patch).run([])
    return folder


@pytest.fixture
def study(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return _study(tmp_path, monkeypatch)


def _cell(row: str) -> Path:
    return Path(f".edgetl/studies/tiny/{row}-3.npz")


def test_cells_are_kept_and_compared(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    for row in study.rows:
        _cell(row).unlink()
    with pytest.raises(SystemExit) as stopped:
        study.run(["--only", "plain/3"])
    assert stopped.value.code is None
    assert not _cell("averaged").exists()
    before = _cell("plain").read_bytes()
    cells = study.run([])
    assert _cell("plain").read_bytes() == before, "a cell that is there is not built again"
    capsys.readouterr()
    study.run([])
    assert capsys.readouterr().err == "", "nothing is left to build"

    plain, averaged = cells["plain"][0], cells["averaged"][0]
    assert plain.probabilities().shape == (len(plain.labels["test"]), len(plain.about["classes"]))
    assert not np.array_equal(plain.logits["test"], averaged.logits["test"])
    table = compare(cells, reference="plain")
    assert "auroc_difference" not in table["plain"]
    assert table["averaged"]["auroc_difference"]["verdict"] in ("better", "worse", "no difference")


def test_a_cell_that_is_asked_something_else_is_built_again(study: Study) -> None:
    other = replace(study, rows={**study.rows, "averaged": ["distil.ema=0.9"]})
    kept = {row: _cell(row).stat().st_mtime_ns for row in study.rows}
    cells = other.run([])
    again = {row: _cell(row).stat().st_mtime_ns for row in study.rows}
    assert again["plain"] == kept["plain"]
    assert again["averaged"] > kept["averaged"]
    assert cells["averaged"][0].about["overrides"][-1] == "distil.ema=0.9"


def test_a_cell_that_fails_does_not_cost_the_others(study: Study) -> None:
    _cell("plain").unlink()
    broken = replace(study, rows={"broken": ["distil.epochs=none"], **study.rows})
    with pytest.raises(SystemExit) as stopped:
        broken.run([])
    assert "broken/3 failed" in str(stopped.value.code)
    assert _cell("plain").is_file()


def test_a_cell_that_is_not_in_the_grid_is_refused(study: Study) -> None:
    with pytest.raises(SystemExit) as stopped:
        study.run(["--only", "plain/4"])
    assert stopped.value.code == 2
