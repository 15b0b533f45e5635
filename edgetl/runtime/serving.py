"""The child's side of measuring: a process that holds one model and runs it when told to.

It speaks lines. At the start it prints one JSON object, `{"ready": true, "load_ms": ..., "first_ms": ..., ...}`.
Then `run N` is answered with a JSON list of N milliseconds and `quit` with `{"peak_rss_mb": ...}`. Between two lines it
is blocked on its input and costs nothing, so any number of workers can be ready while one is timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from .accelerators import CPU, Accelerator
from .backends import BACKENDS
from .memory import peak_rss_mb

_SEED = 0


def serve(run: Callable[[], object], ready: Mapping[str, object]) -> None:
    """Answer on stdin and stdout until `quit` or the end of the input.

    Args:
        run: one inference; its result is dropped.
        ready: what the model says of itself: load_ms, first_ms, and what `Session.describe` gives.
    """
    answers = _own_stdout()
    _answer(answers, {"ready": True, **ready})
    for line in sys.stdin:
        match line.split():
            case ["run", count] if count.isdecimal():
                _answer(answers, time_runs(run, int(count)))
            case ["quit"]:
                _answer(answers, {"peak_rss_mb": peak_rss_mb()})
                return
            case words:
                raise ValueError(f"got the line {' '.join(words)!r}, expected 'run N' or 'quit'")


def time_runs(run: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each of `count` calls, one after the other."""
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def serve_artifact(
    path: Path, backend: str, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU
) -> None:
    """Load one model file and serve it on one fixed random image.

    `load_ms` does not count the import of the runtime, which an app does not have.
    """
    runtime = BACKENDS[backend]
    runtime.version()
    start = time.perf_counter_ns()
    session = runtime.open_session(path, threads, options, accelerator)
    load_ms = (time.perf_counter_ns() - start) / 1e6
    image = np.random.default_rng(_SEED).integers(0, 256, session.input_shape, np.uint8)
    (first_ms,) = time_runs(lambda: session.run(image), 1)
    serve(
        lambda: session.run(image),
        {"load_ms": load_ms, "first_ms": first_ms, "batch": len(image), **session.describe()},
    )


def _own_stdout() -> TextIO:
    """The real stdout for the answers; whatever a runtime prints goes to stderr from now on."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answer(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
