"""This machine's CPU."""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl.config.target import Target
from edgetl.devices import Baseline, eager
from edgetl.results.latency import Machine
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Command, local_worker


class LocalTarget(Target):
    """This machine's CPU."""

    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)] | Literal["all"], ...], Field(min_length=1)] = (
        1,
        "all",
    )
    """Thread counts to measure with; all is every core that the process may use."""


class Local:
    """The machine that edgetl itself runs on."""

    def __init__(self, target: LocalTarget) -> None:
        self._target = target

    def info(self) -> Machine:
        """As `machine`."""
        return machine()

    def threads(self) -> tuple[int, ...]:
        """`all` is every core that this process may use, which a container or a batch system can limit."""
        available = usable_cores()
        return tuple(sorted({available if count == "all" else count for count in self._target.threads}))

    def push(self, folder: Path) -> Path:
        """Everything is here already."""
        return folder

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Command:
        """A process of this Python."""
        worker = local_worker(folder, artifact, threads)
        return replace(worker, name=f"{worker.name}@{threads}")

    def close(self) -> None:
        """Nothing is held."""


def networks(target: Target, network: Path, size: int) -> Sequence[Baseline]:
    """PyTorch eager on the CPU."""
    return (functools.partial(eager.worker, network=network, size=size),)


@cache
def machine() -> Machine:
    """This machine, as far as this process may use it."""
    import psutil

    return Machine(
        processor=_processor(),
        cores=usable_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9),
        system=platform.system(),
        machine=platform.machine(),
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
