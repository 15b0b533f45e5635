"""One contract for every runtime, then the bundle around it: verify, predict, measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from model_bundle import LABELS, NAMES, make_bundle, model, open_tiny
from onnx import TensorProto, helper

from edgetl.runtime import __main__ as command
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import IntegrityError, MissingRuntime
from edgetl.runtime.loading import load
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.sessions import open_artifact, tflite
from edgetl.runtime.verifying import verify


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("backend", NAMES)
class TestEverySession:
    @pytest.mark.parametrize("threads", [1, 2])
    def test_computes_what_numpy_computes(self, models: Path, backend: str, threads: int) -> None:
        session = open_tiny(models, backend, threads)
        for seed in range(3):
            got = session.run(tiny_models.image(seed))
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, tiny_models.probabilities(tiny_models.image(seed)), atol=1e-5)

    def test_a_result_is_not_overwritten_by_the_next_run(self, models: Path, backend: str) -> None:
        session = open_tiny(models, backend)
        first = session.run(tiny_models.image(0))
        kept = first.copy()
        assert not np.array_equal(session.run(tiny_models.image(1)), kept)
        np.testing.assert_array_equal(first, kept)

    def test_takes_an_image_that_is_not_contiguous(self, models: Path, backend: str) -> None:
        session = open_tiny(models, backend)
        mirrored = tiny_models.image()[:, :, ::-1]
        np.testing.assert_array_equal(session.run(mirrored), session.run(mirrored.copy()))

    def test_says_what_computes(self, models: Path, backend: str) -> None:
        described = open_tiny(models, backend).describe()
        assert set(described) == {"runtime", "version", "compute_precision", "accelerator", "placement", "delegated"}
        assert described["compute_precision"] == "float32"
        assert described["accelerator"] == "cpu"
        assert described["version"] == BACKENDS[backend].version()
        assert all(described.values())
        # XNNPACK leaves the CAST of the tiny model, the first of six, to the reference kernels.
        assert described["delegated"] == (5 / 6 if backend == "tflite" else 1.0)

    @pytest.mark.parametrize(
        "wrong",
        [np.zeros((1, 8, 8, 3), np.float32), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 3, 8, 8), np.uint8)],
    )
    def test_refuses_other_images(self, models: Path, backend: str, wrong: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"expected uint8 \[1, 8, 8, 3\]"):
            open_tiny(models, backend).run(wrong)

    def test_refuses_no_threads(self, models: Path, backend: str) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            open_tiny(models, backend, threads=0)

    @pytest.mark.parametrize("content", [b"", b"not a model, whatever its name says"])
    def test_refuses_what_is_no_model(self, tmp_path: Path, backend: str, content: bytes) -> None:
        path = tmp_path / f"broken{tiny_models.SUFFIXES[backend]}"
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="broken"):
            BACKENDS[backend].open_session(path, 1, {})

    def test_refuses_a_file_that_is_not_there(self, tmp_path: Path, backend: str) -> None:
        with pytest.raises(IntegrityError, match="none"):
            BACKENDS[backend].open_session(tmp_path / f"none{tiny_models.SUFFIXES[backend]}", 1, {})

    def test_refuses_options_it_does_not_know(self, models: Path, backend: str) -> None:
        if backend == "onnx":
            pytest.skip("ONNX Runtime takes any session config entry")
        with pytest.raises(IntegrityError, match="NO_SUCH"):
            BACKENDS[backend].open_session(model(models, backend), 1, {"NO_SUCH": "1"})


MODULES = {"onnx": ["onnxruntime"], "openvino": ["openvino"], "tflite": ["ai_edge_litert", "tflite_runtime"]}


@pytest.mark.parametrize("backend", NAMES)
def test_a_runtime_that_is_not_installed_is_named_with_the_way_to_get_it(
    models: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model(models, backend)
    for module in (name for part in MODULES[backend] for name in (part, f"{part}.interpreter")):
        monkeypatch.setitem(sys.modules, module, None)
    for ask in (BACKENDS[backend].version, lambda: BACKENDS[backend].open_session(file, 1, {})):
        with pytest.raises(MissingRuntime, match="pip install") as caught:
            ask()
        assert caught.value.exit_code == 3


QUIET = """
import os, sys
from pathlib import Path
from edgetl.runtime.backends import BACKENDS
BACKENDS[sys.argv[1]].open_session(Path(sys.argv[2]), 1, {})
os.write(1, b"stdout")
os.write(2, b"stderr")
"""


@pytest.mark.parametrize("backend", NAMES)
def test_a_session_opens_silently_and_leaves_the_streams_alone(models: Path, backend: str) -> None:
    command = [sys.executable, "-c", QUIET, backend, str(model(models, backend))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "stdout"
    assert done.stderr.endswith("stderr")
    assert "XNNPACK" not in done.stderr


def test_onnx_says_that_a_file_is_quantized(tmp_path: Path, models: Path) -> None:
    loaded = onnx.load(model(models, "onnx"))
    (conv,) = (node for node in loaded.graph.node if node.op_type == "Conv")
    conv.output[0] = "unrounded"
    pair = [
        helper.make_node("QuantizeLinear", ["unrounded", "scale", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "scale", "zero"], ["features"]),
    ]
    nodes = list(loaded.graph.node)
    place = nodes.index(conv) + 1
    del loaded.graph.node[:]
    loaded.graph.node.extend([*nodes[:place], *pair, *nodes[place:]])
    onnx.save(loaded, tmp_path / "m.onnx")
    assert (
        BACKENDS["onnx"].open_session(tmp_path / "m.onnx", 1, {}).describe()["compute_precision"] == "int8 and float32"
    )


class FakeInterpreter:
    """What LiteRT tells of a graph: a quantized convolution, one with float inputs and int8 weights, and delegates.

    Tensors 0 -> 2 -> 3 -> 1; weights are 4 and 5. delegates: the tensors that each takes in and gives out.
    """

    def __init__(self, delegates: Sequence[tuple[list[int], int]]) -> None:
        names = ["CONV_2D", "CONV_2D", "SOFTMAX", *["DELEGATE"] * len(delegates)]
        types = [(np.int8, np.int8, np.int32), (np.float32, np.int8), (np.float32,), *[(np.float32,)] * len(delegates)]
        ends = [([0, 4, -1], 2), ([2, 5], 3), ([3], 1), *delegates]
        self._operators = [
            {"index": index, "op_name": name, "operand_types": list(kinds), "inputs": taken, "outputs": [given]}
            for index, (name, kinds, (taken, given)) in enumerate(zip(names, types, ends, strict=True))
        ]

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "dtype": np.uint8, "shape_signature": [1, 8, 8, 3]}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 1, "dtype": np.float32, "shape_signature": [1, 3]}]

    def _get_ops_details(self) -> list[dict[str, Any]]:
        return self._operators


@pytest.mark.parametrize(
    ("delegates", "placement", "share"),
    [
        ([], "reference kernels", 0.0),
        ([([0, 4, 5], 1)], "XNNPACK, 1 partition", 1.0),
        ([([0, 4, 5], 3)], "XNNPACK, 1 partition", 2 / 3),
        ([([2, 5], 1)], "XNNPACK, 1 partition", 2 / 3),
        ([([0, 4], 2), ([3], 1)], "XNNPACK, 2 partitions", 2 / 3),
        ([([2, 5], 3)], "XNNPACK, 1 partition", 1 / 3),
    ],
)
def test_tflite_says_what_its_inputs_are_computed_in_how_often_it_is_cut_and_what_the_delegate_took(
    delegates: list[tuple[list[int], int]], placement: str, share: float
) -> None:
    described = tflite.TfliteSession(Path("m.tflite"), FakeInterpreter(delegates), "litert").describe()
    assert (described["compute_precision"], described["placement"]) == ("float32 1, int8 1", placement)
    assert described["delegated"] == pytest.approx(share)


def test_openvino_computes_in_one_stream(models: Path) -> None:
    compiled = BACKENDS["openvino"].open_session(model(models, "openvino"), 1, {})._compiled  # type: ignore[attr-defined]
    assert compiled.get_property("NUM_STREAMS") == 1


def test_openvino_says_when_it_does_not_compute_in_float32(models: Path) -> None:
    session = BACKENDS["openvino"].open_session(model(models, "openvino"), 1, {"INFERENCE_PRECISION_HINT": "bf16"})
    assert session.describe()["compute_precision"] in {"bfloat16", "float32"}  # float32 where the CPU has no bf16


CTRL_C = """
import gc, os, signal, sys, time
from pathlib import Path
from edgetl.runtime.backends import BACKENDS
one, other = (BACKENDS[sys.argv[1]].open_session(Path(sys.argv[2]), 1, {}) for _ in range(2))
del one
gc.collect()
del other
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except KeyboardInterrupt:
    print("caught")
