"""A whole build on tiny real networks, and what a user does with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import jsonschema
import numpy as np
import pytest

import edgetl
from edgetl import pipeline
from edgetl.api.report import render_report
from edgetl.config.loading import load
from edgetl.console.progress import Silent
from edgetl.errors import GateFailed
from edgetl.evidence import gates, parity
from edgetl.history import History, Record
from edgetl.results.report import Report
from edgetl.runtime.manifest import Manifest
from edgetl.store import Store, locked

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: tiny
data: {kind: skin_phantom, images: 210, image_size: 48}
teacher: {backbone: mobilenetv3_small_075, weights: none, epochs: 1, batch_size: 32}
student: {backbone: mobilenetv3_small_050, attention: coord}
distil: {epochs: 1, batch_size: 32}
prune: {macs: 0.7, epochs: 1, batch_size: 32}
quantize: {images: 16, max_drop: 1.0}
targets: [local_cpu_1t]
"""
FORMATS = ("onnx", "openvino", "tflite")


class Project:
    """A folder with a recipe, and the command line in it.

    rehearsal: as EDGETL_REHEARSAL has it.
    """

    def __init__(self, folder: Path, rehearsal: str = "off") -> None:
        self.folder, self._rehearsal = folder, rehearsal
        self.recipe = folder / "tiny.yaml"
        self.recipe.write_text(RECIPE, encoding="utf-8")
        self.run_folder = folder / "runs" / "tiny"
        self.bundle = self.run_folder / "bundle"

    def edgetl(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "edgetl", *map(str, words)]

    def environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
        return others | {"EDGETL_REHEARSAL": self._rehearsal}

    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.run_folder / "report.json").read_text(encoding="utf-8"))
        return content

    def cached(self, *overrides: str) -> dict[str, bool]:
        words = [word for override in overrides for word in ("--set", override)]
        done = self.edgetl("build", self.recipe, "--dry-run", "--json", *words)
        assert done.returncode == 0, done.stderr
        return {stage["name"]: stage["cached"] for stage in json.loads(done.stdout)["stages"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished build, rehearsed as a user's is; tests that change it work on a copy, and what they build is not."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder, rehearsal="on")
    done = project.edgetl("build", project.recipe)
    assert done.returncode == 0, done.stderr
    assert "6 files made and run" in done.stderr, "the rehearsal"
    assert done.stdout.strip() == str(Path("runs") / "tiny" / "report.html"), "stdout is the result alone"
    assert "STAND-IN DATA" in done.stderr
    return Project(folder)


def test_the_report_has_what_the_contract_says(project: Project) -> None:
    report = project.report()
    assert report["schema"] == 2
    assert report["stand_in"] == "skin_phantom"
    assert [model["name"] for model in report["models"]] == ["teacher", "student", "pruned"]
    assert {artifact["name"] for artifact in report["artifacts"]} == {
        f"{backend}-{precision}" for backend in FORMATS for precision in ("fp32", "int8")
    }
    for entry in [*report["models"], *report["artifacts"]]:
        accuracy = entry["metrics"]["balanced_accuracy"]
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
        assert [row["threads"] for row in entry["latency"]] == [1]
        assert all(row["origin"] == "measured" and row["p50_ms"] > 0 for row in entry["latency"])
    splits = report["data"]["splits"]
    assert sum(splits[name]["images"] for name in ("train", "val", "test")) == 210
    assert report["data"]["leaks"]["groups"] == []


def test_fp32_artefacts_compute_what_pytorch_computes(project: Project) -> None:
    for artifact in project.report()["artifacts"]:
        if artifact["precision"] == "fp32":
            assert artifact["parity"]["max_abs_diff"] <= 1e-4, artifact["name"]
            assert artifact["parity"]["top1_agreement"] >= 0.999, artifact["name"]
        else:
            fp32 = artifact["name"].replace("int8", "fp32")
            sizes = {one["name"]: one["bytes"] for one in project.report()["artifacts"]}
            assert sizes[artifact["name"]] < 0.7 * sizes[fp32]


def test_the_report_holds_to_its_schema_and_reads_back(project: Project) -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(project.report(), schema)
    report = Report.read(project.run_folder)
    assert json.loads(report.to_json()) == project.report()


def test_the_size_of_an_artefact_is_that_of_all_its_files(project: Project) -> None:
    manifest = Manifest.load(project.bundle)
    for artifact in Report.read(project.run_folder).artifacts:
        files = [project.bundle / path for path in (artifact.path, *artifact.companions)]
        assert len(files) == (2 if artifact.backend == "openvino" else 1)
        assert artifact.bytes == manifest.artifact(artifact.name).bytes == sum(path.stat().st_size for path in files)


def test_a_damaged_report_is_one_error(project: Project, tmp_path: Path) -> None:
    for name in ("report.json", "extras.json"):
        run = tmp_path / name
        run.mkdir()
        for kept in ("report.json", "extras.json"):
            (run / kept).write_bytes((project.run_folder / kept).read_bytes())
        content = json.loads((run / name).read_text(encoding="utf-8"))
        (run / name).write_text(json.dumps(content | {"unheard_of": 1}), encoding="utf-8")
        done = project.edgetl("report", run)
        assert done.returncode == 5
        assert f"{name}: unheard_of: is not a known field" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (run / "report.html").exists()


def test_pruning_took_what_was_asked_and_every_artefact_is_of_the_pruned_network(project: Project) -> None:
    report = project.report()
    macs = {model["name"]: model["macs"] for model in report["models"]}
    assert 0.5 < macs["pruned"] / macs["student"] <= 0.72
    assert {artifact["model"] for artifact in report["artifacts"]} == {"pruned"}


def test_the_students_are_compared_with_the_teacher_and_each_other(project: Project) -> None:
    report = project.report()
    pairs = [(each["candidate"], each["reference"]) for each in report["comparisons"]]
    assert list(dict.fromkeys(pairs)) == [("student", "teacher"), ("pruned", "teacher"), ("pruned", "student")]
    assert [gate["subject"] for gate in report["gates"] if gate["name"] == "student_vs_teacher"] == ["pruned"]
    assert [candidate["weight"] for candidate in report["trial"]["candidates"]] == [0.0, 1.0]


def test_without_the_unpruned_reference_the_same_files_ship_and_it_is_said(project: Project) -> None:
    run = Path("runs") / "spared"
    done = project.edgetl("build", project.recipe, "--set", "prune.reference=false", "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    computed = {stage["name"] for stage in json.loads(done.stdout)["stages"] if not stage["cached"]}
    assert computed - {"report"} == {"distil", "evaluate", *(f"verify.{name}" for name in FORMATS), "benchmark"}
    before, after = project.report(), json.loads((project.folder / run / "report.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in after["models"]] == ["teacher", "pruned"]
    assert after["trial"] == before["trial"]
    assert [one["sha256"] for one in after["artifacts"]] == [one["sha256"] for one in before["artifacts"]]
    pairs = {(each["candidate"], each["reference"]) for each in after["comparisons"]}
    assert pairs == {("pruned", "teacher")}
    for place in ("report.html", "bundle/MODEL_CARD.md"):
        assert "No unpruned network was trained as long" in (project.folder / run / place).read_text(encoding="utf-8")


def test_the_page_is_offline_and_says_that_the_data_are_synthetic(project: Project) -> None:
    page = (project.run_folder / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "skin_phantom" in page
    again = project.edgetl("report", "runs/tiny")
    assert again.returncode == 0, again.stderr
    assert (project.run_folder / "report.html").read_text(encoding="utf-8") == page


def test_the_bundle_holds_no_path_of_this_machine_and_its_manifest_loads(project: Project) -> None:
    manifest = Manifest.load(project.bundle)
    assert manifest.stand_in == "skin_phantom"
    assert (project.bundle / "labels.txt").read_text().split() == list(manifest.labels)
    assert manifest.label_files == ("labels.txt", "golden/labels.txt")
    for artifact in manifest.artifacts:
        sizes = {path: (project.bundle / path).stat().st_size for path in (artifact.path, *artifact.companions)}
        assert artifact.bytes == sum(sizes.values())
        assert {Path(path).suffix for path in sizes} == (
            {".xml", ".bin"} if artifact.backend == "openvino" else {Path(artifact.path).suffix}
        )
    assert "skin_phantom" in (project.bundle / "MODEL_CARD.md").read_text()
    for path in project.bundle.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for private in (str(project.folder), str(Path.home()) + "/", str(Path(__file__).parents[2])):
                assert private.encode() not in content, path


def test_each_artefact_carries_its_own_temperature_and_thresholds(project: Project) -> None:
    manifest = Manifest.load(project.bundle)
    assert len({artifact.temperature for artifact in manifest.artifacts}) > 1
    assert {point.artifact for point in manifest.operating_points} == {one.name for one in manifest.artifacts}


def test_an_unchanged_build_computes_nothing(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.run_folder.rglob("*") if path.name != "log.jsonl"}
    done = project.edgetl("build", project.recipe)
    assert done.returncode == 0
    assert "nothing to compute" in done.stderr
    for gate in Report.read(project.run_folder).not_passed("warn"):
        if gate.name == "quantization_drop":
            assert f"{gate.name} of {gate.subject}: {gate.message}" in done.stderr, "said again where nobody verified"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_only_what_depends_on_a_change_is_computed_again(project: Project) -> None:
    assert all(project.cached().values())
    assert [name for name, cached in project.cached("export=[onnx]").items() if not cached] == ["benchmark"]
    changed = project.cached("distil.epochs=2")
    assert [name for name, cached in changed.items() if cached] == ["data", "teach"]
    changed = project.cached("quantize.images=17")
    assert changed["prune"]
    assert changed["export.tflite"]
    assert not changed["quantize.tflite"]


def test_a_dry_run_says_why_and_what_is_cached_since_when(project: Project) -> None:
    words = ("build", project.recipe, "--dry-run", "--set", "quantize.images=17", "--set", "distil.learning_rate=0.001")
    stages = {stage["name"]: stage for stage in json.loads(project.edgetl(*words, "--json").stdout)["stages"]}
    assert stages["teach"]["since"].startswith("20")
    assert stages["trial"]["why"] == ["distil.learning_rate: 0.002 -> 0.001"]
    assert stages["distil"]["why"] == ["after trial", "distil.learning_rate: 0.002 -> 0.001"]
    assert stages["quantize.onnx"]["why"] == ["after prune, export.onnx", "quantize.images: 16 -> 17"]
    assert "would run  distil" in project.edgetl(*words).stdout


def test_a_second_build_of_one_run_folder_waits_for_the_first(project: Project) -> None:
    with locked(project.run_folder / ".lock", "writes the run folder", print):
        second = subprocess.Popen(
            project.command("build", project.recipe),
            cwd=project.folder,
            env=project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        said = next(line for line in second.stderr if "waiting" in line)
    rest = second.communicate()[1]
    assert said.startswith(f"waiting for another build (pid {os.getpid()} on ")
    assert said.endswith("that writes the run folder\n")
    assert second.returncode == 0
    assert "nothing to compute" in rest


def test_verify_passes_and_a_changed_byte_is_exit_code_5(project: Project, tmp_path: Path) -> None:
    assert project.edgetl("verify", project.bundle).returncode == 0
    damaged = tmp_path / "bundle"
    shutil.copytree(project.bundle, damaged)
    model = damaged / "models" / "tflite-int8.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    done = project.edgetl("verify", damaged)
    assert done.returncode == 5
    assert "tflite-int8.tflite" in done.stderr
    assert project.edgetl("predict", damaged, "x.png", "--artifact", "tflite-int8").returncode == 5


def test_predict_names_a_broken_picture_and_labels_the_others(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    picture = project.bundle / "golden" / "phantom_000000.png"
    broken.write_bytes(picture.read_bytes()[:2000])
    done = project.edgetl("predict", project.bundle, broken, picture, "--json", "--artifact", "onnx-int8")
    assert done.returncode == 2
    assert "broken.png" in done.stderr
    (prediction,) = json.loads(done.stdout)
    expected = np.load(project.bundle / "golden" / "onnx-int8.npy")[0]
    assert list(prediction["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_evaluate_holds_seven_classes_against_a_binary_set(project: Project, tmp_path: Path) -> None:
    pictures = sorted((project.bundle / "golden").glob("*.png"))
    for number, picture in enumerate(pictures):
        folder = tmp_path / ("malignant" if number % 2 else "benign")
        folder.mkdir(exist_ok=True)
        shutil.copy(picture, folder)
    mapping = "mel=malignant,bcc=malignant,akiec=malignant,nv=benign,bkl=benign,df=benign,vasc=benign"
    arguments = ("evaluate", project.bundle, "--data", f"folder:{tmp_path}", "--artifact", "tflite-fp32", "--json")
    done = project.edgetl(*arguments, "--map", mapping)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["tflite-fp32"]
    assert {"accuracy", "auroc", "sensitivity.malignant"} <= set(metrics)
    assert set(metrics["accuracy"]) == {"value", "low", "high"}
    unmapped = project.edgetl(*arguments)
    assert unmapped.returncode == 2
    assert "benign, malignant are not among the bundle's" in unmapped.stderr


@pytest.fixture
def bench(
    project: Project, few_timed_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """`bench` of the bundle with further options: exit code, and what it says."""
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("EDGETL_STORE", raising=False)

    def bench(*options: str) -> tuple[int, dict[str, Any]]:
        code, said, _ = in_process.edgetl(capsys, "bench", str(project.bundle), "--quick", "--json", *options)
        return code, json.loads(said)

    return bench


def test_bench_measures_every_artefact_and_says_which(
    project: Project, bench: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    code, said = bench()
    assert code == 0
    latency = said["latency"]
    assert set(latency) == {artifact.name for artifact in Manifest.load(project.bundle).artifacts}
    threads = [row["threads"] for row in latency["onnx-int8"]]
    assert threads == sorted({1, len(os.sched_getaffinity(0))})
    assert {row["compute_precision"] for row in latency["openvino-fp32"]} == {"float32"}


def test_the_benchmark_of_a_build_is_in_the_history_once_and_bench_is_held_against_it(
    project: Project, bench: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    def kept() -> list[Record]:
        return History(project.folder / ".edgetl" / "history.sqlite").read()

    sha256 = hashlib.sha256((project.bundle / "bundle.json").read_bytes()).hexdigest()
    built = [record for record in kept() if record.source == "build" and record.bundle_sha256 == sha256]
    report = Report.read(project.run_folder)
    rows = [(artifact.name, row) for artifact in report.artifacts for row in artifact.latency]
    assert [(record.artifact, record.row["p50_ms"]) for record in built] == [(name, row.p50_ms) for name, row in rows]
    assert {record.bundle for record in built} == {Manifest.load(project.bundle).name}
    before = kept()
    assert all(
        record.metrics == dict(report.artifacts[0].metrics) for record in built if record.artifact == built[0].artifact
    )
    assert project.edgetl("build", project.recipe).returncode == 0
    assert kept() == before, "an unchanged build measures nothing"
    code, said = bench("--compare", "--target", "local_cpu_1t")
    assert code in (0, 1)  # a machine may be slower the second time
    rows = said["comparison"]["rows"]
    assert [row["same_file"] for row in rows] == [True] * len(report.artifacts)
    contents = {(record.artifact, record.content) for record in kept()}
    assert len(contents) == len(report.artifacts), "build and bench know a file by one digest"
    (gone,) = [record for record in kept() if record.source == "bench"][:1]
    assert str(project.folder) not in str(gone.to_json())


def test_a_history_that_is_damaged_costs_no_build(project: Project, tmp_path: Path) -> None:
    shutil.copytree(project.folder, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    history = copy.folder / ".edgetl" / "history.sqlite"
    history.write_bytes(b"no database" * 1000)
    done = copy.edgetl("build", copy.recipe)
    assert done.returncode == 0, done.stderr
    assert "the benchmark was not added to the history of measurements" in done.stderr
    assert history.read_bytes() == b"no database" * 1000


@pytest.mark.usefixtures("few_timed_runs")
def test_python_does_the_same_and_prints_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    for name in [name for name in os.environ if name.startswith("EDGETL_")]:
        monkeypatch.delenv(name)
    events: list[edgetl.Event] = []
    changed = {"quantize.images": 17}  # so that every converter has something to say
    result = edgetl.build("tiny.yaml", overrides=changed, out=tmp_path / "run", progress=events.append)
    assert (result.complete, result.bundle) == (True, tmp_path / "run" / "bundle")
    assert result.report.stand_in == result.stand_in == "skin_phantom"
    assert {stage.name for stage in result.stages if not stage.cached} >= {f"quantize.{name}" for name in FORMATS}
    ended = [event.name for event in events if isinstance(event, edgetl.StageEnded)]
    assert ended == [*(stage.name for stage in result.stages if not stage.cached), "report"]
    assert any(isinstance(event, edgetl.Warned) and "STAND-IN DATA" in event.message for event in events)
    assert edgetl.verify(result.bundle).passed
    picture = result.bundle / "golden" / "phantom_000000.png"
    for artifact in edgetl.open_bundle(result.bundle).artifacts:
        assert edgetl.predict(result.bundle, picture, artifact=artifact).predictions
    pictures = tmp_path / "pictures" / "nv"
    pictures.mkdir(parents=True)
    shutil.copy(picture, pictures)
    metrics = edgetl.evaluate(result.bundle, f"folder:{pictures.parent}")
    assert set(metrics) == set(edgetl.bench(result.bundle, targets=["local_cpu_1t"], quick=True).latency)
    assert render_report(tmp_path / "run") == result.page
    assert capfd.readouterr() == ("", "")


def test_a_failed_gate_keeps_the_evidence_and_ships_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "FP32_AGREEMENT", 1.1)  # nothing agrees that well
    monkeypatch.setattr(parity, "widest_flip", lambda *_: 1.0)  # and it is no noise
    # max_drop is what verify depends on: another value makes it judge again.
    loaded = load(project.recipe, ["quantize.max_drop=0.9"])
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(GateFailed, match="fp32_parity of onnx-fp32"):
        pipeline.build(loaded, Store(project.folder / ".edgetl"), run, Silent())
    assert (run / "report.html").is_file()
    assert not (run / "bundle").exists()


def test_a_killed_training_goes_on_after_its_last_epoch(tmp_path: Path) -> None:
    project = Project(tmp_path)
    changes = ("--set", "teacher.epochs=12", "--set", "data.image_size=32")
    words = ("build", project.recipe, "--until", "teach", *changes)
    started = subprocess.Popen(
        project.command(*words), cwd=tmp_path, env=project.environment(), stderr=subprocess.PIPE, text=True
    )
    assert started.stderr is not None
    for line in started.stderr:
        if "epoch 2/12" in line:
            break
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stderr.close()
    time.sleep(0.1)
    done = project.edgetl(*words)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in done.stderr
    assert "epoch 1/12" not in done.stderr
    assert "nothing to compute" in project.edgetl(*words).stderr


def test_a_build_without_targets_measures_nothing_and_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    words = ("targets=[]", "quantize=null", "export=[onnx]", "teacher=null", "prune.reference=false", "data.images=140")
    done = project.edgetl("build", project.recipe, *(word for change in words for word in ("--set", change)))
    assert done.returncode == 0, done.stderr
    (artifact,) = project.report()["artifacts"]
    assert artifact["latency"] == []
    assert "Latency was not measured." in (project.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
