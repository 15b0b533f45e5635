"""OpenVINO IR (.xml with its .bin) on OpenVINO's plugins: CPU, GPU and NPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import signal_stack, telemetry
from ..accelerators import CPU, Accelerator, Placement
from ..bundle_files import Place, stem_and_ending
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


def accelerators() -> tuple[str, ...]:
    """Those of the devices that OpenVINO finds here.

    Raises:
        MissingRuntime: it is not installed.
    """
    return _found(_runtime().Core())


def full_name(accelerator: str, options: Mapping[str, str]) -> str:
    """The accelerator by its driver's name; "" where there is none."""
    device = ".".join(filter(None, (accelerator.upper(), options.get("DEVICE_ID"))))
    try:
        return str(_runtime().Core().get_property(device, "FULL_DEVICE_NAME"))
    except RuntimeError:
        return ""


def open_session(
    path: Place, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU
) -> OpenVinoSession:
    """Load one .xml and the .bin beside it; `options` are properties of the compiled model, as are the accelerator's.

    Without `INFERENCE_PRECISION_HINT=f32` among the options OpenVINO may compute float32 files in bfloat16.

    Raises:
        MissingRuntime: OpenVINO is not installed.
        MissingAccelerator: it is not there or does not take the whole model, and no fallback is allowed.
        IntegrityError: the file does not load, or has other ends than the contract.
    """
    core = _runtime().Core()
    # OpenVINO reads other formats too, which may keep weights anywhere.
    if stem_and_ending(os.path.basename(path))[1] != ".xml":
        raise IntegrityError("is no OpenVINO IR, expected an .xml with its .bin", place=str(path))
    device, there = accelerator.name.upper(), ("cpu",) if accelerator.name == "cpu" else _found(core)
    own = accelerator.options
    if accelerator.name not in there:
        if not accelerator.allow_fallback:
            raise accelerator.missing(there, os.path.basename(path))
        device, own = "CPU", {}  # which has no such properties
    settings = _settings(device, check_threads(threads), {**options, **own})
    where = f"HETERO:{device},CPU" if device != "CPU" and accelerator.allow_fallback else device
    try:
        with signal_stack.kept():
            model = core.read_model(str(path))
            compiled = _compiled(core, model, where, settings, accelerator, path)
    except RuntimeError as exc:  # the only class that OpenVINO's binding raises
        raise IntegrityError(f"does not load in OpenVINO: {_last_line(exc)}", place=str(path)) from exc
    return OpenVinoSession(
        path, compiled, _placement(core, model, compiled, accelerator).settled(accelerator, os.path.basename(path))
    )


def _found(core: Any) -> tuple[str, ...]:
    """GPU.0 and GPU.1 are one accelerator: which of them computes is DEVICE_ID among its options."""
    return tuple(dict.fromkeys(device.partition(".")[0].lower() for device in core.available_devices))


def _settings(device: str, threads: int, given: Mapping[str, str]) -> dict[str, Any]:
    """Properties that the device has: NPUs compute no float32, and only CPUs have threads (OpenVINO's device pages)."""
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", **given}
    if device == "CPU":
        settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, **settings}
    if device == "NPU" and settings.get("INFERENCE_PRECISION_HINT") == "f32":
        del settings["INFERENCE_PRECISION_HINT"]
    return settings


def _compiled(
    core: Any, model: Any, where: str, settings: Mapping[str, Any], accelerator: Accelerator, path: Place
) -> Any:
    """Raises MissingAccelerator where an accelerator does not take a model that was read without a fault."""
    try:
        return core.compile_model(model, where, dict(settings))
    except RuntimeError as exc:
        if where == "CPU":
            raise
        raise accelerator.missing(("cpu",), os.path.basename(path), f"OpenVINO: {_last_line(exc)}") from exc


def _placement(core: Any, model: Any, compiled: Any, accelerator: Accelerator) -> Placement:
    """What computes, read back from the compiled model, not from what was asked for."""
    devices = [str(device) for device in compiled.get_property("EXECUTION_DEVICES")]
    wanted = accelerator.name.upper()
    ours = [device for device in devices if device.partition(".")[0] == wanted]
    said = ", ".join(devices)
    if len(ours) in (0, len(devices)):
        names = {device.partition(".")[0].lower() for device in devices}
        return Placement(names.pop() if len(names) == 1 else said, 1.0 if ours else 0.0, said)
    taken = core.query_model(model, f"HETERO:{wanted},CPU").values()
    share = sum(device.partition(".")[0] == wanted for device in taken) / max(1, len(taken))
    return Placement(accelerator.name, share, f"{said}: {share:.1%} of {len(taken)} operators on {', '.join(ours)}")


class OpenVinoSession:
    """One compiled IR."""

    def __init__(self, path: Place, compiled: Any, placement: Placement) -> None:
        self._path, self._placement = path, placement
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        inputs, outputs = ([_tensor(tensor) for tensor in tensors] for tensors in (compiled.inputs, compiled.outputs))
        self.input_shape, self.output_shape = check_signature(path, inputs, outputs)
        # Tensors that stay, looked up once: handing an array to `infer` costs some 100 us a call more (2026.4, Python).
        self._input: Image = self._request.get_input_tensor().data
        self._output: Probabilities = self._request.get_output_tensor().data

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [N, C] of images uint8 [N, H, W, 3]; N is the file's."""
        checked = check_image(image, self.input_shape)
        try:
            np.copyto(self._input, checked)
            # In this thread: start_async() and wait() hand it to another one, which takes 100 us and more.
            self._request.infer(share_outputs=True)
        except RuntimeError as exc:
            raise IntegrityError(f"does not run in OpenVINO: {_last_line(exc)}", place=str(self._path)) from exc
        return self._output.copy()

    def describe(self) -> dict[str, str | float | None]:
        """What computes, and in what: read back from the compiled graph, not from the options."""
        return {
            "runtime": "openvino",
            "version": version(),
            "compute_precision": precision_of([_PRECISIONS.get(kind, kind) for kind in self._weighted()]),
            **self._placement.to_json(),
        }

    def _weighted(self) -> list[str]:
        """What each layer with weights computes in; nothing where a plugin does not show its graph."""
        try:
            operators = [operator.get_rt_info() for operator in self._compiled.get_runtime_model().get_ops()]
        except RuntimeError:
            return []
        return [
            operator["runtimePrecision"].astype(str)
            for operator in operators
            if operator["layerType"].astype(str) in _WEIGHTED
        ]


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