"""


@pytest.mark.parametrize("backend", NAMES)
def test_ctrl_c_after_sessions_that_are_gone_is_no_crash(models: Path, backend: str) -> None:
    command = [sys.executable, "-c", CTRL_C, backend, str(model(models, backend))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "caught"), done.stderr


def test_other_edges_are_named(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"])],
        "ends",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(IntegrityError, match=r"takes float32 \[batch, 3\].*expected one uint8 \[N, H, W, 3\]"):
        BACKENDS["onnx"].open_session(tmp_path / "m.onnx", 1, {})


def test_onnx_weights_outside_the_file_are_refused(tmp_path: Path, models: Path) -> None:
    loaded = onnx.load(model(models, "onnx"))
    onnx.save(loaded, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    with pytest.raises(IntegrityError, match="keeps weights in another file"):
        BACKENDS["onnx"].open_session(tmp_path / "m.onnx", 1, {})


@pytest.mark.parametrize("tag", [b"\x0a", b"\x8a\x00", b"\x8a\x80\x80\x00", b"\x8a" + b"\x80" * 8 + b"\x00"])
@pytest.mark.parametrize("length", [b"\x08", b"\x88\x00", b"\x88" + b"\x80" * 8 + b"\x00"])
@pytest.mark.parametrize("piece", [13, 2**18])
def test_onnx_weights_elsewhere_cannot_hide(
    tmp_path: Path, models: Path, tag: bytes, length: bytes, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A location spelt otherwise, in a graph that protobuf merges into the first one, wherever pieces of the file end."""
    monkeypatch.setattr("edgetl.runtime.sessions.onnx._PIECE", piece)
    loaded = onnx.load(model(models, "onnx"))
    (kernel,) = (tensor for tensor in loaded.graph.initializer if tensor.name == "kernel")
    loaded.graph.initializer.remove(kernel)
    (tmp_path / "w.data").write_bytes(kernel.raw_data)
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    entry = tag + length + b"location" + b"\x12\x06w.data"
    tensor = kernel.SerializeToString() + b"\x6a" + bytes([len(entry)]) + entry
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    (tmp_path / "m.onnx").write_bytes(loaded.SerializeToString() + b"\x3a" + bytes([len(graph)]) + graph)
    with pytest.raises(IntegrityError, match="keeps weights in another file"):
        BACKENDS["onnx"].open_session(tmp_path / "m.onnx", 1, {})


