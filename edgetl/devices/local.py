"""This machine's CPU."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from edgetl.config.target import Target
from edgetl.devices import Baseline
from edgetl.devices.pytorch import worker as pytorch
from edgetl.devices.threads import ThreadCounts, resolved
from edgetl.results.latency import Machine
from edgetl.runtime.accelerators import CPU, Accelerator
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.surroundings import processor
from edgetl.runtime.workers import Command, local_worker


class LocalTarget(Target):
    """This machine's CPU."""

    threads: ThreadCounts = (1, "all")
    """Thread counts to measure with; all is every core that the process may use."""


class Here:
    """What devices of this machine have in common."""

    def push(self, folder: Path, keep: bool = True) -> Path:
        """Everything is here already."""
        return folder

    def close(self) -> None:
        """Nothing is held."""


def process(folder: Path, artifact: Artifact, threads: int, accelerator: Accelerator = CPU) -> Command:
    """A worker of this Python, whose name tells the thread count."""
    worker = local_worker(folder, artifact, threads, accelerator)
    return replace(worker, name=f"{worker.name}@{threads}")


class Local(Here):
    """The machine that edgetl itself runs on."""

    def __init__(self, target: LocalTarget) -> None:
        self._target = target

    def info(self) -> Machine:
        """As `machine`."""
        return machine()

    def threads(self) -> tuple[int, ...]:
        """`all` is every core that this process may use, which a container or a batch system can limit."""
        return resolved(self._target.threads, usable_cores())

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Command:
        """A process of this Python."""
        return process(folder, artifact, threads)


def networks(target: Target, network: Path, size: int) -> Sequence[Baseline]:
    """PyTorch eager on the CPU."""
    return (functools.partial(pytorch.worker, network=network, size=size),)


@cache
def machine() -> Machine:
    """This machine, as far as this process may use it."""
    import psutil

    return Machine(
        processor=processor(),
        cores=usable_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9),
        system=platform.system(),
        machine=platform.machine(),
    )
