"""One contract for every backend: the ends, float32 that is float32, int8 that works, one temperature, clean files."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from edgetl.backends import Converter, converter, onnx, openvino, tflite
from edgetl.errors import EdgetlError
from edgetl.lint.linting import lint
from edgetl.models import torchvision_shim
from edgetl.runtime import telemetry
from edgetl.runtime.backends import BACKENDS

SIZE, CLASSES, STEPS = 64, 7, 40
CONVERTERS: dict[str, Converter] = {"onnx": onnx, "openvino": openvino, "tflite": tflite}
"""Named here, so that mypy holds each module against the protocol: the table names them as text."""
Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

telemetry.forbid()


@dataclass(frozen=True)
class Made:
    """What one backend made of `network`."""

    name: str
    converter: Converter
    fp32: Path
    int8: Path

    def probabilities(self, precision: str, images: Images, path: Path | None = None) -> Probabilities:
        """float32 [N, classes] of uint8 [N, H, W, 3], one image at a time, as a device does."""
        options = BACKENDS[self.name].runtime_options.get(precision, {})
        session = BACKENDS[self.name].open_session(path or getattr(self, precision), 1, options)
        return np.concatenate([session.run(image[None]).copy() for image in images])


def pictures(count: int, seed: int) -> Images:
    """uint8 [count, SIZE, SIZE, 3]: smooth blotches over the whole range, tinted by `classes_of(count)`."""
    random = np.random.default_rng(seed)
    tints = np.array([[(label + 1) >> channel & 1 for channel in range(3)] for label in classes_of(count)])
    coarse = random.uniform(-60, 240, (count, 3, 6, 6)) + 90 * tints[:, :, None, None]
    smooth = nn.functional.interpolate(torch.from_numpy(coarse), size=(SIZE, SIZE), mode="bilinear")
    return smooth.clamp(0, 255).round().byte().permute(0, 2, 3, 1).numpy()


def classes_of(count: int) -> npt.NDArray[np.int64]:
    """int64 [count]"""
    return np.arange(count) % CLASSES


def logits_of(network: nn.Module, images: Images) -> torch.Tensor:
    """float32 [N, CLASSES]"""
    with torch.inference_mode():
        return _forward(network, images)


def _forward(network: nn.Module, images: Images) -> torch.Tensor:
    logits: torch.Tensor = network((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 128) / 128)
    return logits


def softened(logits: torch.Tensor, temperature: float = 1.0) -> Probabilities:
    result: Probabilities = (logits / temperature).softmax(1).numpy()
    return result


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A real compact network that was trained for a moment: a fresh one has gammas at 1 and biases at 0, which
    converters drop, and all its answers are ties, which int8 breaks."""
    torchvision_shim.ensure()
    import timm

    torch.manual_seed(1)
    made: nn.Module = timm.create_model("mobilenetv3_small_050", num_classes=CLASSES)
    made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3)
    labels = torch.from_numpy(classes_of(56))
    for step in range(STEPS):
        loss = nn.functional.cross_entropy(_forward(made, pictures(56, 100 + step)), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of what it sees next
    for seed in range(4):
        logits_of(made, pictures(56, 100 + seed))
    return made.eval()


def test_the_table_names_these_modules() -> None:
    assert {name: converter(name) for name in BACKENDS} == CONVERTERS


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def made(request: pytest.FixtureRequest, network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Made:
    backend, folder = converter(request.param), tmp_path_factory.mktemp(request.param)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    fp32 = backend.export(network, SIZE, folder, "student-fp32")
    int8 = backend.quantize(network, fp32, pictures(64, 1), folder, "student-int8")
    assert network.training, "the caller's network was put into another mode"
    network.eval()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    return Made(request.param, backend, fp32, int8)


def test_files_are_named_by_the_caller(made: Made) -> None:
    suffixes = {"onnx": {".onnx"}, "openvino": {".xml", ".bin"}, "tflite": {".tflite"}}[made.name]
    expected = {f"student-{precision}{suffix}" for precision in ("fp32", "int8") for suffix in suffixes}
    assert {path.name for path in made.fp32.parent.iterdir()} == expected
    assert made.fp32.name.startswith("student-fp32.")
    assert made.int8.name.startswith("student-int8.")
    assert made.fp32.suffix == made.int8.suffix == BACKENDS[made.name].suffix


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_ends(made: Made, precision: str) -> None:
    ends = {"onnx": _onnx_ends, "openvino": _openvino_ends, "tflite": _tflite_ends}[made.name]
    assert ends(getattr(made, precision)) == [
        ("image", "uint8", [1, SIZE, SIZE, 3]),
        ("probabilities", "float32", [1, CLASSES]),
    ]


def test_fp32_is_pytorch(made: Made, network: nn.Module) -> None:
    images = np.concatenate(
        [pictures(100, 2), np.random.default_rng(3).integers(0, 256, (28, SIZE, SIZE, 3), np.uint8)]
    )
    images[-2], images[-1] = 0, 255
    got, expected = made.probabilities("fp32", images), softened(logits_of(network, images))
    assert np.abs(got - expected).max() <= 1e-4
    assert (expected[:98].argmax(1) == classes_of(98)).mean() > 0.6, "the network under test tells images apart"


def test_int8_agrees_with_pytorch(made: Made, network: nn.Module) -> None:
    images = pictures(128, 4)
    got, expected = made.probabilities("int8", images), softened(logits_of(network, images))
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.85
    assert np.abs(got - expected).mean() <= 0.03
    assert np.allclose(got.sum(1), 1, atol=1e-5), "the softmax is float"


def test_int8_is_smaller(made: Made) -> None:
    def weight(path: Path) -> int:
        return sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*"))

    # Half, because scales and names weigh in so small a network; the networks that ship come to 0.27-0.29.
    assert weight(made.int8) < 0.5 * weight(made.fp32)


def test_int8_is_integer_where_promised(made: Made) -> None:
    weighted = {"onnx": _onnx_weighted, "openvino": _openvino_weighted, "tflite": _tflite_weighted}[made.name](
        made.int8
    )
    assert len(weighted) > 40
    assert {name for name, integer in weighted.items() if not integer} == set()


def test_image_is_the_quantized_tensor(made: Made) -> None:
    """One step of the image is one step of the first layer's input: no rounding happens before the network."""
    check = {"onnx": _onnx_first_scale, "openvino": _openvino_first_scale, "tflite": _tflite_first_scale}[made.name]
    assert check(made.int8) == pytest.approx(1 / 128, abs=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_temperature_is_baked_and_replaced(made: Made, network: nn.Module, precision: str, tmp_path: Path) -> None:
    images = pictures(32, 5)
    original: Path = getattr(made, precision)
    for file in original.parent.glob(f"{original.stem}.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / original.name
    at_one = made.probabilities(precision, images, path)
    for temperature in (2.5, 0.7, 1.0):
        made.converter.set_temperature(path, temperature)
        got = made.probabilities(precision, images, path)
        expected = softened(torch.from_numpy(at_one).log(), temperature)
        assert np.abs(got - expected).max() <= 1e-5
        if precision == "fp32":
            assert np.abs(got - softened(logits_of(network, images), temperature)).max() <= 1e-4
    assert sorted(tmp_path.iterdir()) == sorted(tmp_path.glob(f"{original.stem}.*")), "something was left beside it"
    assert np.array_equal(made.probabilities(precision, images, path), at_one)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_for_a_batch_gives_each_image_what_it_gets_alone(made: Made, precision: str, tmp_path: Path) -> None:
    images, options = pictures(12, 6), BACKENDS[made.name].runtime_options.get(precision, {})
    original: Path = getattr(made, precision)
    before, alone = original.read_bytes(), made.probabilities(precision, images)
    assert np.abs(alone - alone[::-1]).max() > 0.1, "the pictures must differ"
    path = made.converter.with_batch(original, 4, tmp_path)
    assert (path.parent, path.name) == (tmp_path, original.name)
    session = BACKENDS[made.name].open_session(path, 1, options)
    assert (session.input_shape, session.output_shape) == ((4, SIZE, SIZE, 3), (4, CLASSES))
    got = np.concatenate([session.run(images[start : start + 4]).copy() for start in range(0, 12, 4)])
    assert np.abs(got - alone).max() <= (1e-5 if precision == "fp32" else 0.02)
    assert original.read_bytes() == before


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_temperature_is_refused(made: Made, temperature: float) -> None:
    before = made.fp32.read_bytes()
    with pytest.raises(ValueError, match="temperature"):
        made.converter.set_temperature(made.fp32, temperature)
    assert made.fp32.read_bytes() == before


def test_files_hold_no_trace_of_this_machine(made: Made, tmp_path: Path) -> None:
    content = b"".join(file.read_bytes() for file in made.fp32.parent.iterdir())
    traces = {str(Path.cwd()), sys.prefix, sys.base_prefix, str(made.fp32.parent), f"/{getpass.getuser()}/"}
    traces |= {"site-packages", ".py", str(Path.home()), *(str(folder) for folder in tmp_path.parents)} - {"/"}
    assert [trace for trace in sorted(traces) if trace.encode() in content] == []


class _Refused(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("a layer that no converter knows")


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_failure_is_named_and_leaves_nothing(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EdgetlError, match=rf"{name}: export failed: .*a layer that no converter knows"):
        converter(name).export(_Refused(), SIZE, tmp_path, "student")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", ""), "converters talk to the log"


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_foreign_file_has_no_temperature(name: str, tmp_path: Path) -> None:
    write = {"onnx": _foreign_onnx, "openvino": _foreign_openvino, "tflite": _foreign_tflite}[name]
    with pytest.raises(EdgetlError, match=rf"{name}: set the temperature failed: .*got 0 .*temperature"):
        converter(name).set_temperature(write(tmp_path), 2.0)


def _tiny() -> nn.Module:
    torch.manual_seed(2)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, CLASSES)).eval()


def write_tiny(name: str, folder: Path) -> dict[str, str]:
    """Everything that a backend does, on the smallest network: file name -> SHA-256."""
    backend = converter(name)
    fp32 = backend.export(_tiny(), SIZE, folder, "fp32")
    backend.set_temperature(backend.quantize(_tiny(), fp32, pictures(8, 6), folder, "int8"), 1.3)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_another_process_writes_the_same_bytes_and_nothing_else(name: str, tmp_path: Path) -> None:
    home, here, there = tmp_path / "home", tmp_path / "here", tmp_path / "there"
    for folder in (home, here, there):
        folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "XDG_CACHE_HOME")}
    environment |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)])}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = f"import sys, pathlib, test_backends; test_backends.write_tiny({name!r}, pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", command, there], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == [], "a converter wrote into the home folder"
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(there.iterdir())}
    assert hashes == write_tiny(name, here)