def test_openvino_reads_only_its_own_format(models: Path) -> None:
    with pytest.raises(IntegrityError, match=r"expected an \.xml"):
        BACKENDS["openvino"].open_session(model(models, "onnx"), 1, {})


@pytest.fixture
def bundle(tmp_path: Path, models: Path) -> Path:
    return make_bundle(tmp_path / "bundle", models)


class TestVerify:
    def test_a_good_bundle_passes_on_every_runtime(self, bundle: Path) -> None:
        checks = verify(bundle)
        assert [check.check for check in checks] == ["files", "labels", "labels", "preprocessing", *["outputs"] * 3]
        assert all(check.passed for check in checks)

    def test_a_changed_file_of_the_same_size_fails_and_is_not_loaded(self, bundle: Path) -> None:
        path = bundle / "models/tiny.tflite"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        (check,) = verify(bundle)
        assert (check.passed, check.check) == (False, "files")
        assert "models/tiny.tflite" in check.detail
        manifest = Manifest.load(bundle)
        with pytest.raises(IntegrityError, match="changed after the build"):
            open_artifact(bundle, manifest.artifact("tiny.fp32.tflite"))

    def test_a_missing_runtime_is_skipped_not_passed(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(os.sys.modules, "openvino", None)  # type: ignore[attr-defined]
        skipped = [check for check in verify(bundle) if check.passed is None]
        assert [check.artifact for check in skipped] == ["tiny.fp32.openvino"]
        assert skipped[0].to_json()["skipped"] is True


class TestPredict:
    def test_gives_every_label_and_the_flags_of_the_artefact(self, bundle: Path) -> None:
        prediction = load(bundle, "tiny.fp32.onnx").predict(bundle / "golden/0.png")
        assert set(prediction.probabilities) == set(LABELS)
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.__getitem__)
        assert prediction.flags == {"mel@0.90": True, "nv@0.90": False}

    def test_takes_the_first_artefact_that_can_run_here(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(os.sys.modules, "onnxruntime", None)  # type: ignore[attr-defined]
        prediction = load(bundle).predict(bundle / "golden/0.png")
        assert prediction.artifact == "tiny.fp32.openvino"
        with pytest.raises(MissingRuntime):
            load(bundle, "tiny.fp32.onnx")


class TestCommand:
    def test_selftest_says_json_and_its_exit_code(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["selftest", "--json", str(bundle)]) == 0
        assert all(check["passed"] for check in json.loads(capsys.readouterr().out))
        (bundle / "labels.txt").write_text("x")
        assert command.main(["selftest", "--json", str(bundle)]) == 5

    def test_errors_go_to_stderr_with_their_exit_code(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["predict", "--json", str(bundle), str(bundle / "bundle.json")]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "not a picture" in said.err

    def test_bench_times_the_shipped_files_in_processes_of_their_own(
        self, bundle: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.main(["bench", "--json", str(bundle), "--threads", "2"]) == 0
        results = json.loads(capsys.readouterr().out)
        assert [result["name"] for result in results] == [f"tiny.fp32.{backend}" for backend in NAMES]
        for result in results:
            assert result["runs"] >= 100
            assert 0 < result["p50_ms"] <= result["p90_ms"] <= result["p99_ms"]
            assert result["first_ms"] > 0
            assert result["load_ms"] > 0
            assert 5 < result["peak_rss_mb"] < 2000
            assert (result["threads"], result["batch"], result["mode"]) == (2, 1, "quick")
            assert result["compute_precision"] == "float32"
