"""The parent's side of measuring: what is measured, and how it is started.

Mostly a worker is a command line: the runtime's own `worker`, the same through `ssh`, or any program that calls
`serving.serve`, such as one that runs PyTorch. It becomes a process that is talked to in lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from .accelerators import CPU, Accelerator
from .errors import WorkerError
from .manifest import Artifact

START_TIMEOUT_S = 300.0
ANSWER_TIMEOUT_S = 300.0
LEAVE_TIMEOUT_S = 5.0


class Running(Protocol):
    """A started model."""

    def ready(self) -> dict[str, Any]:
        """Wait until it is loaded; load_ms, first_ms, and what `Session.describe` says."""

    def run(self, count: int) -> list[float]:
        """Milliseconds of each of `count` inferences."""

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        """Probabilities [count, C] of the tensors `start` and on in a .npy file on the device, uint8 [N, H, W, 3].

        None where it cannot say. One line's answer: ask for some 64 at once, or less than what takes `ANSWER_TIMEOUT_S`.
        """

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        """The answer to another line of `serving` ("state", "whole"); empty where it does not know."""

    def quit(self) -> float | None:
        """End it; its peak memory in MB (10**6 bytes), or None where that is not known."""


class Worker(Protocol):
    """How to start one model. name: under which its times are kept. threads, batch: what it uses, for the record."""

    @property
    def name(self) -> str:
        """Differs from those of all that are measured with it."""

    @property
    def threads(self) -> int:
        """At least 1."""

    @property
    def batch(self) -> int:
        """Images of one inference."""

    def start(self) -> AbstractContextManager[Running]:
        """Start it; at the end of the block it is gone, whatever happened.

        Raises:
            WorkerError: it cannot be started.
        """


@dataclass(frozen=True)
class Command:
    """A worker that is a command line. env: added to this process's environment."""

    name: str
    argv: tuple[str, ...]
    threads: int = 1
    batch: int = 1
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Process:
        """Start the process."""
        return Process(self)


def worker_arguments(path: str, artifact: Artifact, threads: int, accelerator: Accelerator = CPU) -> tuple[str, ...]:
    """What follows `-m edgetl_runtime` for the worker of an artefact whose file is at `path`, on whatever machine."""
    settings = ["--threads", str(threads), "--options", json.dumps(dict(artifact.runtime_options))]
    if accelerator != CPU:
        settings += ["--accelerator", accelerator.name, "--accelerator-options", json.dumps(dict(accelerator.options))]
        settings += ["--allow-fallback"] * accelerator.allow_fallback
    # One word: a path that begins with a dash would be an option.
    return ("worker", f"--path={path}", "--backend", artifact.backend, *settings)


def local_worker(bundle: Path, artifact: Artifact, threads: int = 1, accelerator: Accelerator = CPU) -> Command:
    """A worker on this machine, under this Python, for one artefact of a bundle."""
    package = __package__ or "edgetl_runtime"
    root = Path(__file__).resolve().parents[package.count(".") + 1]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    return Command(
        name=artifact.name,
        argv=(
            sys.executable,
            "-m",
            package,
            *worker_arguments(str(bundle / artifact.path), artifact, threads, accelerator),
        ),
        threads=threads,
        env={"PYTHONPATH": search},
    )


