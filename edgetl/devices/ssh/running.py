"""A model that runs on a device over ssh, for measuring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from edgetl.devices.ssh.connection import Program
from edgetl.errors import DeviceError, MissingRuntime, WorkerError
from edgetl.runtime.workers import Conversation, died

__all__ = ["SshWorker"]

LEAVE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class SshWorker:
    """How to start it.

    launch: starts its program. stop: kills it on the device. loss: that the connection is gone. hint: for what is missing.
    """

    name: str
    threads: int
    launch: Callable[[], Program]
    stop: Callable[[], None]
    loss: Callable[[], DeviceError]
    hint: str
    batch: int = 1

    def start(self) -> SshRunning:
        """Start it.

        Raises:
            DeviceError: the connection is lost.
        """
        return SshRunning(self, self.launch())


class SshRunning(Conversation):
    """One that was started; at the end of the block it is gone from the device, whatever happened."""

    def __init__(self, worker: SshWorker, program: Program) -> None:
        super().__init__(worker.name)
        self._worker, self._program = worker, program

    def __enter__(self) -> SshRunning:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.end_input()
        if not self._program.wait(LEAVE_TIMEOUT_S):
            self._worker.stop()

    def _send(self, line: str) -> None:
        self._program.send(line.encode() + b"\n")

    def _receive(self, timeout: float) -> str | None:
        line = self._program.line(timeout)
        return None if line is None else line.decode("utf-8", "replace").strip()

    def _ending(self) -> str:
        code = self._program.code()
        if code is None:  # no row of its own: with the connection all are lost
            raise self._worker.loss()
        return died(code)

    def _said(self) -> str:
        return self._program.errors()

    def _failed(self, what: str) -> WorkerError:
        error = super()._failed(what)
        if self._program.code() == MissingRuntime.exit_code:
            error.hint = self._worker.hint
        return error
