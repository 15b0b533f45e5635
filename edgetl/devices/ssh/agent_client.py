"""The host's side of the agent: one run on a device."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.devices.ssh.connection import Connection, Program
from edgetl.devices.ssh.quoting import command
from edgetl.errors import DeviceError
from edgetl.results.latency import Machine

__all__ = ["AgentClient", "File", "NotInstalled"]

PYTHON = (3, 11)
"""What the device side of edgetl is written for."""
PIECE = 1 << 18
BEAT_S = 5.0
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 300.0
VENV_TIMEOUT_S = 3600.0
LEAVE_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class File:
    """A file to push: its bytes are read when they are needed. size: in bytes."""

    source: Path
    digest: str
    size: int


class NotInstalled(DeviceError):
    """The device's pip could not install what one backend needs."""


class AgentClient:
    """An agent that was started on a device.

    token: names the run. machine: what the device is. folder: of the run, where all that it leaves is.
    sent: bytes that were pushed.

    Raises:
        DeviceError: there is no such Python, it is too old, or the device cannot keep files.
    """

    def __init__(self, connection: Connection, python: str) -> None:
        self.token = secrets.token_hex(8)
        self.sent = 0
        self._connection, self._python, self._ending = connection, python, False
        source = agent_source()
        # Of what a shell sees nothing comes from outside but the quoted Python. '' in the path is the folder that it starts
        # in, the user's own, where a json.py may lie.
        start = f"import sys; sys.path[:] = filter(None, sys.path); exec(sys.stdin.buffer.read({len(source)}))"
        self._program = connection.start(command([python, "-c", start]))
        self._program.when_ended(self._gone)
        self._program.send(source)
        self._program.every(BEAT_S, b"\n")
        found = self._ask({"do": "hello", "token": self.token}, START_TIMEOUT_S)
        self.folder, self.started_in = str(found["run"]), str(found["started_in"])
        self.machine = Machine(
            **{name: found[name] for name in ("processor", "cores", "memory_gb", "system", "machine")}
        )
        if tuple(found["python"]) < PYTHON:
            self.end()
            version = ".".join(map(str, found["python"]))
            raise DeviceError(
                f"{python} is Python {version}, expected at least {'.'.join(map(str, PYTHON))}",
                place=connection.host,
                hint="name another in the target's `python`; Raspberry Pi OS has 3.11 since version 12",
            )

    def push(self, files: Iterable[File], keep: bool) -> int:
        """Send what the device has not yet; how many that were. keep: in its cache, else until the run ends.

        Raises:
            DeviceError: its disk is full, or the connection is lost.
        """
        by_digest = {file.digest: file for file in files}
        missing = self._ask({"do": "missing", "digests": list(by_digest)})["missing"] if keep else list(by_digest)
        for digest in missing:
            self._put(by_digest[digest], keep)
        return len(missing)

    def view(self, name: str, files: Mapping[str, str]) -> str:
        """A folder on the device with pushed files, digests by path; where it is."""
        return str(self._ask({"do": "view", "name": name, "files": dict(files)})["folder"])

    def packages(self, names: Sequence[str]) -> dict[str, Any]:
        """Versions and wheel tags of installed distributions, None for what is not there."""
        found: dict[str, Any] = self._ask({"do": "packages", "names": list(names)})["packages"]
        return found

    def venv(self, requirements: Sequence[str]) -> str:
        """The Python of a virtual environment on the device that has them.

        Raises:
            NotInstalled: its pip does not find them.
            DeviceError: its Python makes no virtual environment.
        """
        return str(self._ask({"do": "venv", "requirements": list(requirements)}, VENV_TIMEOUT_S)["python"])

    def stop(self, worker: str) -> None:
        """Kill a worker that does not end by itself; nothing where the agent is gone, which does the same as it goes."""
        if not self._program.ended:
            self._ask({"do": "stop", "worker": worker})

    def end(self) -> None:
        """Leave nothing on the device but its cache."""
        self._ending = True
        if not self._program.ended:
            self._say({"do": "end"})
            self._program.end_input()
            self._program.wait(LEAVE_TIMEOUT_S)

    def _gone(self) -> None:
        """Without it nobody would clean up after workers, so they end with it."""
        if not self._ending:
            self._connection.fail("our program on it was killed")

    def _put(self, file: File, keep: bool) -> None:
        with file.source.open("rb") as content:
            self._say({"do": "put", "digest": file.digest, "size": file.size, "keep": keep})
            left = file.size
            while left:
                # A file that shrank meanwhile is filled up: the agent counts, and refuses it by its digest.
                piece = content.read(min(PIECE, left)) or bytes(min(PIECE, left))
                self._program.send(json.dumps({"bytes": len(piece)}).encode() + b"\n" + piece)
                left -= len(piece)
        self._answer(ANSWER_TIMEOUT_S)
        self.sent += file.size

    def _ask(self, request: Mapping[str, Any], timeout: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        self._say(request)
        return self._answer(timeout)

    def _say(self, request: Mapping[str, Any]) -> None:
        self._program.send(json.dumps(request).encode() + b"\n")

    def _answer(self, timeout: float) -> dict[str, Any]:
        host = self._connection.host
        while True:
            try:
                line = self._program.line(timeout)
            except TimeoutError:
                raise DeviceError(f"did not answer for {timeout:.0f} s", place=host) from None
            if line is None:
                raise self._ended(self._program)
            content = _parsed(line)
            if content.get("ok") is True:
                return content
            if "failed" in content:
                raise _refused(host, self._python, str(content["failed"]), str(content.get("detail")))
            # Anything else was written by what a login runs before it comes to us.

    def _ended(self, program: Program) -> DeviceError:
        code, host = program.code(), self._connection.host
        if code is None or code < 0:  # killed: by a device that is short of memory, for one
            return self._connection.loss()
        said = program.errors().strip().splitlines()
        last = said[-1] if said else "(none)"
        if code in (126, 127):
            hint = "install it there (sudo apt install python3), or name another in the target's `python`"
            return DeviceError(f"{self._python} cannot be started: {last}", place=host, hint=hint)
        return DeviceError(f"our program there died with exit code {code}; its last line: {last}", place=host)


def agent_source() -> bytes:
    """The text of `agent`."""
    return Path(__file__).with_name("agent.py").read_bytes()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _refused(host: str, python: str, why: str, detail: str) -> DeviceError:
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    last = lines[-1] if lines else "(none)"
    match why:
        case "full":
            hint = "make room there; what edgetl keeps is in ~/.cache/edgetl, and may be removed whenever nothing runs"
            return DeviceError(f"its disk is full: {detail}", place=host, hint=hint)
        case "venv":
            hint = "Debian needs sudo apt install python3-venv for it; or venv: false, and a `python` that has numpy"
            return DeviceError(f"{python} cannot make a virtual environment: {last}", place=host, hint=hint)
        case "pip":
            said = next((line for line in reversed(lines) if line.startswith("ERROR:")), last)
            hint = "has it a network, and is there a wheel for its Python? Or venv: false, and a `python` that has them"
            return NotInstalled(f"pip cannot install there: {said}", place=host, hint=hint)
    return DeviceError(f"cannot keep our files: {detail}", place=host)
