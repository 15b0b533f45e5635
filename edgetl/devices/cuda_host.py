"""A CUDA GPU of this machine: ONNX files through ONNX Runtime, and the build's own networks through PyTorch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl.config.target import Target
from edgetl.devices import Baseline, Presence
from edgetl.devices.local import Here, machine, process
from edgetl.devices.pytorch import worker as pytorch
from edgetl.devices.pytorch.ways import Mode, Precision, Way, require
from edgetl.errors import MissingAccelerator, MissingRuntime
from edgetl.results.latency import Machine
from edgetl.runtime.accelerators import Accelerator
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Command, Worker

_BACKEND = "onnx"


class CudaHostTarget(Target):
    """A CUDA GPU of this machine. A bundle's ONNX files run in ONNX Runtime; a build's networks in PyTorch too."""

    kind: Literal["cuda_host"] = "cuda_host"
    """Which kind of device."""
    gpu: Annotated[int, Field(ge=0, le=63)] = 0
    """Which of several GPUs, as CUDA counts them."""
    accelerator: Literal["cuda", "tensorrt"] = "cuda"
    """Provider of ONNX Runtime; needs onnxruntime-gpu, for tensorrt TensorRT's libraries too."""
    options: dict[str, str] = Field(default_factory=dict)
    """Options of that provider, such as `trt_fp16_enable: "1"`."""
    allow_fallback: bool = False
    """Let other providers compute what it does not take; without it that is an error. The row says what computed."""
    batches: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)] = (1, 64)
    """Batch sizes of PyTorch's rows."""
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] = ("fp32", "fp16", "bf16")
    """Precisions of PyTorch's rows; tf32 is fp32 whose products are shortened."""
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("eager", "graph")
    """Eager, torch.compile, or a CUDA graph that is recorded once and replayed."""


class CudaHost(Here):
    """This machine, with a GPU."""

    def __init__(self, target: CudaHostTarget) -> None:
        self._target = target

    def info(self) -> Machine:
        """The GPU, and the machine that it is in."""
        host = machine()
        return replace(host, processor=f"{_card(self._target)}, in {host.processor}")

    def threads(self) -> tuple[int, ...]:
        """One: a thread that waits for the GPU."""
        return (1,)

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Command:
        """A process of this Python."""
        target = self._target
        options = {"device_id": str(target.gpu), **target.options}
        asked = Accelerator(target.accelerator, options, target.allow_fallback)
        return process(folder, artifact, threads, asked)


def presence(target: CudaHostTarget) -> Presence:
    """A GPU that PyTorch sees; without ONNX Runtime's provider its networks alone can be measured."""
    try:
        card = _card(target)
    except MissingAccelerator as exc:
        return Presence(absent=f"{exc.place}: {exc.message}", hint=exc.hint)
    without = {name: "only ONNX files run on a CUDA GPU" for name in BACKENDS if name != _BACKEND}
    why = _without_provider(target)
    return Presence(f"{card}; ONNX Runtime {why or f'has {target.accelerator}'}", without={**without, **why_not(why)})


def why_not(reason: str | None) -> dict[str, str]:
    """Why ONNX files cannot be measured, if they cannot."""
    return {_BACKEND: f"ONNX Runtime {reason}: pip install onnxruntime-gpu instead of onnxruntime"} if reason else {}


def _without_provider(target: CudaHostTarget) -> str | None:
    try:
        there = BACKENDS[_BACKEND].there()
    except MissingRuntime:
        return "is not installed"
    return None if target.accelerator in there or target.allow_fallback else f"has {', '.join(there)} alone"


def _card(target: CudaHostTarget) -> str:
    return require(Way(f"cuda:{target.gpu}"))


def networks(target: CudaHostTarget, network: Path, size: int) -> Sequence[Baseline]:
    """PyTorch in every precision and mode at every batch size of the target."""
    ways = itertools.product(target.batches, target.precisions, target.modes)
    return [
        functools.partial(_worker, network=network, size=size, way=Way(f"cuda:{target.gpu}", precision, mode, batch))
        for batch, precision, mode in ways
    ]


def _worker(name: str, threads: int, network: Path, size: int, way: Way) -> Worker:
    return pytorch.worker(f"{name} {way.name}", threads, network, size, way)
