"""The rehearsal: what fails after hours of training fails in a minute, and what passes is remembered."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_project
import torch
from fakes.progress import Heard

from edgetl import pipeline
from edgetl.backends import converter
from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.errors import EnvironmentFault, UsageError
from edgetl.models import backbones
from edgetl.models.architecture import Network
from edgetl.results.rehearsal import Rehearsal, RehearsedFile
from edgetl.stages.rehearsal import beside, child, files, path, remembered
from edgetl.stages.rehearsal.memory import forget_the_peak, held_mb
from edgetl.stages.rehearsal.spread import spread
from edgetl.stages.rehearsal.steps import Failure, Steps
from edgetl.store import Store
from edgetl.training.pace import Pace

_RECIPE: dict[str, Any] = {
    "name": "tiny",
    "data": {"kind": "csv", "root": "data/table.csv", "image_size": 32, "columns": {"label": "label", "path": "image"}},
    "teacher": {"backbone": "mobilenetv3_small_050", "weights": "none", "epochs": 1, "batch_size": 8},
    "student": {"backbone": "mobilenetv3_small_050"},
    "distil": {"epochs": 1, "batch_size": 8, "weights": [1.0]},
    "prune": {"macs": 0.7, "round_to": 8, "epochs": 1, "batch_size": 8},
    "export": ["onnx"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_project.write(tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    """The result of the data stage."""
    (step,) = pipeline.build(_loaded(project), _store(project), project / "run", Heard(), until="data")
    assert step.entry is not None
    return step.entry.folder


def _store(project: Path) -> Store:
    return Store(project / ".edgetl")


def _loaded(project: Path, **changes: Any):  # type: ignore[no-untyped-def]
    (project / "r.yaml").write_text(json.dumps(_RECIPE | changes))
    return load(project / "r.yaml")


def _recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(_RECIPE | changes)


@pytest.fixture(scope="module")
def found(project: Path, folder: Path) -> Rehearsal:
    return pipeline.rehearse(_loaded(project), _store(project), Heard())


class TestTheWholePath:
    def test_everything_was_done(self, found: Rehearsal) -> None:
        assert [(file.name, file.problem) for file in found.files] == [("onnx-fp32", None), ("onnx-int8", None)]
        fp32, int8 = found.files
        assert fp32.difference is not None
        assert 0 < fp32.difference < 2e-5
        assert int8.difference is None
        assert fp32.bytes > 2 * int8.bytes > 0
        assert found.pruning is not None
        assert 0.6 < found.pruning.reached <= 0.7

    def test_each_kind_of_training_once_with_its_memory(self, found: Rehearsal) -> None:
        kinds = [(one.backbone, one.taught, one.batch_size) for one in found.trainings]
        small = "mobilenetv3_small_050"
        assert kinds == [(small, False, 8), (small, True, 8)]
        for one in found.trainings:
            assert one.steps >= 2
            assert one.step_seconds > 0
            assert one.peak_mb is not None
            assert 100 < one.peak_mb < 4000

    def test_a_network_is_set_up_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[int, int]] = []

        def measured(job: object, budget: float, *, least: int, warm: int) -> Pace:
            asked.append((least, warm))
            return Pace(1.0, 0.1, 1)

        monkeypatch.setattr(path, "measured", measured)
        monkeypatch.setattr(path, "all_files", lambda *_: ())
        teacher = {**_RECIPE["teacher"], "backbone": "mobilenetv3_small_075"}
        path.rehearse(
            _recipe(teacher=teacher, distil={**_RECIPE["distil"], "weights": [0.0, 1.0]}), folder, lambda _: None
        )
        assert asked == [(5, 2), (5, 2), (3, 1)], "the teacher; the student alone; the student taught"

    def test_the_next_one_is_remembered(self, found: Rehearsal, project: Path) -> None:
        began = time.perf_counter()
        assert pipeline.rehearse(_loaded(project), _store(project), Heard()) == found
        assert time.perf_counter() - began < 5

    @pytest.mark.parametrize(
        ("changes", "same"),
        [
            ({"seed": 7}, True),
            ({"distil": {**_RECIPE["distil"], "learning_rate": 0.1, "epochs": 9}}, True),
            ({"distil": {**_RECIPE["distil"], "batch_size": 4}}, False),
            ({"distil": {**_RECIPE["distil"], "hints": 0.5}}, False),
            ({"student": {"backbone": "mobilenetv3_small_075"}}, False),
            ({"prune": None}, False),
            ({"export": ["openvino"]}, False),
        ],
    )
    def test_what_it_is_remembered_by(
        self, changes: dict[str, Any], same: bool, found: Rehearsal, project: Path, folder: Path
    ) -> None:
        assert (remembered.known(_recipe(**changes), folder, _store(project)) is not None) == same


class TestRefused:
    def _refused(self, project: Path, **changes: Any) -> UsageError:
        with pytest.raises(UsageError) as caught:
            pipeline.rehearse(_loaded(project, **changes), _store(project), Heard())
        return caught.value

    def test_pruning_that_cannot_be_reached(self, project: Path, folder: Path) -> None:
        error = self._refused(project, prune={"macs": 0.01, "batch_size": 8})
        assert error.message.startswith("rehearsal: mobilenetv3_small_050: pruning to 0.01 of the MACs: ")
        assert "is the least" in error.message
        assert error.exit_code == 2

    def test_a_file_that_cannot_be_had_names_those_that_can(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def judged(name: str, *_: object) -> float:
            if name == "onnx-int8":
                raise Failure(f"{name}: says the same of every picture")
            return 0.0

        monkeypatch.setattr(files, "_judged", judged)
        with pytest.raises(Failure) as caught:
            path.rehearse(_recipe(prune=None), folder, lambda _: None)
        assert caught.value.message == "mobilenetv3_small_050: onnx-int8: says the same of every picture"
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("`export: [onnx-fp32]` leaves it out")

    def test_a_file_whose_operators_cannot_be_read_runs_all_the_same(
        self, folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def operators(path: Path) -> None:
            raise ValueError(f"{path.suffix}: an operator of another time")

        monkeypatch.setattr(converter("onnx"), "operators", operators)
        network, _ = backbones.create("mobilenetv3_small_050", 3)
        monkeypatch.setattr(files, "_CONSTANT", 0.0)
        images = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
        (file,) = files.files_of(_recipe(export=["onnx-fp32"]), network.eval(), images, Steps(lambda _: None))
        assert (file.problem, file.operators) == (None, None)
        assert file.bytes > 0
        assert file.unread == "onnx-fp32: reading its operators: ValueError: .onnx: an operator of another time"
        monkeypatch.setattr(child, "run", lambda *_: Rehearsal((), None, (file,), 1.0, None))
        changes, heard = {"teacher": None, "distil": {"batch_size": 5}, "export": ["onnx-fp32"]}, Heard()
        remembered.rehearsed(_recipe(**changes), folder, _store(project), heard)
        assert heard.warnings == [f"rehearsal: {file.unread}; what targets make of it is not predicted"]

    def test_what_was_rehearsed_for_a_recipe_that_ships_the_others_is_refused_by_one_that_does_not(
        self, project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = (
            RehearsedFile("onnx-fp32", 1.0, 9, 0.0, None, None),
            RehearsedFile("onnx-int8", 1.0, 0, None, "onnx-int8: no", None),
        )
        monkeypatch.setattr(child, "run", lambda *_: Rehearsal((), None, files, 1.0, None))
        changes, heard = {"teacher": None, "distil": {"batch_size": 6}}, Heard()
        remembered.rehearsed(_recipe(**changes, incomplete="ship"), folder, _store(project), heard)
        assert heard.warnings == ["rehearsal: WILL BE LEFT OUT: onnx-int8: no"]
        with pytest.raises(UsageError, match="onnx-int8: no") as caught:
            remembered.rehearsed(_recipe(**changes), folder, _store(project), heard)
        assert "`export: [onnx-fp32]`" in str(caught.value.hint)

    def test_a_constant_a_nan_and_a_difference_are_refused(self) -> None:
        rows = np.array([[0.2, 0.8], [0.7, 0.3]], np.float32)
        with pytest.raises(Failure, match="not finite"):
            files._judged("x", np.full((2, 2), np.nan, np.float32), None)
        with pytest.raises(Failure, match="the same of every picture"):
            files._judged("x", np.full((2, 2), 0.5, np.float32), None)
        network, _ = backbones.create("mobilenetv3_small_050", 2)
        reference = files._Reference(network.eval(), np.zeros((2, 32, 32, 3), np.uint8))
        assert 0 < reference.rounding < 1e-5
        reference.probabilities = rows
        reference.rounding = 1e-6
        with pytest.raises(Failure, match="differ from the PyTorch network"):
            files._judged("x", np.ascontiguousarray(rows[::-1]), reference)
        assert files._judged("x", rows, reference) == 0

    def test_what_pytorch_itself_rounds_is_no_difference(self) -> None:
        """As in a deep network that was never trained, with attention after each layer: exported right, and far from exact."""
        rows = np.array([[0.2, 0.8], [0.7, 0.3]], np.float32)
        other = np.array([[0.21, 0.79], [0.7, 0.3]], np.float32)
        network, _ = backbones.create("mobilenetv3_small_050", 2)
        reference = files._Reference(network.eval(), np.zeros((2, 32, 32, 3), np.uint8))
        reference.probabilities = rows
        reference.rounding = 0.003
        assert files._judged("x", other, reference) == pytest.approx(0.01)
        reference.rounding = 0.002
        with pytest.raises(Failure, match="differ from the PyTorch network"):
            files._judged("x", other, reference)


class TestBeside:
    """The format that takes longest is made in another process where there is a core for it."""

    @pytest.fixture
    def network(self) -> Network:
        network, _ = backbones.create("mobilenetv3_small_050", 3)
        return network.eval()

    def _said(self, network: Network, **changes: Any) -> tuple[list[RehearsedFile], list[str]]:
        said: list[str] = []
        recipe = _recipe(**{"export": ["onnx-fp32", "tflite-fp32"], **changes})
        images = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
        return list(beside.all_files(recipe, network, images, Steps(said.append))), said

    def test_it_gives_what_one_process_gives(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(beside, "usable_cores", lambda: 2)
        monkeypatch.setattr(files, "_CONSTANT", 0.0)  # of this process; the network is as it was made
        found, said = self._said(network)
        assert [file.name for file in found] == ["onnx-fp32", "tflite-fp32"]
        assert said[-1] == "tflite: its files, made in another process"
        assert found[1].problem == "tflite-fp32: says the same of every picture", (
            "which the other process judged by itself"
        )
        assert [file.name for file in self._said(network, export=["tflite-fp32", "onnx-fp32"])[0]] == [
            "tflite-fp32",
            "onnx-fp32",
        ]

    @pytest.mark.parametrize(
        ("cores", "export"), [(1, ["onnx-fp32", "tflite-fp32"]), (2, ["onnx-fp32"]), (2, ["tflite-fp32"])]
    )
    def test_there_is_none_without_a_core_or_another_format(
        self, cores: int, export: list[str], network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(beside, "usable_cores", lambda: cores)
        monkeypatch.setattr(beside, "_command", lambda folder: pytest.fail("a process was started"))
        found, said = self._said(network, export=export)
        assert [file.name for file in found] == export
        assert f"{export[-1]}: making it" in said

    def test_a_converter_that_crashes_takes_no_other_file_along(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = "import os, sys; print('Segmentation', file=sys.stderr, flush=True); os.abort()"
        monkeypatch.setattr(beside, "usable_cores", lambda: 2)
        monkeypatch.setattr(files, "_CONSTANT", 0.0)
        monkeypatch.setattr(beside, "_command", lambda folder: [sys.executable, "-c", script])
        (onnx, tflite), _ = self._said(network)
        assert onnx.problem is None
        assert tflite.problem is not None
        assert tflite.problem.startswith("tflite-fp32: the process that makes it ended by itself (-6)")
        assert tflite.problem.endswith("Segmentation")

    def test_where_memory_ends_the_fault_is_no_files(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(beside, "usable_cores", lambda: 2)
        script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        monkeypatch.setattr(beside, "_command", lambda folder: [sys.executable, "-c", script])
        with pytest.raises(EnvironmentFault, match="where memory ends"):
            self._said(network)


def test_memory_of_a_part_leaves_out_what_was_loaded_before_it() -> None:
    base = held_mb()
    loaded = np.ones(25_000_000)  # 200 MB
    with forget_the_peak(base) as alone:
        assert np.ones(12_500_000).sum() > 0  # 100 MB
    with forget_the_peak() as all_of_it:
        assert loaded.sum() > 0
    assert base is not None
    assert alone.process_mb is not None
    assert all_of_it.process_mb is not None
    assert alone.process_mb - base == pytest.approx(100, abs=20)
    assert all_of_it.process_mb - base == pytest.approx(200, abs=20)


class TestTheProcess:
    def _says(self, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        monkeypatch.setattr(child, "_command", lambda folder: [sys.executable, "-c", script])

    def test_one_that_crashes_is_an_error_with_what_it_did(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._says(
            monkeypatch,
            "import json, os, sys; print(json.dumps({'doing': 'tflite-int8: running it'}), flush=True);"
            "print('Segmentation', file=sys.stderr, flush=True); os.abort()",
        )
        with pytest.raises(UsageError, match=r"rehearsal: tflite-int8: running it: the process ended .*Segmentation"):
            child.run(_recipe(), Path(), Heard())

    def test_one_that_is_killed_says_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._says(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        with pytest.raises(EnvironmentFault, match="where memory ends"):
            child.run(_recipe(), Path(), Heard())

    def test_one_that_does_not_end_is_ended(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        self._says(monkeypatch, f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
        with pytest.raises(UsageError, match="starting did not end within 2 s"):
            child.run(_recipe(), Path(), Heard(), limit=2)
        assert not Path("/proc", pid.read_text()).exists()

    def test_what_it_started_ends_with_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        self._says(
            monkeypatch,
            f"import subprocess, sys; open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '600'], stdout=2).pid));"
            'print(\'{"failed": "x", "hint": "y"}\', flush=True); sys.stdin.read()',
        )
        with pytest.raises(UsageError, match="rehearsal: x"):
            child.run(_recipe(), Path(), Heard())
        limit = time.monotonic() + 20
        while _runs(int(pid.read_text())):
            assert time.monotonic() < limit
            time.sleep(0.05)

    def test_what_a_library_prints_is_no_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._says(monkeypatch, 'print(\'hello\'); print(\'3\'); print(\'{"failed": "x", "hint": "y"}\')')
        with pytest.raises(UsageError, match="rehearsal: x"):
            child.run(_recipe(), Path(), Heard())


def _runs(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestSpread:
    @pytest.mark.parametrize("backbone", ["mobilenetv3_small_050", "edgenext_xx_small"])
    def test_no_vector_is_left_that_a_converter_folds_into_a_number(self, backbone: str) -> None:
        """LiteRT loads no int8 of EdgeNeXt's trained layer scales; of equal ones, which are no vector any more, it did."""
        network, _ = backbones.create(backbone, 5)
        spread(network, list(torch.rand(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1))
        vectors = {name: one for name, one in network.named_parameters() if one.ndim == 1 and one.numel() > 1}
        assert len(vectors) > 30
        assert [name for name, one in vectors.items() if bool((one == one[0]).all())] == []

    @pytest.mark.parametrize("backbone", ["mobilenetv3_small_050", "resnet10t", "repvit_m0_9", "convnext_atto"])
    def test_pictures_are_told_apart(self, backbone: str) -> None:
        network, _ = backbones.create(backbone, 5)
        batches = list(torch.rand(2, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
        spread(network, batches)
        with torch.no_grad():
            probabilities = torch.cat([network(batch) for batch in batches]).softmax(1)
        assert float(probabilities.std(0).min()) > 0.02
        assert 0.3 < float(probabilities.max(1).values.mean()) < 0.99
