"""What edgetl.runtime adds to the inference runtime alone: to a process that loads an artefact, and to each call.

    python -m benchmarks.runtime_overhead BUNDLE             measures, and writes benchmarks/results/runtime_overhead.json
    python -m benchmarks.runtime_overhead BUNDLE --rounds 5

Processes with and without edgetl take turns, with bytecode that is cached, as an installed package has it. Calls take turns
too, in either order, on pixels that need no resizing, and a difference is that of two neighbouring calls.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bare import RUN
from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl import runtime
from edgetl.runtime.manifest import Artifact, Manifest

RESULT = Path(__file__).parent / "results" / "runtime_overhead.json"
_SAID = ("milliseconds", "cpu_milliseconds", "mb", "peak_mb")
_NATIVE = {"onnx": "_session", "openvino": "_request", "tflite": "_interpreter"}
"""Where a session of ours keeps the runtime's own."""


def main() -> None:
    """Measure every artefact of a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=15, help="processes of each kind for an artefact")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    manifest = Manifest.load(args.bundle)
    found = {**provenance("benchmarks.runtime_overhead"), "bundle": manifest.name, "artifacts": []}
    found["command"] = found["command"].replace(str(args.bundle), "BUNDLE")
    found["input"] = list(manifest.inputs[0].shape)
    for artifact in manifest.artifacts:
        row = {
            "name": artifact.name,
            "bytes": artifact.bytes,
            "process": _processes(args.bundle, artifact, args.rounds),
            "call": _calls(args.bundle, artifact, args.calls),
        }
        found["artifacts"].append(row)
        print(json.dumps(row), flush=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _processes(bundle: Path, artifact: Artifact, rounds: int) -> dict[str, Any]:
    """Medians of loading alone, and of the differences of neighbours, by what they say."""
    about = (str(bundle), artifact.backend, artifact.path, artifact.name, json.dumps(dict(artifact.runtime_options)))
    pairs = []
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": cache, "ORT_DISABLE_TELEMETRY": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            pairs.append({how: _child([how, *about], environment) for how in ("alone", "edgetl")})
    del pairs[0]  # which compiled
    return {
        said: {
            "alone": statistics.median(pair["alone"][said] for pair in pairs),
            "added": _spread([pair["edgetl"][said] - pair["alone"][said] for pair in pairs]),
        }
        for said in _SAID
    }


def _child(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bare", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def _calls(bundle: Path, artifact: Artifact, calls: int) -> dict[str, Any]:
    """Microseconds of a bare call, and what `predict` takes longer."""
    with runtime.load(bundle, artifact.name) as model:
        # The same session: two of them differ more from each other, by where their weights lie in memory.
        alone = RUN[artifact.backend](getattr(model._session, _NATIVE[artifact.backend]))
        pixels = np.random.default_rng(0).integers(0, 256, model.input_shape, np.uint8)
        image = pixels[None]
        bare, ours = partial(alone, image), partial(model.predict, pixels)
        times: dict[Callable[[], object], list[float]] = {bare: [], ours: []}
        for number in range(calls + calls // 10):
            # The other one first each time: who comes second finds what the first one left in the caches.
            for call in (bare, ours) if number % 2 else (ours, bare):
                begun = time.perf_counter_ns()
                call()
                times[call].append((time.perf_counter_ns() - begun) / 1e3)
    warm = {call: each[calls // 10 :] for call, each in times.items()}
    differences = [one - other for one, other in zip(warm[ours], warm[bare], strict=True)]
    low, median, high = (float(value) for value in np.percentile(differences, [25, 50, 75]))
    return {"alone_us": statistics.median(warm[bare]), "added_us": {"median": median, "low": low, "high": high}}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for row in result["artifacts"]:
        load, work, memory = (row["process"][said] for said in ("milliseconds", "cpu_milliseconds", "mb"))
        rows.append(
            (
                row["name"],
                f"{row['bytes'] / 1e6:.1f}",
                f"{load['alone']:.0f}",
                _added(load["added"]),
                _added(work["added"]),
                f"{memory['alone']:.0f}",
                _added(memory["added"]),
                f"{row['call']['alone_us']:.0f}",
                _added(row["call"]["added_us"], 0),
            )
        )
    head = (
        "",
        "MB",
        "load, ms",
        "added, ms",
        "added, ms of a processor",
        "memory, MB",
        "added, MB",
        "call, µs",
        "added, µs",
    )
    text = (
        "\nWhat `edgetl.runtime` adds to the inference runtime alone, for the bundle of "
        f"`{result['bundle']}` ({result['input'][1]} px), one thread. Load: from the first import after numpy to a model that "
        "is ready, checked against its sha256, in a new process; medians of the differences of neighbouring processes, with "
        "the smallest and the largest; other programs on the machine lengthen the time, but not a processor's work. Call: "
        "`predict` of pixels that need no resizing, against the bare call of the same session; median of the differences of "
        "neighbouring calls, with their middle half.\n"
    )
    return "\n".join(["\n## The device runtime\n", made_by(result), text, table(head, rows)])


def _added(spread: Mapping[str, float], digits: int = 1) -> str:
    median, low, high = (f"{spread[name]:+.{digits}f}" for name in ("median", "low", "high"))
    return f"{median} [{low}, {high}]"


if __name__ == "__main__":
    main()
