"""Where latency is measured: one file a kind of device, all with the same verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from edgetl.config.target import Target
from edgetl.devices import local
from edgetl.results.latency import Machine
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Worker

__all__ = ["DEVICES", "Device"]


class Device(Protocol):
    """A device that a target names."""

    def info(self) -> Machine:
        """What it is. Part of the key that latencies are kept under."""

    def threads(self) -> tuple[int, ...]:
        """The thread counts of the target, resolved on the device, each once."""

    def push(self, folder: Path) -> Path:
        """Bring a folder with artefacts onto the device; where it is there."""

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Worker:
        """How to start an artefact of a pushed folder for measuring (`edgetl.runtime.serving` speaks the protocol)."""


DEVICES: Mapping[str, Callable[[Target], Device]] = {"local": local.Local}
