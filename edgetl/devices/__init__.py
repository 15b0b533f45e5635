"""Where latency is measured: one file a kind of device, with the type of its target files and its `Device`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from edgetl.config.target import Target
    from edgetl.results.latency import Machine
    from edgetl.runtime.manifest import Artifact
    from edgetl.runtime.workers import Worker

__all__ = ["DEVICES", "Device", "Kind", "open_device"]


class Device(Protocol):
    """A device that a target names."""

    def info(self) -> Machine:
        """What it is, as reports name it beside its latencies."""

    def threads(self) -> tuple[int, ...]:
        """The thread counts of the target, resolved on the device, each once."""

    def push(self, folder: Path) -> Path:
        """Bring a folder with artefacts onto the device; where it is there."""

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Worker:
        """How to start an artefact of a pushed folder for measuring; the name tells the thread count too."""

    def close(self) -> None:
        """Let go of the device; nothing of ours runs there any more."""


@dataclass(frozen=True)
class Kind:
    """A kind of device by its name in target files.

    about: what it is, in a few words.
    target: MODULE:CLASS of its target files, a `Target`.
    load: MODULE:CLASS of its `Device`, which is made from such a target.
    here: whether it is the machine that edgetl runs on; only there PyTorch's networks are measured beside the artefacts.
    efforts: MODULE:NAME of how long it measures in each mode.
    backends: the formats that it runs; all of them where empty.
    """

    name: str
    about: str
    target: str
    load: str
    here: bool = False
    efforts: str = "edgetl.runtime.measuring:EFFORTS"
    backends: tuple[str, ...] = ()

    def takes(self, backend: str) -> bool:
        """Whether it runs artefacts of a format."""
        return not self.backends or backend in self.backends


_ENTRIES = (
    Kind("local", "this machine's CPU", f"{__name__}.local:LocalTarget", f"{__name__}.local:Local", here=True),
    Kind(
        *("adb", "an Android phone behind adb", f"{__name__}.adb:AdbTarget", f"{__name__}.adb:Adb"),
        efforts=f"{__name__}.adb:EFFORTS",
        backends=("tflite",),
    ),
    Kind(
        *("browser", "a page in a browser", f"{__name__}.browser:BrowserTarget", f"{__name__}.browser:Browser"),
        backends=("onnx", "tflite"),
    ),
)

DEVICES: dict[str, Kind] = {kind.name: kind for kind in _ENTRIES}
"""By name, as `kind` of a target file takes them."""


def open_device(target: Target) -> Device:
    """The device that a target describes."""
    make = cast("Callable[[Target], Device]", pkgutil.resolve_name(DEVICES[target.kind].load))
    return make(target)
