"""Pieces of stages whose mistakes would not show in a build."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edgetl.api.evaluate import evaluate
from edgetl.api.labelled import _labelled, _merge, _require_names
from edgetl.config.recipe import Recipe
from edgetl.data.decode import batches
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import Record
from edgetl.data.source import Source
from edgetl.data.table import DataTable
from edgetl.errors import DataError, EdgetlError, UsageError
from edgetl.files import sha256_of
from edgetl.runtime import sessions
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.preprocessing import Preprocessing, Resize
from edgetl.stages.common.tried import calibration_rows
from edgetl.stages.evaluate import _compared
from edgetl.stages.report.bundle import _refuse_private
from edgetl.stages.report.collect import without_paths
from edgetl.store.arrays import write_arrays


def _table() -> DataTable:
    labels = ["nv"] * 90 + ["df"] * 6 + ["mel"] * 24
    records = [
        Record(f"{index:03}.png", label, split="train" if index % 3 else "val") for index, label in enumerate(labels)
    ]
    return DataTable(("df", "mel", "nv"), tuple(records), "folder", has_groups=False)


def test_calibration_takes_training_images_alone_and_rare_classes_with_them() -> None:
    table = _table()
    rows = calibration_rows(table, 24, seed=0)
    assert len(rows) == 24
    assert set(rows) <= set(table.rows("train"))
    counts = Counter(table.records[row].label for row in rows)
    assert counts["df"] == 4, "all there are"
    assert counts["mel"] == counts["nv"] == 10


def test_calibration_is_repeatable_and_never_asks_for_more_than_there_is() -> None:
    table = _table()
    assert np.array_equal(calibration_rows(table, 24, seed=3), calibration_rows(table, 24, seed=3))
    assert np.array_equal(calibration_rows(table, 10_000, seed=0), table.rows("train"))


def test_arrays_are_read_back_and_equal_arrays_are_equal_files(tmp_path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.zeros(0, dtype=np.int64),
    }
    for name in ("one.npz", "two.npz"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as read:
        assert {name: read[name].tolist() for name in read} == {name: array.tolist() for name, array in arrays.items()}


class TestMapOfAnExternalSet:
    """The data set knows mel, nv and scar; the bundle mel, nv and df."""

    def source(self, root: Path) -> Source:
        names = ("mel", "nv", "scar")
        for name in names:
            (root / f"{name}.png").write_bytes(name.encode())
        return Source(root, [Record(f"{name}.png", name) for name in names])

    def test_labels_are_merged_renamed_and_left_out(self, tmp_path: Path) -> None:
        mapping = {"mel": "sick", "df": "sick", "scar": ""}
        source = self.source(tmp_path)
        _require_names(mapping, source, ("mel", "nv", "df"))
        assert [record.label for record in _labelled(source, mapping, Fingerprints(tmp_path / "hashes.sqlite"))[0]] == [
            "sick",
            "nv",
        ]
        several, _ = _labelled(
            source, {"mel": "sick", "scar": "well", "nv": "well"}, Fingerprints(tmp_path / "hashes.sqlite")
        )
        assert [record.label for record in several] == ["sick", "well", "well"]
        assert [record.label for record in source.records] == ["mel", "nv", "scar"]

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"scr": "sick"}, r"--map scr=sick: neither .* did you mean 'scar'\?"),
            ({"df": ""}, r"--map df=: no image has such a label"),
        ],
    )
    def test_names_that_nobody_has(self, mapping: dict[str, str], message: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=message):
            _require_names(mapping, self.source(tmp_path), ("mel", "nv", "df"))

    def test_one_class_is_enough_and_none_too_few(self, tmp_path: Path) -> None:
        records, _ = _labelled(self.source(tmp_path), {"mel": "", "scar": ""}, Fingerprints(tmp_path / "hashes.sqlite"))
        assert [record.label for record in records] == ["nv"]
        with pytest.raises(DataError, match=r"none of 3 images left .* expected at least one class"):
            _labelled(
                self.source(tmp_path), {"mel": "", "scar": "", "nv": ""}, Fingerprints(tmp_path / "hashes.sqlite")
            )

    def test_files_that_are_gone_are_returned(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        (tmp_path / "mel.png").unlink()
        assert list(_labelled(source, {}, Fingerprints(tmp_path / "hashes.sqlite"))[1]) == ["mel.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no folder names that are not text")
def test_a_bundle_does_not_hold_where_it_was_made_whatever_that_is_called(tmp_path: Path) -> None:
    project: Any = SimpleNamespace(project=Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe4")), data_root=None)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model").write_bytes(b"weights")
    _refuse_private(bundle, project)
    (bundle / "model").write_bytes(b"weights of " + os.fsencode(tmp_path) + b"/\xe4lpha/images")  # another folder
    _refuse_private(bundle, project)
    (bundle / "model").write_bytes(b"weights of " + os.fsencode(tmp_path) + b"/\xe4/images")
    with pytest.raises(EdgetlError, match="must not leave this machine"):
        _refuse_private(bundle, project)


def test_the_recipe_that_travels_names_no_folder() -> None:
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "data": {"root": "/home/al/images", "exclude": "/home/al/out.txt"},
            "teacher": {"weights": "/home/al/teacher.pth"},
            "student": {"weights": "/home/al/student.pth"},
            "targets": ["/home/al/pi.yaml"],
        }
    )
    assert "/home" not in json.dumps(without_paths(recipe))


class TestEvaluate:
    """With a bundle that says a to whatever it sees."""

    @pytest.fixture(autouse=True)
    def _bundle(self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.bundle = tmp_path_factory.mktemp("bundle")
        (self.bundle / "bundle.json").touch()
        manifest = SimpleNamespace(
            labels=("a", "b"),
            artifacts=(SimpleNamespace(name="fp32"),),
            preprocessing=Preprocessing(Resize("crop", "bilinear", 16, 16)),
            stand_in=None,
            operating_points=(),
        )
        session = SimpleNamespace(run=lambda image: np.array([[0.9, 0.1]], np.float32))
        monkeypatch.setattr(Manifest, "load", lambda bundle: manifest)
        monkeypatch.setattr(sessions, "open_artifact", lambda bundle, artifact, threads: session)

    def pictures(self, root: Path, *names: str) -> Path:
        for number, name in enumerate(names):
            (root / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", (40, 30), (number, 0, 0)).save(root / name)
        return root

    def evaluate(self, root: Path, kind: str = "folder", **columns: str) -> dict[str, float]:
        metrics = evaluate(self.bundle, f"{kind}:{root}", columns=columns)["fp32"]
        return {name: interval.value for name, interval in metrics.items()}

    def test_a_set_of_one_class_that_the_bundle_has(self, tmp_path: Path) -> None:
        found = self.evaluate(self.pictures(tmp_path, "a/1.png", "a/2.png"))
        assert (found["accuracy"], found["sensitivity.a"], "auroc" in found) == (1.0, 1.0, False)

    def test_columns_of_a_table(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "x/1.png", "x/2.png")
        (tmp_path / "t.csv").write_text("path,finding\nx/1.png,a\nx/2.png,b\n")
        assert self.evaluate(tmp_path, "csv", label="finding")["accuracy"] == 0.5

    def test_files_that_are_gone_and_broken_are_named_at_once(self, tmp_path: Path) -> None:
        self.pictures(tmp_path, "a/1.png", "b/1.png")
        (tmp_path / "a" / "gone.png").symlink_to("nowhere")
        (tmp_path / "b" / "broken.png").write_bytes(b"oops")
        os.mkfifo(tmp_path / "b" / "pipe.png")
        with pytest.raises(
            DataError, match=r"broken\.png: is text(.|\n)*gone\.png: cannot(.|\n)*pipe\.png: .* no file"
        ):
            self.evaluate(tmp_path)
        (tmp_path / "b" / "broken.png").unlink()
        with pytest.raises(DataError, match=r"2 files cannot be read:\n  a/gone\.png"):
            self.evaluate(tmp_path)


def test_pictures_that_became_unreadable_are_named_in_one_error(tmp_path: Path) -> None:
    records = [Record(f"{number:03}.png", "nv") for number in range(150)]
    for number, record in enumerate(records):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / record.image)
    preprocessing = Preprocessing(Resize("crop", "bilinear", 16, 16))
    batched = list(batches(tmp_path, records, preprocessing))
    assert [start for start, _ in batched] == [0, 64, 128]
    assert [int(image[0, 0, 0]) for _, images in batched for image in images] == list(range(150))
    for name in ("070.png", "149.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match="2 images cannot be read") as caught:
        list(batches(tmp_path, records, preprocessing))
    assert "070.png" in caught.value.message
    assert "149.png" in caught.value.message


def test_pictures_that_changed_since_they_were_hashed_are_named_in_one_error(tmp_path: Path) -> None:
    records = [Record(f"{number:03}.png", "nv") for number in range(80)]
    for number, record in enumerate(records):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / record.image)
    preprocessing = Preprocessing(Resize("crop", "bilinear", 16, 16))
    digests = {record.image: sha256_of(tmp_path / record.image) for record in records}
    assert sum(len(images) for _, images in batches(tmp_path, records, preprocessing, digests)) == 80
    for name in ("003.png", "079.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    with pytest.raises(DataError, match=r"2 images changed while the build ran:\n  003\.png\n  079\.png"):
        list(batches(tmp_path, records, preprocessing, digests))


@pytest.mark.parametrize(
    ("names", "pairs", "gated"),
    [
        ("teacher student", "student-teacher", "student"),
        ("teacher student pruned", "student-teacher pruned-teacher pruned-student", "pruned"),
        ("teacher pruned", "pruned-teacher", "pruned"),
        ("student pruned", "pruned-student", None),
        ("pruned", "", None),
        (
            "teacher teacher_2 teachers pruned",
            "pruned-teacher pruned-teacher_2 pruned-teachers",
            "pruned",
        ),
    ],
)
def test_which_networks_are_compared_and_which_one_the_gate_is_about(names: str, pairs: str, gated: str | None) -> None:
    generator = np.random.default_rng(0)
    records = tuple(Record(f"{row}.png", "ab"[row % 2], split="test") for row in range(20))
    table = DataTable(("a", "b"), records, "folder", has_groups=False)
    models: list[Any] = [SimpleNamespace(name=name, temperature=1.0) for name in names.split()]
    logits = {f"{name}_test": generator.normal(size=(20, 2)).astype(np.float32) for name in names.split()}
    found = _compared(table, models, logits)
    assert list(dict.fromkeys(f"{one.candidate}-{one.reference}" for one in found.comparisons)) == pairs.split()
    assert [gate.subject for gate in found.gates] == ([gated] if gated else [])
    average = "the average of the teachers" if "teachers" in names.split() else "the teacher"
    assert all(f"against {average} " in gate.message for gate in found.gates)


def test_merged_labels_add_their_probabilities() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7]], dtype=np.float32)
    merged = _merge(
        probabilities, ("akiec", "bcc", "nv"), ("malignant", "nv"), {"akiec": "malignant", "bcc": "malignant"}
    )
    np.testing.assert_allclose(merged, [[0.3, 0.7]], rtol=1e-6)
