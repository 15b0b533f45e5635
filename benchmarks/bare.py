"""A process that loads one artefact, with the inference runtime alone or with edgetl.runtime, and says what that took.

    python -m benchmarks.bare alone|edgetl BUNDLE BACKEND PATH ARTIFACT OPTIONS

It imports nothing before it is told what: what it says of itself must hold nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[Any], Any]
"""uint8 [1, H, W, 3] -> float32 [1, C]"""


def open_onnx(path: str, options: Mapping[str, str]) -> Any:
    """ONNX Runtime, with one thread."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def open_openvino(path: str, options: Mapping[str, str]) -> Any:
    """OpenVINO, with one thread."""
    import openvino

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, **options}
    return core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()


def open_tflite(path: str, options: Mapping[str, str]) -> Any:
    """LiteRT, with one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run_onnx(session: Any) -> Run:
    """A bare call of what `open_onnx` gives."""
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def run_openvino(request: Any) -> Run:
    """A bare call of what `open_openvino` gives."""
    return lambda image: request.infer([image], share_inputs=True)[0]


def run_tflite(interpreter: Any) -> Run:
    """A bare call of what `open_tflite` gives."""
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(image: Any) -> Any:
        interpreter.set_tensor(taken, image)
        interpreter.invoke()
        return interpreter.get_tensor(given)

    return run


OPEN = {"onnx": open_onnx, "openvino": open_openvino, "tflite": open_tflite}
RUN = {"onnx": run_onnx, "openvino": run_openvino, "tflite": run_tflite}


def main() -> None:
    """Load, and print milliseconds from before the first import, and the memory that the process then holds."""
    how, bundle, backend, path, name, options = sys.argv[1:]
    given = json.loads(options)
    import numpy  # noqa: F401  # every runtime's own dependency

    begun, worked = time.perf_counter(), time.process_time()
    if how == "edgetl":
        from edgetl import runtime

        loaded: Any = runtime.load(bundle, name)
    else:
        loaded = OPEN[backend](f"{bundle}/{path}", given)
    taken, worked = 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - worked)
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  # pathlib is part of what is measured
        memory = {
            line.split(":")[0]: int(line.split()[1]) / 1000 for line in status if line.startswith(("VmRSS", "VmHWM"))
        }
    print(
        json.dumps(
            {"milliseconds": taken, "cpu_milliseconds": worked, "mb": memory["VmRSS"], "peak_mb": memory["VmHWM"]}
        )
    )
    del loaded


if __name__ == "__main__":
    main()
