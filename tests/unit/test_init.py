"""`edgetl init` writes a recipe that loads, checks clean and plans, whatever kind of data it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import malformed_data
import numpy as np
import pytest
from in_process import edgetl
from malformed_data import picture

from edgetl.config.loading import load
from edgetl.stages.common import preflight


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _folder(root: Path) -> Path:
    for number, name in enumerate(("no", "yes: maybe", "ä#")):
        for index in range(6):
            _put(root / name / f"{index}.png", picture(100 * number + index, (300, 90)))
    return root


def _csv(root: Path) -> Path:
    rows = ["Image,Diagnosis,Patient ID"]
    for index in range(24):
        _put(root / "scans" / f"{index}.png", picture(index))
        rows.append(f"scans/{index}.png,{'ab'[index % 2]},p{index // 2}")
    _put(root / "metadata.csv", "\n".join(rows).encode())
    return root / "metadata.csv"


def _npz(root: Path) -> Path:
    root.mkdir()
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 256, (8, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(8).reshape(8, 1) % 2
    np.savez(root / "tinymnist.npz", **arrays)
    return root / "tinymnist.npz"


@pytest.mark.parametrize(
    ("make", "kind", "root", "size"),
    [
        (_folder, "folder", "data", 88),
        (_csv, "csv", "data/metadata.csv", 40),
        (_npz, "medmnist", "data/tinymnist.npz", 32),
    ],
)
def test_from_data_to_a_plan(  # type: ignore[no-untyped-def]
    make, kind: str, root: str, size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make(tmp_path / "data")
    code, out, err = edgetl(capsys, "init", str(data), "--json")
    assert code == 0, err
    decided = json.loads(out)
    assert (decided["kind"], decided["root"], decided["image_size"]) == (kind, root, size)
    written = Path("recipe.yaml").read_text()
    assert len(written.splitlines()) < 40
    assert all(len(line) <= 140 for line in written.splitlines())
    recipe = load(Path("recipe.yaml")).recipe
    assert (recipe.data.kind, recipe.data.image_size) == (kind, size)
    for words in (("check", "recipe.yaml"), ("build", "recipe.yaml", "--dry-run")):
        code, _, err = edgetl(capsys, *words)
        assert code == 0, err


def test_the_folder_of_a_table_will_do_and_gives_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _csv(tmp_path / "clinic")
    code, out, _ = edgetl(capsys, "init", "clinic", "--json")
    decided = json.loads(out)
    assert (code, decided["kind"], decided["root"]) == (0, "csv", "clinic/metadata.csv")
    assert decided["name"] == "clinic"
    assert decided["groups"] == {"a": 12, "b": 12}


def test_long_pictures_are_padded_and_lone_classes_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _put(_folder(tmp_path / "data") / "rare" / "0.png", picture(900))
    code, _, err = edgetl(capsys, "init", "data")
    assert code == 0
    assert "rare has too few groups" in err
    recipe = load(Path("recipe.yaml")).recipe
    assert recipe.data.labels == {"rare": None}
    assert recipe.data.resize.mode == "pad"
    assert edgetl(capsys, "check", "recipe.yaml")[0] == 0


def test_a_recipe_elsewhere_finds_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _folder(tmp_path / "data")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "far" / "away").mkdir(parents=True)
    assert edgetl(capsys, "init", "data", "--out", "recipes/a.yaml")[0] == 0
    assert load(Path("recipes/a.yaml")).recipe.data.root == "data"
    assert edgetl(capsys, "init", "data", "--out", "far/away/b.yaml")[0] == 0
    assert load(Path("far/away/b.yaml")).data_root == tmp_path / "data"


def test_a_file_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _folder(tmp_path / "data")
    Path("recipe.yaml").write_text("mine")
    code, _, err = edgetl(capsys, "init", "data")
    assert code == 2
    assert "--force" in err
    assert Path("recipe.yaml").read_text() == "mine"
    assert edgetl(capsys, "init", "data", "--force")[0] == 0
    assert Path("recipe.yaml").read_text() != "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "recipe.yaml"]


def test_pictures_without_a_group_among_others_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = _csv(tmp_path / "data")
    table.write_text(table.read_text().replace(",p0\n", ",\n"))
    code, out, err = edgetl(capsys, "init", "data", "--json")
    assert code == 0, err
    assert json.loads(out)["lone"] == 2
    assert "knows which pictures belong together (groups), but not of 2:" in Path("recipe.yaml").read_text()


def test_a_class_a_picture_is_said_in_a_few_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = _csv(tmp_path / "data")
    rows = table.read_text().splitlines()
    table.write_text("\n".join([rows[0], *(f"scans/{at}.png,report {at},p{at}" for at in range(24))]))
    code, _, err = edgetl(capsys, "init", "data")
    assert code == 2
    assert "... and 14 more; expected at least 3 of two classes" in err


def test_the_home_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = edgetl(capsys, "init", "~nobody123/images")
    assert (code, err) == (2, "error: ~nobody123/images: Could not determine home directory.\n  hint: name a folder\n")


def test_nothing_usable_is_said_with_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _put(tmp_path / "data" / "scans" / "1.dcm", b"DICM")
    code, _, err = edgetl(capsys, "init", "data")
    assert code == 2
    assert err.count("error: ") == 1
    assert "seen: 1 folders, 1 .dcm; 0 pictures" in err
    assert not Path("recipe.yaml").exists()


@pytest.mark.parametrize("case", [one for one in malformed_data.cases() if one.refused], ids=lambda case: case.name)
def test_whatever_is_wrong_is_one_message_or_a_recipe(
    case: malformed_data.Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    root = case.make(tmp_path / "data")
    code, _, err = edgetl(capsys, "init", str(root))
    assert "Traceback" not in err
    assert code in (0, 2)
    assert err.count("error: ") == (1 if code else 0)
    assert Path("recipe.yaml").exists() == (code == 0)


def test_what_is_said_of_the_data_is_in_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _folder(tmp_path / "set")
    said = {
        "exclude": ["no/0.png"],
        "image_size": 64,
        "resize": {"mode": "stretch"},
        "bits": 12,
        "augment": "none",
        "split": {"seed": 3, "val": 0.2},
    }
    words = [word for name, value in said.items() for word in ("--set", f"data.{name}={json.dumps(value)}")]
    code, _, err = edgetl(capsys, "init", "set", *words)
    assert code == 0, err
    section = load(Path("recipe.yaml")).recipe.data
    assert section.model_dump(mode="json", include={*said}, exclude_unset=True) == said


def test_a_field_of_another_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _csv(tmp_path / "set")
    code, _, err = edgetl(capsys, "init", "set", "--set", "data.level=2")
    assert (code, Path("recipe.yaml").exists()) == (2, False)
    assert "the data are of kind csv: data: level is only for kind folder, not csv" in err


def test_groups_out_of_names_go_before_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _csv(tmp_path / "set")
    assert edgetl(capsys, "init", "set", "--set", r"data.group.pattern=^(\d+)")[0] == 0
    section = load(Path("recipe.yaml")).recipe.data
    assert section.group is not None
    assert section.columns is not None
    assert section.columns.group is None


@pytest.mark.parametrize("name", ["x", "x*"])
def test_a_renamed_class_that_is_left_out_checks_clean(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, label in enumerate(("a", "b", "x")):
        for index in range(2 if label == "x" else 4):
            _put(tmp_path / "set" / label / f"{index}.png", picture(10 * number + index))
    assert edgetl(capsys, "init", "set", "--set", f'data.labels={{"{name}": rare}}')[0] == 0
    code, _, err = edgetl(capsys, "check", "recipe.yaml")
    assert code == 0, err
    assert load(Path("recipe.yaml")).recipe.data.labels == {name: None}
