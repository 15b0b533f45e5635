"""A build of which one file does not work, and recipes that want only some files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.progress import Heard

import edgetl
from edgetl import pipeline
from edgetl.backends import tflite
from edgetl.config.loading import load
from edgetl.errors import ArtifactError, GateFailed
from edgetl.evidence import gates
from edgetl.evidence.intervals import Interval
from edgetl.results.report import Report
from edgetl.runtime.manifest import Manifest
from edgetl.store import Store

RECIPE = """\
name: tiny
data: {kind: skin_phantom, images: 140, image_size: 32}
teacher: null
student: {backbone: mobilenetv3_small_050}
distil: {epochs: 1, batch_size: 32}
quantize: {images: 16, max_drop: 1.0}
export: [onnx, tflite]
targets: []
"""


class Project:
    """A folder with a recipe whose student is trained once for all builds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / ".edgetl")
        (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")

    def build(self, run: str, *overrides: str) -> tuple[Path, list[str], set[str]]:
        """Run folder, warnings, and the stages that were computed."""
        told, place = Heard(), self.folder / run
        place.mkdir(exist_ok=True)
        steps = pipeline.build(load(self.folder / "tiny.yaml", overrides), self.store, place, told)
        return place, told.warnings, {step.stage.name for step in steps if not step.cached}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"))
    pipeline.build(load(project.folder / "tiny.yaml"), project.store, project.folder, Heard(), until="evaluate")
    return project


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Int8 files of TFLite end in the middle: the runtime really refuses them. No small network breaks one by itself."""
    quantize: Callable[..., Path] = tflite.quantize

    def damaged(*arguments: Any) -> Path:
        path = quantize(*arguments)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    monkeypatch.setattr(tflite, "quantize", damaged)


@pytest.mark.usefixtures("cut_off")
def test_one_file_that_does_not_work_costs_itself_or_the_build(project: Project) -> None:
    with pytest.raises(ArtifactError) as caught:
        project.build("refused")
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith("tflite-int8: does not load in ai-edge-litert: ")
    assert "`export: [onnx, tflite-fp32]` leaves it out" in str(caught.value)
    assert str(project.folder) not in str(caught.value)
    assert not (project.folder / "refused" / "report.json").exists()

    run, warnings, computed = project.build("shipped", "incomplete=ship")
    assert "export.tflite" not in computed, "what was built before the refusal is kept"
    assert warnings[-1].startswith("INCOMPLETE: tflite-int8 is missing (quantize): does not load in ai-edge-litert: ")
    report, manifest = Report.read(run), Manifest.load(run / "bundle")
    (missing,) = report.missing
    assert (missing.artifact, missing.step) == ("tflite-int8", "quantize")
    names = ["onnx-fp32", "onnx-int8", "tflite-fp32"]
    assert [one.name for one in report.artifacts] == [one.name for one in manifest.artifacts] == names
    assert manifest.provenance["missing"] == json.loads(report.to_json())["missing"]
    assert edgetl.verify(run / "bundle").passed
    assert not list((run / "bundle").rglob("tflite-int8*"))
    assert "1 file is missing: this bundle is incomplete" in (run / "report.html").read_text(encoding="utf-8")
    assert "**Incomplete.**" in (run / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert project.build("shipped", "incomplete=ship")[2] == set()

    with pytest.raises(ArtifactError, match="tflite-int8: does not load"):  # though every stage is cached now
        project.build("refused")
    with pytest.raises(ArtifactError, match=r"tflite-int8: does not load(.|\n)*no other file is left"):
        project.build("alone", "incomplete=ship", "export=[tflite-int8]")


def test_only_the_files_that_are_named_ship(project: Project) -> None:
    run, warnings, _ = project.build("some", "export=[onnx-int8, tflite-fp32]")
    report, manifest = Report.read(run), Manifest.load(run / "bundle")
    assert (
        [one.name for one in manifest.artifacts]
        == [one.name for one in report.artifacts]
        == ["onnx-int8", "tflite-fp32"]
    )
    assert {path.name for path in (run / "bundle" / "models").iterdir()} == {"onnx-int8.onnx", "tflite-fp32.tflite"}
    assert {gate.subject for gate in report.gates} >= {"onnx-fp32", "onnx-int8", "tflite-fp32"}, (
        "fp32 is still looked at"
    )
    assert report.missing == ()
    assert not any("INCOMPLETE" in warning for warning in warnings)
    assert edgetl.verify(run / "bundle").passed
    golden = np.load(run / "bundle" / "golden" / "onnx-int8.npy")
    assert golden.shape[1] == len(manifest.labels)


def test_a_failed_gate_costs_its_file_or_the_bundle(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = gates.int8_collapse

    def collapse(subject: str, difference: Interval) -> gates.Gate:
        return fails(subject, difference, margin=-2.0 if subject == "onnx-int8" else 1.0)

    monkeypatch.setattr(gates, "int8_collapse", collapse)
    changed = ("quantize.max_drop=0.9", "export=[onnx]")  # what verify depends on: it judges again
    with pytest.raises(
        GateFailed, match=r"int8_collapse of onnx-int8(.|\n)*the evidence(.|\n)*`export: \[onnx-fp32\]`"
    ):
        project.build("failed", *changed)
    assert len(Report.read(project.folder / "failed").artifacts) == 2, "the evidence is there to read"
    assert not (project.folder / "failed" / "bundle").exists()
    run, warnings, _ = project.build("failed", *changed, "incomplete=ship")
    assert [artifact.name for artifact in Manifest.load(run / "bundle").artifacts] == ["onnx-fp32"]
    assert [each.artifact for each in Report.read(run).missing] == ["onnx-int8"]
    assert warnings[-1].startswith(
        "INCOMPLETE: onnx-int8 is missing (verify): failed int8_collapse: accuracy against fp32"
    )
    with pytest.raises(GateFailed, match="no other file is left"):
        project.build("failed", *changed[:1], "export=[onnx-int8]", "incomplete=ship")
    assert not (run / "bundle").exists(), "the one of an earlier build is of another recipe"
