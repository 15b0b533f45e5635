"""The child's side of measuring: a process that holds one model and runs it when told to.

It speaks lines. At the start it prints one JSON object, `{"ready": true, "load_ms": ..., "first_ms": ..., ...}`. Then each
line is a word and JSON values, and each answer is one line of JSON:

    run N                     a list of N milliseconds
    outputs PATH START COUNT  a list of COUNT rows of probabilities, of the uint8 tensors [N, H, W, 3] in a .npy file
    whole BUNDLE ARTIFACT N   {"preprocess_ms": [...], "postprocess_ms": [...], "whole_ms": [...]} of N golden pictures
    state                     what the machine says of itself, and what this process has used: `surroundings`
    quit                      {"peak_rss_mb": ...}

What a worker does not know is answered with null. Between two lines it is blocked on its input and costs nothing, so any
number of workers can be ready while one is timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from .arrays import array
from .backends import BACKENDS
from .memory import peak_rss_mb

if TYPE_CHECKING:
    from .sessions import Session

_SEED = 0
_DECODER = json.JSONDecoder()


def serve(
    run: Callable[[], object], ready: Mapping[str, object], knows: Mapping[str, Callable[..., object]] | None = None
) -> None:
    """Answer on stdin and stdout until `quit` or the end of the input.

    Args:
        run: one inference; its result is dropped.
        ready: what the model says of itself: load_ms, first_ms, and what `Session.describe` gives.
        knows: by word, what answers the lines that only an artefact can (`outputs`, `whole`).
    """
    answers = _own_stdout()
    answering = {"run": lambda count: time_runs(run, count), **(knows or {})}
    _answer(answers, {"ready": True, **ready})
    for line in sys.stdin:
        word, values = spoken(line)
        if word == "quit":
            _answer(answers, {"peak_rss_mb": peak_rss_mb()})
            return
        _answer(answers, answering[word](*values) if word in answering else None)


def spoken(line: str) -> tuple[str, list[Any]]:
    """The word of a line and the JSON values behind it.

    Raises:
        ValueError: what follows the word is no JSON.
    """
    word, _, rest = line.strip().partition(" ")
    values = []
    while rest := rest.strip():
        value, end = _DECODER.raw_decode(rest)
        values.append(value)
        rest = rest[end:]
    return word, values


def time_runs(run: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each of `count` calls, one after the other."""
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def serve_artifact(path: Path, backend: str, threads: int, options: Mapping[str, str]) -> None:
    """Load one model file and serve it on one fixed random image.

    `load_ms` does not count the import of the runtime, which an app does not have.
    """
    runtime = BACKENDS[backend]
    runtime.version()
    start = time.perf_counter_ns()
    session = runtime.open_session(path, threads, options)
    load_ms = (time.perf_counter_ns() - start) / 1e6
    image = np.random.default_rng(_SEED).integers(0, 256, session.input_shape, np.uint8)
    (first_ms,) = time_runs(lambda: session.run(image), 1)
    ready = {"load_ms": load_ms, "first_ms": first_ms, **session.describe()}
    serve(lambda: session.run(image), ready, {"outputs": lambda *what: outputs(session, *what)})


def outputs(session: Session, path: str, start: int, count: int) -> list[list[float]]:
    """Probabilities [count, C] of the tensors `start` and on of a .npy file, uint8 [N, H, W, 3].

    Raises:
        IntegrityError: it is no such file.
    """
    tensors = array(Path(path), np.uint8)[start : start + count]
    rows: list[list[float]] = [session.run(np.asarray(tensor)[None])[0].tolist() for tensor in tensors]
    return rows


def _own_stdout() -> TextIO:
    """The real stdout for the answers; whatever a runtime prints goes to stderr from now on."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answer(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
