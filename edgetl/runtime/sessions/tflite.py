"""TFLite files on LiteRT (ai-edge-litert), or on its predecessor tflite-runtime, with the XNNPACK delegate."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from ..accelerators import CPU, Accelerator, Placement
from ..bundle_files import Place
from ..errors import IntegrityError, MissingRuntime
from .checks import Image, Probabilities, check_image, check_signature, check_threads, precision_of

_DISTRIBUTIONS = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


def version() -> str:
    """Version of the installed interpreter.

    Raises:
        MissingRuntime: neither is installed.
    """
    package, _ = _runtime()
    if said := getattr(import_module(package), "__version__", None):
        return str(said)
    from importlib import metadata  # brings parsers of e-mail along, some 20 ms

    return metadata.version(_DISTRIBUTIONS[package])


def accelerators() -> tuple[str, ...]:
    """The CPU, with XNNPACK.

    Raises:
        MissingRuntime: no interpreter is installed.
    """
    _runtime()
    return ("cpu",)


def open_session(
    path: Place, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU
) -> TfliteSession:
    """Load one .tflite file; the interpreter has no options by name, so `options` must be empty.

    Raises:
        MissingRuntime: no interpreter is installed.
        IntegrityError: the file does not load, or has other ends than the contract.
    """
    package, interpreter_class = _runtime()
    if given := sorted({**options, **accelerator.options}):
        raise IntegrityError(f"runtime options {given} are unknown to TFLite, expected none", place=str(path))
    check_threads(threads)
    try:
        with _without_greeting():
            interpreter = interpreter_class(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as exc:
        raise IntegrityError(f"does not load in {_DISTRIBUTIONS[package]}: {exc}", place=str(path)) from exc
    return TfliteSession(path, interpreter, _DISTRIBUTIONS[package])


class TfliteSession:
    """One open .tflite file."""

    def __init__(self, path: Place, interpreter: Any, runtime: str) -> None:
        self._path = path
        self._interpreter = interpreter
        self._runtime = runtime
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        taken, given = ([_tensor(tensor) for tensor in tensors] for tensors in (inputs, outputs))
        self.input_shape, self.output_shape = check_signature(path, taken, given)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [N, C] of images uint8 [N, H, W, 3]; N is the file's."""
        self._interpreter.set_tensor(self._input, check_image(image, self.input_shape))
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as exc:  # an operator that only notices now, named in the message
            raise IntegrityError(f"does not run in {self._runtime}: {exc}", place=str(self._path)) from exc
        probabilities: Probabilities = self._interpreter.get_tensor(self._output)
        return probabilities

    def describe(self) -> dict[str, str | float | None]:
        """What computes, and in what; `placement` counts the pieces XNNPACK took: more than one costs time."""
        # No public method tells the operators; both packages have this one.
        operators: Sequence[dict[str, Any]] = self._interpreter._get_ops_details()
        weighted = [
            np.dtype(operator["operand_types"][0]).name for operator in operators if operator["op_name"] in _WEIGHTED
        ]
        return {
            "runtime": self._runtime,
            "version": version(),
            "compute_precision": precision_of(weighted),
            **_placement(operators).to_json(),
        }


def _placement(operators: Sequence[dict[str, Any]]) -> Placement:
    """What XNNPACK took. A delegate's node says which tensors go in and come out: what lies between is in it."""
    pieces = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
    own = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
    if not pieces:
        return Placement("cpu", 0.0, "reference kernels")
    maker = {int(tensor): operator for operator in own for tensor in operator["outputs"]}
    taken: set[int] = set()
    for piece in pieces:
        ends = {int(tensor) for tensor in piece["inputs"]}
        waiting = [int(tensor) for tensor in piece["outputs"]]
        while waiting:
            tensor = waiting.pop()
            operator = maker.get(tensor)
            if operator is not None and tensor not in ends and operator["index"] not in taken:
                taken.add(operator["index"])
                waiting += [int(tensor) for tensor in operator["inputs"]]
    count = f"{len(pieces)} partition{'s' * (len(pieces) != 1)}"
    return Placement("cpu", len(taken) / len(own), f"XNNPACK, {count}")


def _runtime() -> tuple[str, Any]:
    for package in _DISTRIBUTIONS:
        try:
            return package, import_module(f"{package}.interpreter").Interpreter
        except ImportError:
            continue
    raise MissingRuntime(
        "a TFLite artefact needs an interpreter, and none is installed", hint="pip install ai-edge-litert"
    )


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Drop "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", which C++ writes and no setting stops (2.3.0).

    What goes wrong comes as an exception and is not lost.
    """
    sys.stderr.flush()
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


def _tensor(tensor: dict[str, Any]) -> tuple[str, list[object]]:
    return np.dtype(tensor["dtype"]).name, [int(side) for side in tensor["shape_signature"]]