def test_importing_the_table_loads_no_converter() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "litert_torch", "ai_edge_quantizer", "jax")
    command = f"import sys, edgetl.backends; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What each format says about itself, read with its own library.

Edge = tuple[str, str, list[int]]


def _onnx_ends(path: Path) -> list[Edge]:
    import onnx

    graph = onnx.load(path).graph
    kinds = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.FLOAT: "float32"}
    tensors = [(end.name, end.type.tensor_type) for end in (*graph.input, *graph.output)]
    return [(name, kinds[kind.elem_type], [axis.dim_value for axis in kind.shape.dim]) for name, kind in tensors]


def _openvino_ends(path: Path) -> list[Edge]:
    import openvino

    model = openvino.Core().read_model(path)
    kinds = {"u8": "uint8", "f32": "float32"}
    return [
        (end.get_any_name(), kinds[end.get_element_type().get_type_name()], list(end.get_shape()))
        for end in (*model.inputs, *model.outputs)
    ]


def _tflite_ends(path: Path) -> list[Edge]:
    interpreter = _interpreter(path)
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["image"], "outputs": ["probabilities"]}
    ends = (*interpreter.get_input_details(), *interpreter.get_output_details())
    return [(end["name"], np.dtype(end["dtype"]).name, end["shape"].tolist()) for end in ends]


