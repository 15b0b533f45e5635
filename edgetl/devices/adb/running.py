"""A TFLite file on the phone as a worker: each line of the talk is one or more starts of `benchmark_model`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.devices.adb import phone
from edgetl.devices.adb.benchmark_model import RUNS_AT_ONCE, Invocation, arguments, parsed
from edgetl.devices.adb.link import LONGEST, Link
from edgetl.devices.adb.storage import Storage
from edgetl.devices.pushed import Pushed
from edgetl.errors import DeviceError, IntegrityError
from edgetl.results.latency import Machine
from edgetl.runtime.arrays import array
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.manifest import Artifact

__all__ = ["Phone", "PhoneWorker"]

WARM_UP_S = 0.25
"""Before each three runs: a phone's governor raises the clock within some tens of milliseconds."""
_START_S = 300.0
_OUTPUTS_LIMIT = 4 * 2**20

# Runs commands one after the other, as lines, and ends with this computer: adb keeps the input open as long as someone listens.
# adbd starts each command in a session of its own (shell_service.cpp: init_subproc_child), so that $$ names the group.
_SCRIPT = """
cd {folder} || exit 90
exec 3<&0
( read -r line <&3; kill -9 -$$; kill -9 $$ ) > /dev/null 2>&1 &
watch=$!
{commands}
kill -9 $watch
exit 0
"""
_COMMAND = """
{command} < /dev/null 2>&1 3<&-
echo "edgetl-exit $?"
"""


@dataclass(frozen=True)
class Phone:
    """What all workers of a device share.

    program: path of the binary there. version: its hash, shortened: it prints no version of its own.
    """

    link: Link
    machine: Machine
    storage: Storage
    program: str
    version: str
    accelerator: str
    allow_fallback: bool
    flags: Mapping[str, str]
    pushed: Pushed


@dataclass(frozen=True)
class PhoneWorker:
    """An artefact, not sent yet."""

    name: str
    threads: int
    phone: Phone
    artifact: Artifact
    file: Path
    batch: int = 1

    @contextmanager
    def start(self) -> Iterator[Running]:
        """Send it; nothing of it runs between two lines.

        Raises:
            WorkerError: the device does not take it.
        """
        with _worker(self.name):
            model = self.phone.storage.keep(self.file.read_bytes())
        yield Running(self, model)


class Running:
    """One artefact on the phone."""

    def __init__(self, worker: PhoneWorker, model: str) -> None:
        self._worker, self._phone, self._model = worker, worker.phone, model

    def ready(self) -> dict[str, Any]:
        """Load it once."""
        (first,) = self._invoked([1], warm_up_s=0.0)
        asked = self._phone.accelerator
        if asked != "cpu" and not first.complete and not self._phone.allow_fallback:
            raise WorkerError(
                f"accelerator {asked!r} does not take all operators: {_placement(first)}", place=self._worker.name
            )
        return {
            "ready": True,
            "load_ms": first.load_ms,
            "first_ms": first.first_ms,
            "remote": True,
            "runtime": "benchmark_model",
            "version": f"sha256 {self._phone.version}",
            "compute_precision": f"not told ({self._worker.artifact.precision} file)",
            "accelerator": asked if asked == "cpu" or first.accelerated else "cpu",
            "placement": _placement(first),
        }

    def run(self, count: int) -> list[float]:
        """Milliseconds of each of `count` inferences, at most three from each start, after a warm-up."""
        counts = [min(RUNS_AT_ONCE, count - start) for start in range(0, count, RUNS_AT_ONCE)]
        times = [time for each in self._invoked(counts, WARM_UP_S) for time in each.times_ms]
        if len(times) != count:
            raise WorkerError(
                f"ran {len(times)} times, expected {count}: it is slower than 20 s", place=self._worker.name
            )
        return times

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        """What it computes of tensors of a .npy file in a pushed folder."""
        rows = []
        for tensor in array(self._phone.pushed.host(path), np.uint8)[start : start + count]:
            with _worker(self._worker.name):
                source = self._phone.storage.put(np.ascontiguousarray(tensor).tobytes(), "input")
                # By their names in the folder that it runs in: a path's commas and colons would be the flag's own.
                self._invoked([1], 0.0, data=("image", (1, *tensor.shape), "input", "output"))
                target = f"{self._phone.storage.scratch}/output"
                found = self._phone.link.pull(target, _OUTPUTS_LIMIT)
                self._phone.link.run(["rm", "-f", source, target])
            if not found or len(found) % 4:
                raise IntegrityError(
                    f"gave {len(found)} bytes of probabilities, expected float32", place=self._worker.name
                )
            rows.append(np.frombuffer(found, "<f4").tolist())
        return rows

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        """`state`, of the phone; it knows nothing else."""
        if word != "state":
            return {}
        with _worker(self._worker.name):
            state = phone.state(self._phone.link)
        return {"surroundings": phone.surroundings(state, self._phone.machine), "cautions": phone.cautions(state)}

    def quit(self) -> float | None:
        """One more start, which is watched for its memory: it ends each time by itself."""
        (last,) = self._invoked([1], warm_up_s=0.0, peak=True)
        return last.peak_mb

    def _invoked(
        self,
        counts: list[int],
        warm_up_s: float,
        *,
        peak: bool = False,
        data: tuple[str, tuple[int, ...], str, str] | None = None,
    ) -> list[Invocation]:
        what, there = self._worker, self._phone
        commands = [
            arguments(self._model, what.threads, count, warm_up_s, there.accelerator, there.flags, peak=peak, data=data)
            for count in counts
        ]
        lines = [_COMMAND.format(command=shlex.join((there.program, *words))) for words in commands]
        folder = shlex.quote(there.storage.scratch)
        found: list[Invocation] = []
        for piece in _pieces(lines, LONGEST - len(_SCRIPT.format(folder=folder, commands="").encode())):
            with _worker(what.name):
                code, said = there.link.script(_SCRIPT.format(folder=folder, commands="".join(piece)), _START_S)
            parts = said.split("edgetl-exit ")
            if code or len(parts) != len(piece) + 1:
                raise WorkerError(f"ended with exit code {code}; its last line: {_last(said)}", place=what.name)
            try:
                found += [parsed(part, there.accelerator) for part in parts[:-1]]
            except ValueError as exc:
                raise WorkerError(str(exc), place=what.name) from exc
        return found


def _pieces(lines: Sequence[str], room: int) -> Iterator[list[str]]:
    """The lines, as many at once as have at most so many bytes together."""
    piece: list[str] = []
    left = room
    for line in lines:
        size = len(line.encode())
        if piece and size > left:
            yield piece
            piece, left = [], room
        piece.append(line)
        left -= size
    yield piece


def _placement(found: Invocation) -> str:
    if not found.delegate:
        return "no delegate named"
    pieces = f"{found.pieces} partition{'s' * (found.pieces != 1)}"
    return f"{found.delegate}, {found.taken} of {found.nodes} operators, {pieces}"


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "(none)"


@contextmanager
def _worker(name: str) -> Iterator[None]:
    """What goes wrong with the device is this worker's failure."""
    try:
        yield
    except DeviceError as exc:
        raise WorkerError(exc.message, place=name, hint=exc.hint) from exc
