"""The child's side of measuring: a process that holds one model and runs it when told to.

It speaks lines. At the start it prints one JSON object, `{"ready": true, "load_ms": ..., "first_ms": ..., ...}`. Then each
line is a word and JSON values, and each answer is one line of JSON:

    run N                     a list of N milliseconds
    outputs PATH START COUNT  a list of COUNT rows of probabilities, of the uint8 tensors [N, H, W, 3] in a .npy file
    whole BUNDLE ARTIFACT N   {"preprocess_ms": [...], "postprocess_ms": [...], "whole_ms": [...]} of N calls
    state                     what the machine says of itself, and what this process has used: `surroundings`
    yardstick                 {"kind": ..., "times": [...]}: `yardstick`
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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from . import surroundings, yardstick
from .accelerators import CPU, Accelerator
from .arrays import array
from .backends import BACKENDS
from .errors import EdgetlError
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
    answers, used = _own_stdout(), Used()
    answering: dict[str, Callable[..., object]] = {
        "run": partial(used.run, run),
        "state": used.state,
        "yardstick": lambda: {"kind": yardstick.kind(), "times": yardstick.times()},
        **(knows or {}),
    }
    _answer(answers, {"ready": True, "cold_ms": surroundings.age_ms(), **ready})
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


class Used:
    """What this process has used for its runs: energy where the machine says, and the cores under its main thread."""

    def __init__(self) -> None:
        self._runs, self._ran_on = 0, set[int]()
        self._energy_uj = 0 if surroundings.energy_uj() else None

    def run(self, run: Callable[[], object], count: int) -> list[float]:
        """As `time_runs`."""
        before = surroundings.energy_uj()
        times = time_runs(run, count)
        if self._energy_uj is not None:
            self._energy_uj += surroundings.spent_uj(before, surroundings.energy_uj())
        self._runs += count
        if (core := surroundings.core_of_this_thread()) is not None:
            self._ran_on.add(core)
        return times

    def state(self) -> dict[str, Any]:
        """The machine now, and what was used so far."""
        return {
            "surroundings": surroundings.to_json(surroundings.look()),
            "ticks": surroundings.to_json(surroundings.ticks()),
            "used_s": time.process_time(),
            "runs": self._runs,
            "energy_uj": self._energy_uj,
            "ran_on": sorted(self._ran_on),
        }


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
    ready = {"load_ms": load_ms, "first_ms": first_ms, "batch": len(image), **session.describe()}
    knows: dict[str, Callable[..., object]] = {"outputs": partial(outputs, session), "whole": partial(whole, session)}
    serve(lambda: session.run(image), ready, knows)


def outputs(session: Session, path: str, start: int, count: int) -> list[list[float]]:
    """Probabilities [count, C] of the tensors `start` and on of a .npy file, uint8 [N, H, W, 3].

    Raises:
        IntegrityError: it is no such file.
    """
    tensors = array(Path(path), np.uint8)[start : start + count]
    rows: list[list[float]] = [session.run(np.asarray(tensor)[None])[0].tolist() for tensor in tensors]
    return rows


def whole(session: Session, bundle: str, artifact: str, count: int) -> dict[str, Any] | None:
    """Milliseconds of calls from the file of a bundle's first golden picture to an answer, and of what is not the model.

    Returns:
        preprocess_ms, postprocess_ms, whole_ms of each call, and `picture`: its kind and size; None where the bundle is not
        here, or what decodes pictures is not installed.
    """
    from .decoding import decode
    from .manifest import Manifest
    from .predicting import Model
    from .preprocessing import preprocess

    parts: dict[str, Any] = {"preprocess_ms": [], "postprocess_ms": [], "whole_ms": []}
    try:
        manifest = Manifest.read(Path(bundle))
        model, file = Model(manifest, manifest.artifact(artifact), session), Path(bundle) / manifest.golden.images[0]
        height, width, _ = decode(file, manifest.preprocessing.bits).shape
        for _ in range(count + 1):
            begun = time.perf_counter_ns()
            pixels = preprocess(file, manifest.preprocessing)
            decoded = time.perf_counter_ns()
            inference_ms = model.predict(pixels).inference_ms
            ended = time.perf_counter_ns()
            parts["preprocess_ms"].append((decoded - begun) / 1e6)
            parts["postprocess_ms"].append((ended - decoded) / 1e6 - (inference_ms or 0.0))
            parts["whole_ms"].append((ended - begun) / 1e6)
    except EdgetlError:
        return None
    about = f"{file.suffix[1:].lower()}, {width} x {height}"
    return {"picture": about, **{name: times[1:] for name, times in parts.items()}}  # the first finds cold caches


def _own_stdout() -> TextIO:
    """The real stdout for the answers; whatever a runtime prints goes to stderr from now on."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answer(answers: TextIO, content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