def _interpreter(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without a delegate the graph is listed as it is in the file.
    return Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def _onnx_weighted(path: Path) -> Mapping[str, bool]:
    import onnx

    graph = onnx.load(path).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    weighted = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    return {node.name: all(makers[name] == "DequantizeLinear" for name in node.input[:2]) for node in weighted}


def _openvino_weighted(path: Path) -> Mapping[str, bool]:
    import openvino

    def integer(node: Any) -> bool:
        while node.get_type_name() != "Constant":
            node = node.input_value(0).get_node()
        return node.get_element_type() in (openvino.Type.i8, openvino.Type.u8)

    def quantized(node: Any) -> bool:
        # Shape and pooling operators pass a quantized tensor on.
        while node.get_type_name() in ("Reshape", "ReduceMean", "Squeeze"):
            node = node.input_value(0).get_node()
        return bool(node.get_type_name() == "FakeQuantize")

    operators = openvino.Core().read_model(path).get_ops()
    weighted = [node for node in operators if node.get_type_name() in ("Convolution", "GroupConvolution", "MatMul")]
    ends = {node.get_friendly_name(): [end.get_node() for end in node.input_values()] for node in weighted}
    # nncf leaves the activations of squeeze-and-excitation in float.
    return {name: integer(weights) and (".se." in name or quantized(data)) for name, (data, weights) in ends.items()}


def _tflite_weighted(path: Path) -> Mapping[str, bool]:
    interpreter = _interpreter(path)
    kinds = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    weighted = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    operators = [operator for operator in interpreter._get_ops_details() if operator["op_name"] in weighted]
    return {
        f"{operator['op_name']} {operator['index']}": all(kinds[index] is np.int8 for index in operator["inputs"][:2])
        for operator in operators
    }


def _onnx_first_scale(path: Path) -> float:
    import onnx

    graph = onnx.load(path).graph
    planes = next(node.output[0] for node in graph.node if "image" in node.input)
    readers = [node for node in graph.node if planes in node.input]
    assert [node.op_type for node in readers] == ["DequantizeLinear"]
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert constants[readers[0].input[2]] == 128
    return float(constants[readers[0].input[1]])


def _openvino_first_scale(path: Path) -> float:
    import openvino

    operators = openvino.Core().read_model(path).get_ordered_ops()
    first = next(node for node in operators if node.get_type_name() == "FakeQuantize")
    low, high = (float(first.input_value(port).get_node().data) for port in (1, 2))
    assert low == -1
    return (high - low) / 255


def _tflite_first_scale(path: Path) -> float:
    interpreter = _interpreter(path)
    first = interpreter._get_ops_details()[0]
    assert first["op_name"] == "QUANTIZE"
    tensors = {tensor["index"]: tensor["quantization"] for tensor in interpreter.get_tensor_details()}
    (image, body) = (tensors[int(first[end][0])] for end in ("inputs", "outputs"))
    assert (image[1], body[1]) == (128, 0)
    assert image[0] == body[0], "equal scales: the runtime only flips the sign bit"
    return float(body[0])


def _foreign_onnx(folder: Path) -> Path:
    import onnx
    from onnx import helper

    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, CLASSES]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Softmax", ["a"], ["b"])], "foreign", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / "foreign.onnx")
    return folder / "foreign.onnx"


