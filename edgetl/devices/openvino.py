"""An accelerator of this machine that OpenVINO drives: an Intel GPU, or an NPU of an Intel laptop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgetl.config.target import Target
from edgetl.devices import Presence
from edgetl.devices.local import Here, LocalTarget, machine, process
from edgetl.errors import MissingRuntime
from edgetl.results.latency import Machine
from edgetl.runtime.accelerators import Accelerator
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Command

_BACKEND = "openvino"


class OpenVinoTarget(Target):
    """A GPU or NPU of this machine, through OpenVINO; of a bundle it measures the OpenVINO files."""

    kind: Literal["openvino"] = "openvino"
    """Which kind of device."""
    accelerator: Literal["gpu", "npu"]
    """What computes."""
    options: dict[str, str] = Field(default_factory=dict)
    """Properties of OpenVINO's device, such as `DEVICE_ID: "1"` for the second GPU."""
    allow_fallback: bool = False
    """Let the CPU compute what the accelerator does not take; without it that is an error. The row says what computed."""

    def find_machine(self) -> str:
        """This one, whose CPU would be measured beside its accelerator."""
        return LocalTarget(name=self.name).find_machine()


class OpenVino(Here):
    """This machine, with its accelerator."""

    def __init__(self, target: OpenVinoTarget) -> None:
        self._target = target

    def info(self) -> Machine:
        """The accelerator by the name that its driver gives it, and the machine that it is in."""
        host = machine()
        return replace(host, processor=f"{_full_name(self._target) or 'no accelerator'}, in {host.processor}")

    def threads(self) -> tuple[int, ...]:
        """One: an accelerator has no thread count."""
        return (1,)

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Command:
        """A process of this Python."""
        target = self._target
        asked = Accelerator(target.accelerator, target.options, target.allow_fallback)
        return process(folder, artifact, threads, asked)


def presence(target: OpenVinoTarget) -> Presence:
    """Whether OpenVINO finds it."""
    without = {name: "OpenVINO runs its own files alone" for name in BACKENDS if name != _BACKEND}
    try:
        there = BACKENDS[_BACKEND].there()
    except MissingRuntime as exc:
        return Presence(absent=exc.message, hint=exc.hint)
    if target.accelerator in there:
        return Presence(_full_name(target), without=without)
    if target.allow_fallback:
        return Presence(f"no {target.accelerator.upper()}: the CPU computes", without=without)
    name = target.accelerator
    return Presence(
        absent=f"got accelerator {name!r}, expected one that OpenVINO finds here: {', '.join(there)}", hint=_HINTS[name]
    )


_HINTS = {
    "gpu": "an Intel GPU needs its driver (intel-opencl-icd) and access to /dev/dri: docs/device-runtime.md",
    "npu": "an Intel NPU needs its driver (intel-npu-driver) and access to /dev/accel: docs/device-runtime.md",
}


def _full_name(target: OpenVinoTarget) -> str:
    from edgetl.runtime.sessions import openvino

    return openvino.full_name(target.accelerator, target.options)
