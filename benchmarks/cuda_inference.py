"""Inference of a build's networks in PyTorch on a GPU, as `cuda_host` measures it: a process each, interleaved, quick.

    python -m benchmarks.cuda_inference --network FOLDER [--network NAME=FOLDER]... --size 128 [--write FILE]

FOLDER holds architecture.json and model.safetensors, as `edgetl.models.spec` writes them: `network/` of a stage in the store.
Prints JSON. Needs torch, timm, safetensors and numpy, nothing else of edgetl's packages; `--device cpu` runs it without a GPU.
A way that does not work there costs its own row, which says why.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from edgetl.devices.pytorch import worker as pytorch
from edgetl.devices.pytorch.ways import MODES, PRECISIONS, Way
from edgetl.errors import WorkerError
from edgetl.runtime.measuring import EFFORTS, measure
from edgetl.runtime.subjects import Failure
from edgetl.runtime.workers import Command, Process

_LOADED_TOGETHER = ("load_ms", "first_ms", "cold_ms", "spawns")
"""The processes load beside each other, which says nothing of one alone."""


def main() -> None:
    """Measure every way that works, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", required=True, metavar="[NAME=]FOLDER")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--precision", choices=PRECISIONS, action="append")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--at-once", type=int, default=8, help="processes that load beside each other")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", type=Path)
    parsed = parser.parse_args()
    grid = itertools.product(
        parsed.batch or (1, 64), parsed.precision or ("fp32", "tf32", "fp16", "bf16"), parsed.mode or ("eager", "graph")
    )
    ways = [Way(parsed.device, precision, mode, batch) for batch, precision, mode in grid]
    networks = dict(_named(given) for given in parsed.network)
    plan = [
        (name, pytorch.worker(f"{name} {way.name}", 1, folder, parsed.size, way))
        for name, folder in networks.items()
        for way in ways
    ]
    found = {"command": " ".join(["python -m benchmarks.cuda_inference", *sys.argv[1:]]), **_machine(parsed.device)}
    with ExitStack() as stack:
        started, refused = _started([worker for _, worker in plan], stack, parsed.at_once)
        names = {worker.name: name for name, worker in plan}
        # No cold starts: each would take PyTorch's ten seconds again. What is noisy says so and is not repeated.
        effort = replace(EFFORTS["full" if parsed.full else "quick"], attempts=1, spawns=1)
        measured = measure(started, "full" if parsed.full else "quick", advance=_say, effort=effort)
    rows = []
    for result in measured:
        if isinstance(result, Failure):
            refused[result.name] = result.reason
            continue
        row = {
            "network": names[result.name],
            **result.to_json(),
            "images_per_second": 1e3 * result.batch / result.p50_ms,
        }
        rows.append({key: value for key, value in row.items() if key not in _LOADED_TOGETHER})
    text = json.dumps({**found, "size": parsed.size, "rows": rows, "refused": refused}, indent=1)
    print(text)
    if parsed.write:
        parsed.write.write_text(text + "\n")


def _named(given: str) -> tuple[str, Path]:
    name, _, folder = given.rpartition("=")
    path = Path(folder)
    return name or path.parent.name or "network", path


@dataclass(frozen=True)
class Started:
    """A worker that runs already."""

    name: str
    threads: int
    batch: int
    running: Process
    said: dict[str, Any]

    def start(self) -> AbstractContextManager[Started]:
        """It does."""
        return nullcontext(self)

    def ready(self) -> dict[str, Any]:
        """What it said."""
        return dict(self.said)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.running, name)


def _started(plan: Sequence[Command], stack: ExitStack, at_once: int) -> tuple[list[Started], dict[str, str]]:
    """Those that load and run, several at once, since PyTorch takes ten seconds for it; and why the others do not."""

    def start(worker: Command) -> Started | str:
        running = stack.enter_context(worker.start())
        try:
            said = running.ready()
            running.run(1)
        except WorkerError as exc:
            return exc.message
        _say(worker.name, 1, 1)
        return Started(worker.name, worker.threads, worker.batch, running, said)

    with ThreadPoolExecutor(at_once) as pool:
        outcomes = dict(zip((worker.name for worker in plan), pool.map(start, plan), strict=True))
    refused = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, str)}
    return [outcome for outcome in outcomes.values() if isinstance(outcome, Started)], refused


def _machine(device: str) -> dict[str, Any]:
    import torch

    card = torch.cuda.get_device_name(device) if device != "cpu" and torch.cuda.is_available() else "the CPU"
    driver = (
        subprocess.run(
            [
                "nvidia-smi",
                "--query-gpu=driver_version,clocks.sm,temperature.gpu,utilization.gpu",
                "--format=csv,noheader",
            ],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        if card != "the CPU"
        else ""
    )
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    return {"card": card, "driver, clock, temperature, use": driver, **versions, "system": platform.platform()}


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [
        (
            row["name"],
            f"{row['p50_ms']:.2f}",
            f"{row['p90_ms']:.2f}",
            f"{row['images_per_second']:,.0f}",
            "noisy" if row["noisy"] else "",
        )
        for row in result["rows"]
    ]
    head = ("network", "p50, ms", "p90, ms", "images/s", "")
    return "\n".join(
        [
            "## Inference on a CUDA host\n",
            f"`{result['command']}` at {result['commit']}, {result['card']}, PyTorch {result['torch']}: as a target of kind "
            "`cuda_host` measures a build's networks, interleaved, quick mode; the host's time of a batch of uint8 pictures "
            f"with both copies, at {result['size']} px. MobileNetV3-L with coordinate attention and EfficientNet-Lite0, "
            "untrained: times do not depend on weights. ONNX Runtime's CUDA and TensorRT providers were not run.\n",
            table(head, rows),
        ]
    )


def _say(what: str, done: int, total: int) -> None:
    print(f"{what} {done}/{total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