def _foreign_openvino(folder: Path) -> Path:
    import openvino
    from openvino import opset13 as ops

    logits = ops.parameter([1, CLASSES], np.float32)
    openvino.save_model(openvino.Model([ops.softmax(logits, axis=-1)], [logits], "foreign"), folder / "foreign.xml")
    return folder / "foreign.xml"


def _foreign_tflite(folder: Path) -> Path:
    from ai_edge_litert import schema_py_generated as schema

    from edgetl.backends import tflite_graph

    model = schema.ModelT()
    model.subgraphs, model.buffers, model.operatorCodes = [schema.SubGraphT()], [schema.BufferT()], []
    model.subgraphs[0].tensors = []
    (folder / "foreign.tflite").write_bytes(tflite_graph.packed(model))
    return folder / "foreign.tflite"


class TestOperators:
    """What a file is made of, and what is predicted from it, against what its runtime says of the same file."""

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_they_do_the_networks_work(self, made: Made, network: nn.Module, precision: str) -> None:
        graph = made.converter.operators(getattr(made, precision))
        assert graph is not None
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert len(graph.weighted()) == len(layers) > 40
        assert sum(node.macs for node in graph.nodes) == _macs(network)
        kinds = [graph.kind(node) for node in graph.nodes]
        if precision == "fp32":
            assert {kind.takes for kind in kinds if kind.weighted} == {"float32"}
        assert sum(kind.name.lower().replace("_", "") in ("hardswish", "hswish") for kind in kinds) == 19

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_a_runtime_does_with_it_what_is_predicted(self, made: Made, precision: str) -> None:
        path = getattr(made, precision)
        artifact, graph = f"{made.name}-{precision}", made.converter.operators(path)
        (prediction,) = lint("here", "local", {artifact: graph}).artifacts
        assert [finding for finding in prediction.findings if finding.verdict == "unknown"] == []
        if made.name == "onnx":
            assert _integer_kernels(path) == (prediction.native_layers if precision == "int8" else 0)
            return
        options = BACKENDS[made.name].runtime_options.get(precision, {})
        said = BACKENDS[made.name].open_session(path, 1, options).describe()
        if made.name == "tflite":
            assert str(said["placement"]).startswith(f"XNNPACK, {prediction.pieces} partition")
        if precision == "int8":
            left = prediction.layers - prediction.native_layers
            assert said["compute_precision"] == (f"int8 {prediction.native_layers}, float32 {left}" if left else "int8")

    def test_onnxruntime_leaves_in_float_what_is_predicted_to_fall_back(self, made: Made) -> None:
        if made.name != "onnx":
            return
        (prediction,) = lint("here", "local", {"onnx-int8": made.converter.operators(made.int8)}).artifacts
        fallen = {finding.operator for finding in prediction.findings}
        assert fallen == {"HardSwish", "HardSigmoid", "ReduceMean"}
        kept = _optimized(made.int8)
        assert {"QLinearConv", "QLinearMul", "QLinearAdd", "HardSigmoid", "ReduceMean"} <= set(kept)
        assert kept.count("QLinearAdd") + kept.count("QLinearMul") == _native(made, ("Add", "Mul"))

    def test_an_int8_hard_swish_cuts_the_graph_into_as_many_pieces_as_predicted(
        self, made: Made, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if made.name != "tflite":
            return
        monkeypatch.setattr(tflite, "LEFT_FLOAT", ())
        path = tflite.quantize(network, made.fp32, pictures(4, 1), tmp_path, "whole-int8")
        (prediction,) = lint("here", "local", {"tflite-int8": tflite.operators(path)}).artifacts
        said = BACKENDS["tflite"].open_session(path, 1, {}).describe()
        assert str(said["placement"]).startswith(f"XNNPACK, {prediction.pieces} partition")
        assert prediction.pieces is not None
        assert prediction.pieces > 10
        assert prediction.int8 == "slower"

    def test_a_file_that_is_none_is_an_error_of_ours(self, made: Made, tmp_path: Path) -> None:
        path = tmp_path / f"no{made.fp32.suffix}"
        path.write_bytes(b"no model")
        with pytest.raises(EdgetlError, match=made.name):
            made.converter.operators(path)


def _macs(network: nn.Module) -> int:
    """Multiply-accumulates of one picture, counted by PyTorch while it runs."""
    counted = []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        counted.append(output.numel() * module.weight[0].numel())

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    logits_of(network, pictures(1, 1))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def _native(made: Made, names: tuple[str, ...]) -> int:
    graph = made.converter.operators(made.int8)
    assert graph is not None
    kinds = [graph.kind(node) for node in graph.nodes]
    return sum(kind.name in names and (kind.takes, kind.gives) == ("int8", "int8") for kind in kinds)


def _optimized(path: Path) -> list[str]:
    """The operators that onnxruntime runs."""
    import onnx as onnx_format
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_name("optimized.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    try:
        return [node.op_type for node in onnx_format.load(options.optimized_model_filepath).graph.node]
    finally:
        Path(options.optimized_model_filepath).unlink()


def _integer_kernels(path: Path) -> int:
    return sum(name in ("QLinearConv", "QGemm", "QLinearMatMul") for name in _optimized(path))
