"""An accelerator that was asked for computes everything, or it is an error; what computes is read back."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from fakes.providers import CPU as CPU_PROVIDER
from fakes.providers import CUDA, Core, OnnxRuntime
from model_bundle import make_bundle
from onnx import load_model

import edgetl
from edgetl.runtime import __main__ as command
from edgetl.runtime.accelerators import Accelerator, Placement
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import IntegrityError, MissingAccelerator
from edgetl.runtime.loading import load
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.measuring import Effort, measure
from edgetl.runtime.sessions import onnx, onnx_providers, openvino
from edgetl.runtime.subjects import Failure
from edgetl.runtime.workers import local_worker

ABSENT = [(backend, name) for backend in sorted(BACKENDS) for name in ("cuda", "tensorrt", "gpu", "npu", "coprocessor")]
"""None of them is on a machine that runs these tests on its CPU."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "b", tmp_path_factory.mktemp("models"))


def _open(backend: str, path: Path, accelerator: Accelerator) -> dict[str, Any]:
    return dict(BACKENDS[backend].open_session(path, 1, tiny_models.OPTIONS[backend], accelerator).describe())


class TestWithoutAny:
    """The real runtimes, on a machine with none of them."""

    def test_each_backend_says_that_it_has_the_cpu(self) -> None:
        for entry in BACKENDS.values():
            assert entry.there() == ("cpu",)
            assert entry.accelerators[0] == "cpu"

    @pytest.mark.parametrize(("backend", "name"), ABSENT)
    def test_it_is_an_error_to_ask_for_one(self, bundle: Path, backend: str, name: str) -> None:
        artifact = next(one.name for one in Manifest.load(bundle).artifacts if one.backend == backend)
        with pytest.raises(MissingAccelerator, match=f"got accelerator '{name}', expected one that is there: cpu"):
            load(bundle, artifact, accelerator=name)

    @pytest.mark.parametrize(
        ("backend", "name"), [pair for pair in ABSENT if pair[1] in BACKENDS[pair[0]].accelerators]
    )
    def test_where_a_fallback_is_allowed_the_cpu_computes_and_it_is_said(
        self, bundle: Path, backend: str, name: str
    ) -> None:
        artifact = next(one.name for one in Manifest.load(bundle).artifacts if one.backend == backend)
        with load(bundle, artifact, accelerator=name, allow_fallback=True) as opened:
            described = opened.describe()
        assert (described["accelerator"], described["delegated"]) == ("cpu", 0.0)

    @pytest.mark.parametrize(("backend", "name"), [("onnx", "cuda"), ("openvino", "gpu"), ("openvino", "npu")])
    def test_the_worker_ends_with_exit_code_4_and_measuring_says_why(
        self, bundle: Path, backend: str, name: str
    ) -> None:
        artifact = next(one for one in Manifest.load(bundle).artifacts if one.backend == backend)
        worker = local_worker(bundle, artifact, 1, Accelerator(name))
        done = subprocess.run(worker.argv, env=dict(worker.env), capture_output=True, text=True, check=False, input="")
        assert done.returncode == 4
        assert f"got accelerator '{name}'" in done.stderr
        assert done.stdout == ""
        (failure,) = measure([worker], effort=Effort(1, 1, 0.0, 1.0, 0.0))
        assert isinstance(failure, Failure)
        assert re.search(f"exit code 4; its last line: .*got accelerator '{name}'", failure.reason)
        assert failure.exit_code == 4

    def test_bench_and_predict_end_with_exit_code_4(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["--accelerator", "cuda"]
        assert command.main(["bench", str(bundle), "--artifact", "tiny.fp32.onnx", *asked]) == 4
        assert command.main(["predict", str(bundle), "x.png", "--artifact", "tiny.fp32.onnx", *asked]) == 4
        table = capsys.readouterr().out
        assert (
            "tiny.fp32.onnx  FAILED: died with exit code 4; its last line: tiny.onnx: got accelerator 'cuda'" in table
        )

    def test_a_row_says_what_computed_instead(self, bundle: Path) -> None:
        artifact = next(one for one in Manifest.load(bundle).artifacts if one.backend == "onnx")
        worker = local_worker(bundle, artifact, 1, Accelerator("cuda", allow_fallback=True))
        (row,) = measure([worker], effort=Effort(1, 4, 0.0, 1.0, 0.0))
        found = json.loads(json.dumps(row.to_json()))
        assert (found["accelerator"], found["placement"], found["delegated"]) == ("cpu", CPU_PROVIDER, 0.0)

    def test_onnx_runtime_leaves_to_the_cpu_what_its_other_provider_does_not_take(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its one other provider, which takes no operator at all: told of by the session itself."""
        monkeypatch.setitem(onnx_providers.PROVIDERS, "cuda", ("AzureExecutionProvider", CPU_PROVIDER))
        path = bundle / "models/tiny.onnx"
        with pytest.raises(
            MissingAccelerator, match="accelerator 'cuda' computes nothing, expected all of it: CPUExec"
        ):
            _open("onnx", path, Accelerator("cuda"))
        described = _open("onnx", path, Accelerator("cuda", allow_fallback=True))
        assert (described["accelerator"], described["delegated"]) == ("cpu", 0.0)
        operators = int(str(described["placement"]).removeprefix(f"{CPU_PROVIDER} "))
        assert operators >= len(load_model(path).graph.node)


class TestOnnxRuntime:
    """A provider that takes a part, on a runtime that is none."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "m.onnx").write_bytes(b"a model")
        return tmp_path / "m.onnx"

    @staticmethod
    def _with(monkeypatch: pytest.MonkeyPatch, runtime: OnnxRuntime) -> OnnxRuntime:
        monkeypatch.setattr(onnx, "_runtime", lambda: runtime)
        return runtime

    def test_all_of_it_is_what_was_asked_for(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        runtime = self._with(monkeypatch, OnnxRuntime({CUDA: 7}))
        described = _open("onnx", file, Accelerator("cuda", {"device_id": "1"}))
        assert (described["accelerator"], described["delegated"], described["placement"]) == ("cuda", 1.0, f"{CUDA} 7")
        assert runtime.given == [[(CUDA, {"use_tf32": "0", "device_id": "1"}), CPU_PROVIDER]]
        assert runtime.settings[0].entries["session.record_ep_graph_assignment_info"] == "1"

    def test_a_shorter_precision_that_was_asked_for_is_said(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._with(monkeypatch, OnnxRuntime({CUDA: 6}))
        assert _open("onnx", file, Accelerator("cuda"))["compute_precision"] == "float32"
        described = _open("onnx", file, Accelerator("cuda", {"use_tf32": "1"}))
        assert described["compute_precision"] == "float32, tf32 allowed"

    def test_a_part_is_an_error_unless_it_is_allowed(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._with(monkeypatch, OnnxRuntime({CUDA: 6, CPU_PROVIDER: 2}))
        with pytest.raises(
            MissingAccelerator, match=r"'cuda' computes 75\.0% of the operators, expected all"
        ) as caught:
            _open("onnx", file, Accelerator("cuda"))
        assert caught.value.exit_code == 4
        described = _open("onnx", file, Accelerator("cuda", allow_fallback=True))
        assert (described["accelerator"], described["delegated"]) == ("cuda", 0.75)
        assert described["placement"] == f"{CUDA} 6, {CPU_PROVIDER} 2"

    @pytest.mark.parametrize("tells", [True, False])
    def test_a_provider_that_it_drops_with_a_warning_is_an_error(
        self, file: Path, tells: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._with(monkeypatch, OnnxRuntime({CPU_PROVIDER: 8}, dropped=(CUDA,), tells=tells))
        with pytest.raises(MissingAccelerator, match="'cuda' computes nothing, expected all of it: CPUExecution"):
            _open("onnx", file, Accelerator("cuda"))
        described = _open("onnx", file, Accelerator("cuda", allow_fallback=True))
        assert (described["accelerator"], described["delegated"]) == ("cpu", 0.0)

    def test_an_old_one_that_does_not_tell_is_made_to_refuse_the_cpu(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = self._with(monkeypatch, OnnxRuntime({CUDA: 8}, tells=False))
        described = _open("onnx", file, Accelerator("cuda"))
        assert (described["accelerator"], described["delegated"]) == ("cuda", None)
        assert "does not say who takes what" in str(described["placement"])
        assert runtime.settings[0].entries["session.disable_cpu_ep_fallback"] == "1"
        _open("onnx", file, Accelerator("cuda", allow_fallback=True))
        assert "session.disable_cpu_ep_fallback" not in runtime.settings[1].entries

    @pytest.mark.parametrize("error", [RuntimeError, "EPFail"])
    def test_a_driver_that_fails_is_no_damaged_file(
        self, file: Path, error: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        raised = (getattr(state, error) if isinstance(error, str) else error)("CUDA failure 100: no device")
        runtime = self._with(monkeypatch, OnnxRuntime(fails=raised))
        with pytest.raises(MissingAccelerator, match="CUDA failure 100: no device"):
            _open("onnx", file, Accelerator("cuda"))
        described = _open("onnx", file, Accelerator("cuda", allow_fallback=True))
        assert described["accelerator"] == "cpu"
        assert runtime.given[-1] == [CPU_PROVIDER]


@pytest.mark.parametrize(
    ("computes", "share", "fine"),
    [("cuda", 1.0, True), ("cuda", None, True), ("cuda", 0.99, False), ("cpu", None, False), ("cpu", 1.0, False)],
)
def test_what_was_asked_for_computes_all_of_it(computes: str, share: float | None, fine: bool) -> None:
    found = Placement(computes, share, "somewhere")
    assert found.settled(Accelerator("cuda", allow_fallback=True), "m") is found
    if fine:
        assert found.settled(Accelerator("cuda"), "m") is found
        return
    with pytest.raises(MissingAccelerator, match=r"m: accelerator 'cuda' computes .*, expected all of it: somewhere"):
        found.settled(Accelerator("cuda"), "m")


def test_float32_is_not_shortened_unless_it_is_asked_for() -> None:
    exact, options = (CUDA, {"use_tf32": "0"}), {"trt_fp16_enable": "1"}
    assert onnx_providers.configured("tensorrt", options) == [
        ("TensorrtExecutionProvider", options),
        exact,
        CPU_PROVIDER,
    ]
    assert onnx_providers.configured("cuda", {"use_tf32": "1"}) == [(CUDA, {"use_tf32": "1"}), CPU_PROVIDER]
    assert onnx_providers.configured("cpu", {}) == [CPU_PROVIDER]


class TestOpenVino:
    @pytest.fixture
    def session(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Opens a model on a core that is none; what it says."""

        def opened(core: Core, accelerator: Accelerator) -> Placement:
            monkeypatch.setattr(openvino, "_runtime", lambda: type("Fake", (), {"Core": lambda *_: core}))
            monkeypatch.setattr(openvino, "OpenVinoSession", lambda path, compiled, placement: placement)
            given = {"INFERENCE_PRECISION_HINT": "f32"}
            return openvino.open_session(Path("m.xml"), 3, given, accelerator)  # type: ignore[return-value]

        return opened

    def test_all_of_it_is_what_was_asked_for(self, session: Any) -> None:
        core = Core(["GPU.1"])
        found = session(core, Accelerator("gpu", {"DEVICE_ID": "1"}))
        assert found == Placement("gpu", 1.0, "GPU.1")
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "DEVICE_ID": "1"}
        assert core.asked == [("GPU", options)]

    def test_the_cpu_that_computes_instead_is_not_given_its_options(self, session: Any) -> None:
        core = Core(["CPU"], available_devices=("CPU",))
        found = session(core, Accelerator("gpu", {"DEVICE_ID": "1"}, allow_fallback=True))
        assert (found.accelerator, found.delegated) == ("cpu", 0.0)
        ((device, options),) = core.asked
        assert device == "CPU"
        assert "DEVICE_ID" not in options
        session(core, Accelerator("cpu", {"ENABLE_HYPER_THREADING": "NO"}))
        assert core.asked[1][1]["ENABLE_HYPER_THREADING"] == "NO", "its own it is given"

    def test_a_device_that_does_not_take_the_model_is_an_error_and_no_damaged_file(self, session: Any) -> None:
        with pytest.raises(MissingAccelerator, match="OpenVINO: no kernel for Softmax"):
            session(Core([], fails=RuntimeError("somewhere:\nno kernel for Softmax")), Accelerator("gpu"))
        with pytest.raises(IntegrityError, match="does not load in OpenVINO: no kernel for Softmax"):
            session(Core([], fails=RuntimeError("somewhere:\nno kernel for Softmax")), Accelerator("cpu"))

    def test_one_that_computes_something_else_than_it_was_asked_to_is_an_error(self, session: Any) -> None:
        with pytest.raises(MissingAccelerator, match="'gpu' computes nothing, expected all of it: CPU"):
            session(Core(["CPU"]), Accelerator("gpu"))

    def test_a_part_is_counted_where_it_is_allowed(self, session: Any) -> None:
        core = Core(["GPU.0", "CPU"], {"GPU.0": 9, "CPU": 3})
        found = session(core, Accelerator("gpu", allow_fallback=True))
        assert core.asked[0][0] == "HETERO:GPU,CPU"
        assert found == Placement("gpu", 0.75, "GPU.0, CPU: 75.0% of 12 operators on GPU.0")

    def test_an_npu_is_not_asked_for_float32_which_it_does_not_have(self, session: Any) -> None:
        core = Core(["NPU"], available_devices=("CPU", "NPU"))
        assert session(core, Accelerator("npu")).accelerator == "npu"
        assert core.asked == [("NPU", {"PERFORMANCE_HINT": "LATENCY"})]


def test_tflite_takes_no_options_of_an_accelerator(bundle: Path) -> None:
    with pytest.raises(IntegrityError, match=r"runtime options \['a'\] are unknown to TFLite"):
        _open("tflite", bundle / "models/tiny.tflite", Accelerator("cpu", {"a": "b"}))


def test_a_file_that_is_changed_is_refused_before_an_accelerator_is_asked_for(tmp_path: Path, bundle: Path) -> None:
    import shutil

    changed = shutil.copytree(bundle, tmp_path / "b")
    file = changed / "models/tiny.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError):
        load(changed, "tiny.fp32.onnx", accelerator="cuda")


def test_a_row_of_a_target_says_what_computed(bundle: Path) -> None:
    for name, rows in edgetl.bench(bundle, targets=["local_cpu_1t"], quick=True).latency.items():
        (row,) = rows
        assert (row.target, row.accelerator, row.threads) == ("local_cpu_1t", "cpu", 1)
        assert row.delegated == (5 / 6 if "tflite" in name else 1.0)
