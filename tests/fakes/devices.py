"""A device in this process: no worker is started, and every run takes a millisecond."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetl.config.target import Target
from edgetl.devices import Baseline, Presence
from edgetl.results.latency import Machine
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Running

DESCRIBED = {
    "runtime": "fake",
    "version": "1",
    "compute_precision": "float32",
    "accelerator": "cpu",
    "placement": "here",
}


PRESENT = Presence("a fake")


class FakeTarget(Target):
    """Nothing but a name."""


def presence(target: FakeTarget) -> Presence:
    """What a test says."""
    return PRESENT


def networks(target: FakeTarget, network: Path, size: int) -> list[Baseline]:
    """Two ways to run a network."""
    return [FakeWorker, lambda name, threads: FakeWorker(f"{name} recorded", threads)]


class FakeDevice:
    """pushed: the folders, in the order in which they came."""

    def __init__(self, target: FakeTarget) -> None:
        self.name = target.name
        self.pushed: list[Path] = []
        self.closed = False

    def info(self) -> Machine:
        return Machine(processor="fake", cores=1, memory_gb=1, system="Fake", machine="fake")

    def threads(self) -> tuple[int, ...]:
        return (1, 2)

    def push(self, folder: Path) -> Path:
        self.pushed.append(folder)
        return folder

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> FakeWorker:
        assert folder in self.pushed
        return FakeWorker(f"{artifact.name}@{threads}", threads)

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class FakeWorker:
    """log: what was done to it, in order."""

    name: str
    threads: int = 1
    batch: int = 1
    log: list[str] = field(default_factory=list)

    @contextmanager
    def start(self) -> Iterator[Running]:
        self.log.append("started")
        yield FakeRunning(self)
        self.log.append("gone")


class FakeRunning:
    """Answers at once."""

    def __init__(self, worker: FakeWorker) -> None:
        self._worker = worker

    def ready(self) -> dict[str, Any]:
        return {"ready": True, "load_ms": 2.0, "first_ms": 1.0, **DESCRIBED}

    def run(self, count: int) -> list[float]:
        return [1.0] * count

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        return None

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        return {}

    def quit(self) -> float | None:
        self._worker.log.append("quit")
        return 10.0
