"""What is measured together: workers that start, answer and fail each on its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from .errors import IntegrityError, MissingRuntime, WorkerError
from .workers import Running, Worker


@dataclass(frozen=True)
class Failure:
    """A worker that has no result.

    reason: one line. exit_code: 5 where the model computes something else here than where it was built, else 4.
    """

    name: str
    threads: int
    reason: str
    exit_code: int

    def to_json(self) -> dict[str, Any]:
        """The fields, and `failed`, by which a row of results is known as none."""
        return {"failed": True, **asdict(self)}


class Subject:
    """A worker with its process and what became of it.

    started_ms: from the start of its process to the answer of its first inference.
    difference: of its golden outputs, None where they were not looked at. failure: None as long as it is well.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.ready: dict[str, Any] = {}
        self.started_ms: float | None = 0.0
        self.difference: float | None = None
        self.failure: Failure | None = None
        self._running: Running | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Subject:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its process."""
        self._running = None
        self._stack.close()

    @property
    def running(self) -> Running:
        """Its process, started."""
        assert self._running is not None, f"{self.worker.name} is not running"
        return self._running

    def start(self) -> None:
        """Start it and wait until it is loaded."""
        with self.failing():
            begun = time.perf_counter()
            self._running = self._stack.enter_context(self.worker.start())
            self.ready = self._running.ready()
            self.started_ms = _cold(self.ready, begun)

    def start_another(self) -> float | None:
        """Start a further process beside it, and end it; milliseconds to the answer of its first inference.

        Raises:
            WorkerError: this one failed.
        """
        begun = time.perf_counter()
        with self.worker.start() as running:
            started = _cold(running.ready(), begun)
            running.quit()
        return started

    @contextmanager
    def failing(self) -> Iterator[None]:
        """A block about this one: where it fails it is over for it at once, so that what hangs does not disturb the others."""
        try:
            yield
        except (WorkerError, IntegrityError, MissingRuntime) as exc:
            code = IntegrityError.exit_code if isinstance(exc, IntegrityError) else WorkerError.exit_code
            reason = " ".join(exc.message.split())
            self.failure = Failure(self.worker.name, self.worker.threads, reason, code)
            self.close()


def _cold(ready: dict[str, Any], begun: float) -> float | None:
    """What the process says of its own age, where that can be: from here a connection to the device would count too.

    None where it says that it is out of this clock's reach ("remote").
    """
    if ready.get("remote") is True:
        return None
    outside, said = 1e3 * (time.perf_counter() - begun), ready.get("cold_ms")
    return float(said) if isinstance(said, int | float) and 0 < said <= outside + 20 else outside


@contextmanager
def subjects(plan: Sequence[Worker]) -> Iterator[list[Subject]]:
    """All of a plan, loaded one after the other: two that load at once would slow each other."""
    assert len({worker.name for worker in plan}) == len(plan), "workers with one name"
    with ExitStack() as stack:
        started = [stack.enter_context(Subject(worker)) for worker in plan]
        for subject in started:
            subject.start()
        yield started


def well(those: Sequence[Subject]) -> list[Subject]:
    """Those that have not failed."""
    return [subject for subject in those if subject.failure is None]
