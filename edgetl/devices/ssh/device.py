"""The `Device` over ssh."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgetl.devices.ssh.agent import VARIABLE
from edgetl.devices.ssh.agent_client import AgentClient, File, NotInstalled
from edgetl.devices.ssh.connection import Connection, Program
from edgetl.devices.ssh.packages import misfit, requirement
from edgetl.devices.ssh.quoting import command
from edgetl.devices.ssh.running import SshWorker
from edgetl.devices.ssh.target import SshTarget
from edgetl.devices.threads import resolved
from edgetl.errors import DeviceError, WorkerError
from edgetl.results.latency import Machine
from edgetl.runtime import workers
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact

__all__ = ["Ssh", "reach"]

PACKAGE = "edgetl_runtime"
"""What the device side is called there, as in its wheel."""


def reach(target: SshTarget) -> None:
    """Log in and leave. Raises DeviceError."""
    Connection(target.host).close()


class Ssh:
    """A machine that ssh logs in to; connected when it is first asked for something."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._names = itertools.count()
        self._connection: Connection | None = None
        self._agent: AgentClient | None = None
        self._packages: dict[str, Mapping[str, Any] | None] = {}
        self._refused: dict[str, NotInstalled] = {}
        self.pushed = 0
        """Files that the device did not have."""

    def info(self) -> Machine:
        """As the device says; of an emulated one its name tells."""
        machine = self.agent.machine
        return replace(machine, processor=f"{machine.processor} (emulated)") if self._target.emulated else machine

    def threads(self) -> tuple[int, ...]:
        """`all` is every core that a process may use there."""
        return resolved(self._target.threads, self.agent.machine.cores)

    def push(self, folder: Path, keep: bool = True) -> Path:
        """Files that the device does not have yet, by their content."""
        files = dict(_files(folder))
        self.pushed += self.agent.push(files.values(), keep)
        return Path(self.agent.view(str(next(self._names)), {path: file.digest for path, file in files.items()}))

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> SshWorker:
        """A process of the device's Python with the device side of this edgetl.

        A runtime that is missing, of another architecture, or that pip cannot install there is the worker's failure.

        Raises:
            DeviceError: that Python lacks what edgetl needs.
        """
        number, agent, name = str(next(self._names)), self.agent, f"{artifact.name}@{threads}"
        python, refused = self._python_or_why_not(artifact.backend)
        argv = [python, "-m", PACKAGE]
        argv += workers.worker_arguments(str(folder / artifact.path), artifact, threads)
        # -m looks in the folder where it starts, unless the user's shell says PYTHONSAFEPATH.
        line = command(argv, self.runtime, {VARIABLE: f"{agent.token}/{number}", "PYTHONSAFEPATH": ""})

        def launch() -> Program:
            if refused is not None:
                raise WorkerError(refused.message, place=name, hint=refused.hint)
            if fault := self._misfit(BACKENDS[artifact.backend].distribution):
                raise WorkerError(fault, place=name, hint=self._remedy(artifact.backend))
            return self.connection.start(line)

        hint = self._remedy(artifact.backend)
        return SshWorker(name, threads, launch, lambda: agent.stop(number), self.connection.loss, hint)

    def close(self) -> None:
        """The run's processes and files are gone from the device; its cache stays."""
        try:
            if self._agent is not None:
                self._agent.end()
        finally:
            if self._connection is not None:
                self._connection.close()
            self._agent = self._connection = None
            self.__dict__.pop("runtime", None)

    @property
    def connection(self) -> Connection:
        """The login, made when it is first needed."""
        if self._connection is None:
            self._connection = Connection(self._target.host)
        return self._connection

    @property
    def agent(self) -> AgentClient:
        """Our program on the device, started when it is first needed."""
        if self._agent is None:
            self._agent = AgentClient(self.connection, self._python)
        return self._agent

    @property
    def _python(self) -> str:
        """A program that is started without a shell's help knows no `~`; ssh starts it in the home folder."""
        python = self._target.python
        return f"./{python[2:]}" if python.startswith("~/") else python

    def _python_or_why_not(self, backend: str) -> tuple[str, NotInstalled | None]:
        """pip is asked once for each backend, whatever it answers: it may take minutes."""
        if backend not in self._refused:
            try:
                return self._python_for(backend), None
            except NotInstalled as exc:
                self._refused[backend] = exc
        return "", self._refused[backend]

    def _python_for(self, backend: str) -> str:
        """The Python that runs workers, from whatever folder."""
        if self._target.venv:
            wanted = ("numpy", "pillow", BACKENDS[backend].distribution)
            return self.agent.venv([requirement(name) for name in wanted])
        if not self._installed("numpy"):
            raise DeviceError(
                f"{self._target.python} has no numpy", place=self._target.host, hint=self._remedy(backend)
            )
        if fault := self._misfit("numpy"):
            raise DeviceError(fault, place=self._target.host, hint=self._remedy(backend))
        if "/" in self._python and not self._python.startswith("/"):
            return f"{self.agent.started_in}/{self._python}"
        return self._python

    def _installed(self, name: str) -> Mapping[str, Any] | None:
        """Asked once for each distribution."""
        if name not in self._packages:
            self._packages[name] = self.agent.packages([name])[name]
        return self._packages[name]

    def _misfit(self, name: str) -> str | None:
        """The virtual environment's own pip chose what fits."""
        return None if self._target.venv else misfit(name, self._installed(name), self.agent.machine.machine)

    def _remedy(self, backend: str) -> str:
        packages = f"numpy {BACKENDS[backend].distribution}"
        return f"on {self._target.host}: {self._target.python} -m pip install {packages}; or `venv: true` in the target"

    @cached_property
    def runtime(self) -> str:
        """A folder of the run that has the device side of this edgetl as `edgetl_runtime`."""
        source = Path(workers.__file__).parent
        files = {f"{PACKAGE}/{path}": file for path, file in _files(source) if path.endswith(".py")}
        self.pushed += self.agent.push(files.values(), keep=True)
        return self.agent.view(str(next(self._names)), {path: file.digest for path, file in files.items()})


def _files(folder: Path) -> Iterator[tuple[str, File]]:
    """Relative path, with slashes, and content of every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                yield path.relative_to(folder).as_posix(), File(path, digest, file.tell())
