"""One package tried out: `python -m edgetl.doctor.probe NAME` imports it, uses it a little, and says what it can do.

A runtime computes something: that it imports says little on a processor that it was not made for.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgetl.doctor.finding import State
from edgetl.doctor.probing import MARK, TARGET
from edgetl.files import sha256_of
from edgetl.runtime import telemetry

_Answer = tuple[State, str, str | None]
_MODULES = {"opencv": "cv2", "litert-torch": "litert_torch"}
_NETWORK_SECONDS = 5.0


def main() -> None:
    """Try what the command line names and print the answer; an exception is the answer too, for who started this."""
    name = sys.argv[1]
    telemetry.forbid()
    if name.startswith(TARGET):
        state, detail, fix = _target(name.removeprefix(TARGET))
    else:
        state, detail, fix = PROBES[name]() if name in PROBES else _imported(name)
    print(f"\n{MARK}{json.dumps({'state': state, 'detail': detail, 'fix': fix})}", flush=True)
    os._exit(0)  # what a package does at exit is not its import


def _imported(name: str) -> _Answer:
    importlib.import_module(_MODULES.get(name, name.replace("-", "_")))
    return "ok", "imports", None


def _target(file: str) -> _Answer:
    """Whether it can be measured here, and which files cannot."""
    from edgetl import devices
    from edgetl.config import target

    described = target.load(file, Path())
    found = devices.presence(described)
    kind = devices.DEVICES[described.kind]
    if found.absent is not None:
        return "absent", f"cannot be measured here: {found.absent}", found.hint
    without = "".join(f"; no {backend} files: {reason}" for backend, reason in found.without.items())
    if not found.known:
        return "unknown", f"not known until it is used: {found.said or kind.about}{without}", None
    return "ok", f"can be measured here: {found.said or kind.about}{without}", None


def _torchvision() -> _Answer:
    from edgetl.models import torchvision_shim  # goes before torchvision, which may not fit this torch

    version = importlib.import_module("torchvision").__version__
    declared = torchvision_shim.ensure() is not None
    note = "; its extension is of another torch build, which edgetl works around" if declared else ""
    return "ok", f"{version}{note}", None


def _timm() -> _Answer:
    importlib.import_module("edgetl.models")  # lets timm import beside such a torchvision
    return "ok", str(importlib.import_module("timm").__version__), None


def _torch() -> _Answer:
    import torch

    product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert float(product.sum()) == 8.0
    parts = [f"{torch.__version__}, {torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            known = torch.cuda.get_device_properties(index)
            parts.append(f"CUDA {known.name}, {known.total_memory / 1e9:.0f} GB, sm_{known.major}{known.minor}")
    else:
        parts.append("no CUDA" + (f" (built for {torch.version.cuda})" if torch.version.cuda else ""))
    parts.append("MPS" if torch.backends.mps.is_available() else "no MPS")
    return "ok", "; ".join(parts), None


def _gpu() -> _Answer:
    """Whether trainings will keep the GPU busy: where pictures lie, what steps compute in, how many processes there are."""
    import torch

    from edgetl.training.batches import augmenting_threads
    from edgetl.training.device.pictures import room

    if not torch.cuda.is_available():
        return "absent", "none: trainings compute on the CPU", None
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        threads = f"{augmenting_threads()} threads each prepare their pictures"
        fix = "start one process: what a single GPU does by itself is quicker than what several wait for"
        return "warning", f"{processes} processes: {threads}, and the GPUs wait for them", fix
    fits = room(torch.device("cuda"), 128 * 128 * 3)
    precision = "bf16" if torch.cuda.is_bf16_supported(False) else "fp32"
    return (
        "ok",
        f"busy: steps are recorded and in {precision} (precision: auto), pictures are augmented there; {fits:,} of 128 x 128 "
        "pixels fit beside a training, of more each batch is sent",
        None,
    )


def _onnxruntime() -> _Answer:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", [edges[0]], [edges[1]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (computed,) = session.run(None, {"x": np.array([-1, 0, 1, 2], np.float32)})
    assert computed.tolist() == [0, 0, 1, 2]
    return "ok", f"{onnxruntime.__version__} computes; {', '.join(onnxruntime.get_available_providers())}", None


def _openvino() -> _Answer:
    import numpy as np
    import openvino
    from openvino import opset13 as ops

    pixels = ops.parameter([4], np.float32)
    core = openvino.Core()
    compiled = core.compile_model(openvino.Model([ops.relu(pixels)], [pixels], "probe"), "CPU")
    computed = compiled({0: np.array([-1, 0, 1, 2], np.float32)})[0]
    assert computed.tolist() == [0, 0, 1, 2]
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    devices = ", ".join(f"{name} {core.get_property(name, 'FULL_DEVICE_NAME')}" for name in core.available_devices)
    return "ok", f"{openvino.__version__} computes; {devices}; CPU in {' '.join(sorted(able))}", None


def _litert() -> _Answer:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from edgetl.backends import tflite_graph

    interpreter = Interpreter(model_content=bytes(tflite_graph.packed(_sum())), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([[1, 2, 3, 4]], np.float32))
    interpreter.invoke()
    computed = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert computed.tolist() == [[2, 4, 6, 8]]
    taken = any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())
    if taken:
        return "ok", "computes, with XNNPACK", None
    return "warning", "computes, but without XNNPACK: slow", "pip install --force-reinstall ai-edge-litert"


def _sum() -> Any:
    """A TFLite model that adds its input to itself: float32 [1, 4]."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, 4], schema.TensorType.FLOAT32, 0
        return made

    operator, graph, code, model = schema.OperatorT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.ModelT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor("x"), tensor("y")], [0], [1], [operator]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    return model


