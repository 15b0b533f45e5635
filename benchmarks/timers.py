"""Are our times those of other people's timers? One thread, the same files, taking turns.

    python -m benchmarks.timers BUNDLE             measures, and writes benchmarks/results/timers.json
    python -m benchmarks.timers BUNDLE --rounds 5

Each round starts, in random order, a new process of each timer for each file: ours (`python -m edgetl.runtime worker`, with the
options of the bundle), and one that is not ours: OpenVINO's benchmark_app, LiteRT's benchmark_litert_model, and for ONNX
Runtime, which has none for Python, a bare loop around `InferenceSession.run`. A ratio is ours over theirs within one round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bare import OPEN, RUN
from benchmarks.markdown import made_by, ratio, table
from benchmarks.provenance import provenance
from edgetl.runtime import surroundings
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.workers import local_worker

RESULT = Path(__file__).parent / "results" / "timers.json"
BAR = 0.05
_QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
# benchmark_app is the entry point of openvino.tools.benchmark; importing openvino would write an identity into ~/intel.
_OPENVINO = (
    "from edgetl.runtime import telemetry; telemetry.forbid(); from openvino.tools.benchmark.main import main; main()"
)
_TIMERS = {"onnx": "bare loop", "openvino": "benchmark_app", "tflite": "benchmark_litert_model"}


def main() -> None:
    """Measure every artefact of a bundle, or be the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=3.0, help="of timed runs in each process")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--loop", metavar="ARTIFACT", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    manifest = Manifest.load(args.bundle)
    if args.loop:
        print(json.dumps(_loop(args.bundle, manifest.artifact(args.loop), args.runs)))
        return
    found = {**provenance("benchmarks.timers"), "bundle": manifest.name, "input": list(manifest.inputs[0].shape)}
    found["command"] = found["command"].replace(str(args.bundle), "BUNDLE")
    found["before"] = asdict(surroundings.look())
    found |= {"rounds": args.rounds, "artifacts": _rounds(args.bundle, manifest, args.rounds, args.seconds)}
    found["after"] = asdict(surroundings.look())
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _rounds(bundle: Path, manifest: Manifest, rounds: int, seconds: float) -> list[dict[str, Any]]:
    order, artifacts = random.Random(0), {artifact.name: artifact for artifact in manifest.artifacts}
    runs = {}
    for artifact in artifacts.values():
        quick = _ours(bundle, artifact, 30)
        runs[artifact.name] = max(100, round(1000 * seconds / quick))
    heard: dict[str, dict[str, list[float]]] = {name: {"ours": [], "theirs": []} for name in artifacts}
    for number in range(rounds):
        turns = [(name, who) for name in artifacts for who in ("ours", "theirs")]
        for name, who in order.sample(turns, len(turns)):
            timer = _ours if who == "ours" else _THEIRS[artifacts[name].backend]
            heard[name][who].append(timer(bundle, artifacts[name], runs[name]))
        print(
            f"round {number + 1} of {rounds}: {json.dumps({name: _last(both) for name, both in heard.items()})}",
            flush=True,
        )
    return [
        {
            "name": name,
            "timer": _TIMERS[artifacts[name].backend],
            "runs": runs[name],
            "ours_ms": both["ours"],
            "theirs_ms": both["theirs"],
            "ratio": _spread([ours / theirs for ours, theirs in zip(both["ours"], both["theirs"], strict=True)]),
        }
        for name, both in heard.items()
    ]


def _last(both: Mapping[str, list[float]]) -> list[float]:
    return [round(both[who][-1], 3) for who in ("ours", "theirs")]


def _ours(bundle: Path, artifact: Artifact, runs: int) -> float:
    with local_worker(bundle, artifact, 1).start() as running:
        running.ready()
        running.run(1 + runs // 10)
        times = running.run(runs)
        running.quit()
    return statistics.median(times)


def _bare_loop(bundle: Path, artifact: Artifact, runs: int) -> float:
    said = _child(["-m", "benchmarks.timers", str(bundle), "--loop", artifact.name, "--runs", str(runs)])
    return float(json.loads(said))


def _loop(bundle: Path, artifact: Artifact, runs: int) -> float:
    """Median of a loop around the runtime alone, in ms, with the options that our session sets."""
    session = OPEN[artifact.backend](str(bundle / artifact.path), dict(artifact.runtime_options))
    run = RUN[artifact.backend](session)
    shape = Manifest.read(bundle).inputs[0].shape
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    times = []
    for number in range(runs + runs // 10):
        begun = time.perf_counter()
        run(image)
        if number >= runs // 10:
            times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def _benchmark_app(bundle: Path, artifact: Artifact, runs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        hint = artifact.runtime_options.get("INFERENCE_PRECISION_HINT")
        precision = ["-infer_precision", hint] if hint else []
        how = ["-hint", "none", "-nthreads", "1", "-nstreams", "1", "-api", "sync", "-niter", str(runs), *precision]
        report = ["-report_type", "no_counters", "-report_folder", folder, "-json_stats"]
        _child(["-c", _OPENVINO, "-m", str(bundle / artifact.path), *how, *report])
        content = json.loads((Path(folder) / "benchmark_report.json").read_text(encoding="utf-8"))
    return float(content["execution_results"]["latency (ms)"])


def _benchmark_litert_model(bundle: Path, artifact: Artifact, runs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        module = ["-m", "ai_edge_litert.tools.benchmark_litert_model", "--model", str(bundle / artifact.path)]
        how = ["--num_threads", "1", "--num_runs", str(runs), "--warmup_runs", str(runs // 10)]
        _child([*module, *how, "--result_json", str(file)])
        return float(json.loads(file.read_text(encoding="utf-8"))["latency"]["median_ms"])


_THEIRS: dict[str, Callable[[Path, Artifact, int], float]] = {
    "onnx": _bare_loop,
    "openvino": _benchmark_app,
    "tflite": _benchmark_litert_model,
}


def _child(arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=os.environ | _QUIET, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(arguments[:3])}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [
        [
            each["name"],
            each["timer"],
            f"{statistics.median(each['ours_ms']):.3f}",
            f"{statistics.median(each['theirs_ms']):.3f}",
            ratio(each["ratio"], 3),
            "yes" if abs(each["ratio"]["median"] - 1) <= BAR else "**no**",
        ]
        for each in result["artifacts"]
    ]
    text = (
        f"Medians of our worker and of timers that are not ours, for the bundle of `{result['bundle']}` "
        f"({result['input'][1]} px), one thread, the same options; {result['rounds']} rounds, in each a new process of every "
        "timer for every file, in random order. Ratio: ours over theirs within a round. benchmark_app says in hundredths of a "
        "millisecond what OpenVINO takes within a call, without the way there from Python and the copies of picture and "
        "answer, some 0.07 ms that a call of ours has in it.\n"
    )
    head = ["", "their timer", "ours, ms", "theirs, ms", "ratio", "within 5 %"]
    return "\n".join(["\n## Other timers\n", made_by(result), text, table(head, rows)])


if __name__ == "__main__":
    main()
