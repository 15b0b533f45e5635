"""OpenVINO IR (.xml with its .bin) on OpenVINO's CPU plugin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import signal_stack, telemetry
from ..errors import IntegrityError, MissingRuntime
from .checks import Image, Probabilities, check_image, check_signature, check_threads, precision_of

_WEIGHTED = frozenset({"Convolution", "FullyConnected", "MatMul"})
_PRECISIONS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "i8": "int8", "u8": "int8"}


def version() -> str:
    """Version of the installed OpenVINO.

    Raises:
        MissingRuntime: it is not installed.
    """
    return str(_runtime().get_version())


def open_session(path: Path, threads: int, options: Mapping[str, str]) -> OpenVinoSession:
    """Load one .xml and the .bin beside it; `options` are properties of the compiled model.

    Without `INFERENCE_PRECISION_HINT=f32` among the options OpenVINO may compute float32 files in bfloat16.

    Raises:
        MissingRuntime: OpenVINO is not installed.
        IntegrityError: the file does not load, or has other ends than the contract.
    """
    core = _runtime().Core()
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": check_threads(threads),
        **options,
    }
    if path.suffix != ".xml":  # OpenVINO reads other formats too, which may keep weights anywhere
        raise IntegrityError("is no OpenVINO IR, expected an .xml with its .bin", place=str(path))
    try:
        with signal_stack.kept():
            compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    except RuntimeError as exc:  # the only class that OpenVINO's binding raises
        raise IntegrityError(f"does not load in OpenVINO: {_last_line(exc)}", place=str(path)) from exc
    return OpenVinoSession(path, compiled)


class OpenVinoSession:
    """One compiled IR."""

    def __init__(self, path: Path, compiled: Any) -> None:
        self._path = path
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        inputs, outputs = ([_tensor(tensor) for tensor in tensors] for tensors in (compiled.inputs, compiled.outputs))
        self.input_shape, self.output_shape = check_signature(path, inputs, outputs)

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [1, C] of one image, uint8 [1, H, W, 3]."""
        checked = check_image(image, self.input_shape)
        try:
            results = self._request.infer([checked], share_inputs=True)
        except RuntimeError as exc:
            raise IntegrityError(f"does not run in OpenVINO: {_last_line(exc)}", place=str(self._path)) from exc
        probabilities: Probabilities = results[0]
        return probabilities

    def describe(self) -> dict[str, str]:
        """What computes, and in what: read back from the compiled graph, not from the options."""
        operators = [operator.get_rt_info() for operator in self._compiled.get_runtime_model().get_ops()]
        weighted = [
            operator["runtimePrecision"].astype(str)
            for operator in operators
            if operator["layerType"].astype(str) in _WEIGHTED
        ]
        return {
            "runtime": "openvino",
            "version": version(),
            "compute_precision": precision_of([_PRECISIONS.get(kind, kind) for kind in weighted]),
            "accelerator": "cpu",
            "placement": ", ".join(self._compiled.get_property("EXECUTION_DEVICES")),
        }


def _runtime() -> Any:
    telemetry.forbid()
    try:
        import openvino
    except ImportError as exc:
        raise MissingRuntime(
            "an OpenVINO artefact needs OpenVINO, which is not installed", hint="pip install openvino"
        ) from exc
    return openvino


def _tensor(tensor: Any) -> tuple[str, list[object]]:
    shape = [side.get_length() if side.is_static else str(side) for side in tensor.get_partial_shape()]
    return np.dtype(tensor.get_element_type().to_dtype()).name, shape


def _last_line(exc: RuntimeError) -> str:
    """OpenVINO puts the reason last, below the places in its sources."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