class Conversation(ABC):
    """What is said with a worker that was started, wherever it runs. name: of the worker, as errors call it."""

    def __init__(self, name: str) -> None:
        self._name = name

    @abstractmethod
    def _send(self, line: str) -> None:
        """Pass one line on; where it died, nothing: reading says so."""

    @abstractmethod
    def _receive(self, timeout: float) -> str | None:
        """Its next line, or None after the last. Raises TimeoutError."""

    @abstractmethod
    def _ending(self) -> str:
        """How it ended, once it did."""

    @abstractmethod
    def _said(self) -> str:
        """All that it wrote to stderr."""

    def ready(self) -> dict[str, Any]:
        """What it says once its model is loaded; lines before that (a login banner) are skipped."""
        while True:
            line = self._line(START_TIMEOUT_S)
            if line.startswith("{"):
                content = self._parse(line)
                if isinstance(content, dict) and content.get("ready") is True:
                    for key in ("load_ms", "first_ms"):
                        if not isinstance(content.get(key), int | float):
                            raise self._failed(f"expected a number as {key}, got {content.get(key)!r}")
                    return content

    def run(self, count: int) -> list[float]:
        """Milliseconds of `count` inferences."""
        times = self._parse(self._ask(f"run {count}"))
        if not isinstance(times, list) or len(times) != count or not all(isinstance(time, float) for time in times):
            raise self._failed(f"expected {count} times, got {str(times)[:80]!r}")
        return times

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        """Probabilities of `count` tensors of a file on the device."""
        rows = self._parse(self._ask(_line("outputs", path, start, count)))
        if rows is None:
            return None
        if not isinstance(rows, list) or len(rows) != count or not all(map(_are_numbers, rows)):
            raise self._failed(f"expected {count} rows of probabilities, got {str(rows)[:80]!r}")
        return rows

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        """Its answer to a line, or nothing where it does not know."""
        content = self._parse(self._ask(_line(word, *values)))
        if content is not None and not isinstance(content, dict):
            raise self._failed(f"expected an object, got {str(content)[:80]!r}")
        return content or {}

    def quit(self) -> float | None:
        """End it; its peak memory in MB, or None where its system does not tell."""
        content = self._parse(self._ask("quit"))
        peak = content.get("peak_rss_mb") if isinstance(content, dict) else None
        return float(peak) if isinstance(peak, int | float) else None

    def _ask(self, line: str) -> str:
        self._send(line)
        return self._line(ANSWER_TIMEOUT_S)

    def _line(self, timeout: float) -> str:
        try:
            line = self._receive(timeout)
        except TimeoutError:
            raise self._failed(f"did not answer for {timeout:.0f} s") from None
        if line is None:
            raise self._failed(self._ending())
        return line

    def _parse(self, line: str) -> Any:
        try:
            return json.loads(line)
        except ValueError as exc:
            raise self._failed(f"expected JSON, got {line[:80]!r}") from exc

    def _failed(self, what: str) -> WorkerError:
        """The error, with the last thing the worker said about it."""
        lines = (line.strip() for line in self._said().splitlines())
        said = [line for line in lines if line and not line.startswith("hint:")]
        return WorkerError(f"{what}; its last line: {said[-1] if said else '(none)'}", place=self._name)


class Process(Conversation):
    """A command that was started; as a context manager it is gone at the end, whatever happened."""

    def __init__(self, worker: Command) -> None:
        super().__init__(worker.name)
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # closed in __exit__
        try:
            self._process = subprocess.Popen(
                worker.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **worker.env},
            )
        except OSError as exc:
            self._errors.close()
            raise WorkerError(f"cannot start {worker.argv[0]}: {exc.strerror}", place=worker.name) from exc
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=_read_lines, args=(self._stdout, self._lines), daemon=True)
        self._reader.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died with a line of ours unread
            self._stdin.close()  # a worker behind a wrapper or ssh is not reached by kill; it ends with its input
        self._process.kill()
        self._process.wait()
        self._reader.join(LEAVE_TIMEOUT_S)
        if not self._reader.is_alive():
            self._stdout.close()
        self._errors.close()

    def _send(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(line + "\n")
            self._stdin.flush()

    def _receive(self, timeout: float) -> str | None:
        try:
            return self._lines.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    def _ending(self) -> str:
        self._process.wait()
        return died(self._process.returncode)

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


def _line(word: str, *values: object) -> str:
    """A line of `serving`: JSON, so that no path breaks it."""
    return " ".join([word, *map(json.dumps, values)])


def _are_numbers(row: object) -> bool:
    return isinstance(row, list) and all(isinstance(value, float) for value in row)


def died(code: int) -> str:
    """How a process ended: its exit code, with the name of the signal that it stands for."""
    try:
        return f"died with exit code {code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"died with exit code {code}"


def _read_lines(stream: TextIO, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line.strip())
    lines.put(None)