def _accelerate() -> _Answer:
    import accelerate

    # Not `accelerate launch`: that imports timm, which fails beside a torchvision of another build.
    here = "python -m accelerate.commands.launch"
    processes = os.environ.get("WORLD_SIZE")
    return "ok", f"{accelerate.__version__}; launcher: {here}" + (f"; {processes} processes" if processes else ""), None


def _weights() -> _Answer:
    """The packages with ImageNet weights: those that are installed are what was published, to the last bit."""
    from edgetl.models.weights import PACKAGES

    there: list[str] = []
    missing: list[str] = []
    damaged: list[str] = []
    for backbone, package in PACKAGES.items():
        spec = find_spec(package.module)
        if spec is None or not spec.submodule_search_locations:
            missing.append(f"{backbone} ({package.distribution})")
            continue
        path = Path(spec.submodule_search_locations[0]) / package.file
        intact = path.is_file() and sha256_of(path) == package.sha256
        (there if intact else damaged).append(backbone if intact else package.distribution)
    detail = f"here: {', '.join(there) or 'none'}" + (f"; not installed: {', '.join(missing)}" if missing else "")
    if damaged:
        return (
            "broken",
            f"{detail}; damaged: {', '.join(damaged)}",
            f"pip install --force-reinstall {' '.join(damaged)}",
        )
    return "ok", detail, None


def _hub() -> _Answer:
    from huggingface_hub import constants

    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=_NETWORK_SECONDS).close()
    except urllib.error.HTTPError as exc:
        exc.close()
    except OSError as exc:
        fix = "weights: package needs no network; behind a proxy set https_proxy"
        return "warning", f"{constants.ENDPOINT} cannot be reached ({exc})", fix
    return "ok", f"{constants.ENDPOINT} answers", None


PROBES: dict[str, Callable[[], _Answer]] = {
    "torch": _torch,
    "torchvision": _torchvision,
    "timm": _timm,
    "gpu": _gpu,
    "accelerate": _accelerate,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "ai-edge-litert": _litert,
    "packages": _weights,
    "hub": _hub,
}

if __name__ == "__main__":
    main()
