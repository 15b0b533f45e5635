"""ONNX files on ONNX Runtime: on the CPU, on a GPU with CUDA, or with TensorRT."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import telemetry
from ..accelerators import CPU, Accelerator, Placement
from ..bundle_files import Place
from ..errors import IntegrityError, MissingAccelerator, MissingRuntime
from . import onnx_providers
from .checks import Image, Probabilities, check_image, check_signature, check_threads

_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
# TensorProto.external_data, an entry {key: "location"}: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Readers of
# protobuf also take tag and length padded with empty bytes, which no exporter writes and who wants to hide one may; they
# refuse numbers of more than 10 bytes.
_LOCATION = b"location"
_BEFORE_LOCATION = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)\Z")
_MOST_BEFORE = 2 * 10
_PIECE = 2**18
# NodeProto.op_type as it lies in the file; the input's own DequantizeLinear does not match.
_QUANTIZES = b"\x22\x0eQuantizeLinear"


def version() -> str:
    """Version of the installed ONNX Runtime.

    Raises:
        MissingRuntime: it is not installed.
    """
    return str(_runtime().__version__)


def accelerators() -> tuple[str, ...]:
    """Those that this ONNX Runtime was built for.

    Raises:
        MissingRuntime: it is not installed.
    """
    return onnx_providers.built(_runtime())


def open_session(path: Place, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU) -> OnnxSession:
    """Load one .onnx file; `options` are session config entries, the accelerator's those of its provider.

    Raises:
        MissingRuntime: ONNX Runtime is not installed.
        MissingAccelerator: it is not there or leaves operators to another provider, and no fallback is allowed.
        IntegrityError: the file does not load, keeps weights elsewhere, or has other ends than the contract.
    """
    runtime = _runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = check_threads(threads)
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Threads that spin while they wait take the cores from whatever else runs, such as the next model measured.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for key, value in options.items():
        settings.add_session_config_entry(key, value)
    _refuse_external(path)
    if accelerator.name == "cpu":
        return _opened(runtime, path, settings, accelerator)
    there = onnx_providers.built(runtime)
    try:
        if accelerator.name not in there:
            raise accelerator.missing(there, os.path.basename(path))
        onnx_providers.have_told(runtime, settings, accelerator)
        return _opened(runtime, path, settings, accelerator)
    except MissingAccelerator:
        if not accelerator.allow_fallback:
            raise
        return _opened(runtime, path, settings, accelerator, instead="cpu")


def _opened(
    runtime: Any, path: Place, settings: Any, accelerator: Accelerator, instead: str | None = None
) -> OnnxSession:
    """instead: what is taken where the accelerator is not there."""
    name = instead or accelerator.name
    providers = onnx_providers.configured(name, {} if instead else accelerator.options)
    try:  # its own retry on other providers would be another silent fallback
        session = runtime.InferenceSession(str(path), settings, providers=providers, enable_fallback=0)
    except _failures() as exc:
        if name != "cpu":
            raise accelerator.missing(("cpu",), os.path.basename(path), f"ONNX Runtime: {exc}") from exc
        raise IntegrityError(f"does not load in ONNX Runtime: {exc}", place=str(path)) from exc
    found = onnx_providers.placement(session, accelerator.name)
    shortened = "" if instead else onnx_providers.shortened(accelerator.options)
    return OnnxSession(path, session, found.settled(accelerator, os.path.basename(path)), shortened)


class OnnxSession:
    """One open .onnx file."""

    def __init__(self, path: Place, session: Any, placement: Placement, shortened: str = "") -> None:
        """shortened: what options let it compute in beside the file's own precision."""
        self._path, self._placement, self._shortened = path, placement, shortened
        self._session = session
        inputs, outputs = (
            [(_DTYPES.get(tensor.type, tensor.type), tensor.shape) for tensor in tensors]
            for tensors in (session.get_inputs(), session.get_outputs())
        )
        self.input_shape, self.output_shape = check_signature(path, inputs, outputs)
        self._name = session.get_inputs()[0].name

    def run(self, image: Image) -> Probabilities:
        """Probabilities float32 [N, C] of images uint8 [N, H, W, 3]; N is the file's."""
        inputs = {self._name: check_image(image, self.input_shape)}
        try:
            probabilities: Probabilities = self._session.run(None, inputs)[0]
        except _failures() as exc:
            raise IntegrityError(f"does not run in ONNX Runtime: {exc}", place=str(self._path)) from exc
        return probabilities

    def describe(self) -> dict[str, str | float | None]:
        """What computes, and in what."""
        quantized = any(_QUANTIZES in piece for piece in _pieces(self._path, len(_QUANTIZES)))
        return {
            "runtime": "onnxruntime",
            "version": version(),
            "compute_precision": ("int8 and float32" if quantized else "float32") + self._shortened,
            **self._placement.to_json(),
        }


def _runtime() -> Any:
    telemetry.forbid()
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingRuntime(
            "an ONNX artefact needs ONNX Runtime, which is not installed", hint="pip install onnxruntime"
        ) from exc
    return onnxruntime


def _failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises of a file that it cannot load or run."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.EPFail,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
        RuntimeError,  # what CUDA's provider says of a driver that it does not like
    )


def _refuse_external(path: Place) -> None:
    """Older ONNX Runtimes follow such a location anywhere on the disk, 1.32 within the model's folder."""
    if any(_is_external(piece) for piece in _pieces(path, _MOST_BEFORE + len(_LOCATION))):
        raise IntegrityError(
            "keeps weights in another file, expected all of them inside",
            place=str(path),
            hint="save it without external data",
        )


def _is_external(piece: bytes) -> bool:
    """Looks for the word first: a pattern that begins with single bytes is tried at every byte of the weights."""
    place = piece.find(_LOCATION)
    while place >= 0:
        if _BEFORE_LOCATION.search(piece[max(0, place - _MOST_BEFORE) : place]):
            return True
        place = piece.find(_LOCATION, place + 1)
    return False


def _pieces(path: Place, overlap: int) -> Iterator[bytes]:
    """The file, in pieces that share `overlap` bytes, so that no word is cut: whole, it would lie in memory twice."""
    try:
        with open(path, "rb") as file:
            end = b""
            while piece := file.read(_PIECE):
                yield end + piece
                end = (end + piece)[-overlap:]
    except OSError as exc:
        raise IntegrityError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
