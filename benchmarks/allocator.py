"""What `edgetl.training.allocator` brings: training steps per second with and without it.

    python -m benchmarks.allocator

Each round runs both in fresh processes, one after the other, in alternating order; a ratio divides the two of one round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance

RESULT = Path(__file__).parent / "results" / "allocator.json"
_BACKBONES = ("tf_efficientnet_lite0", "mobilenetv3_large_100")
_SIZE, _BATCH, _WARM_UP, _STEPS = 128, 64, 3, 12


def steps_per_second(backbone: str, keep: bool) -> float:
    """Of forward, backward and AdamW, in this process."""
    import torch

    from edgetl.models import backbones
    from edgetl.training.allocator import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.manual_seed(0)
    network, _ = backbones.create(backbone, 7)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch 2.13's stubs lack this form
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    images = torch.randn(_BATCH, 3, _SIZE, _SIZE).to(memory_format=torch.channels_last)
    labels = torch.arange(_BATCH) % 7
    started = 0.0
    for step in range(_WARM_UP + _STEPS):
        if step == _WARM_UP:
            started = time.perf_counter()
        torch.nn.functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return _STEPS / (time.perf_counter() - started)


def main() -> None:
    """Measure both, interleaved, and write the result file."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--worker", nargs=2, metavar=("BACKBONE", "KEEP"))
    parsed = arguments.parse_args()
    if parsed.worker:
        print(steps_per_second(parsed.worker[0], parsed.worker[1] == "keep"))
        return
    found = {}
    for backbone in _BACKBONES:
        rounds = []
        for number in range(parsed.rounds):
            order = ("keep", "give back") if number % 2 else ("give back", "keep")
            rates = {kind: _in_a_process(backbone, kind) for kind in order}
            rounds.append({**rates, "ratio": rates["keep"] / rates["give back"]})
        ratios = sorted(one["ratio"] for one in rounds)
        found[backbone] = {
            "images_per_second": {kind: _BATCH * statistics.median(one[kind] for one in rounds) for kind in rates},
            "ratio": {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]},
            "rounds": rounds,
        }
    settings = {"image_size": _SIZE, "batch_size": _BATCH, "steps": _STEPS}
    result = {**provenance("benchmarks.allocator"), **settings, "backbones": found}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def _in_a_process(backbone: str, kind: str) -> float:
    command = [sys.executable, "-m", "benchmarks.allocator", "--worker", backbone, kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for backbone, one in result["backbones"].items():
        rates, ratio = one["images_per_second"], one["ratio"]
        spread = f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
        rows.append([backbone, f"{rates['give back']:.0f}", f"{rates['keep']:.0f}", spread])
    head = ["", "images per second, plain", "with freed memory kept", "ratio [smallest, largest round]"]
    return "\n".join(["## What keeping freed memory brings to CPU training\n", made_by(result), table(head, rows)])


if __name__ == "__main__":
    main()
