"""What a training keeps of its speed when another program takes one of its two cores.

    python -m benchmarks.shared_machine

Trains mobilenetv3_large_100 with coordinate attention, as recipes do, for some seconds in a fresh process per cell: alone,
and beside a program that computes without end. spinning is how threads waited before edgetl looked at the load (libgomp's
own default, said by GOMP_SPINCOUNT, which edgetl leaves as it is); following is what edgetl does; one thread is what fewer
threads would bring. A round runs all cells one after the other, in alternating order, and a ratio divides two of one round.
All processes are held on two cores.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, ratio, table
from benchmarks.provenance import provenance
from edgetl.console.progress import Silent

RESULT = Path(__file__).parent / "results" / "shared_machine.json"
_SIZE, _BATCH, _IMAGES, _CLASSES = 128, 32, 512, 7
_WARM_UP, _LEAST_STEPS, _SECONDS = 1, 2, 8.0
_POLICIES = {"spinning": {"GOMP_SPINCOUNT": "300000"}, "following": {}, "one thread": {"OMP_NUM_THREADS": "1"}}
_CELLS = (
    ("spinning", "alone"),
    ("following", "alone"),
    ("spinning", "disturbed"),
    ("following", "disturbed"),
    ("one thread", "disturbed"),
)
_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Enough(Exception):
    """Long enough."""


class _Clock(Silent):
    """Times the steps after the first ones, and ends the training when there are enough."""

    def __init__(self) -> None:
        self.steps = 0
        self.began = self.ended = 0.0
        self.shared = False

    def event(self, kind: str, **fields: Any) -> None:
        """Note that the machine was found to be shared."""
        self.shared |= kind == "shared"

    def advance(self, label: str, done: int, total: int) -> None:
        """Count a step."""
        self.ended = time.perf_counter()
        if done == _WARM_UP:
            self.began = self.ended
        self.steps = done - _WARM_UP
        if self.steps >= _LEAST_STEPS and self.ended - self.began >= _SECONDS:
            raise _Enough


def train() -> dict[str, float | bool]:
    """Images per second of `fit` in this process, and whether it found the machine shared."""
    import numpy as np

    from edgetl.config.training import Training
    from edgetl.data.augment import Augment
    from edgetl.models import backbones
    from edgetl.training.batches import TrainingData
    from edgetl.training.loop import fit

    network = backbones.create("mobilenetv3_large_100", _CLASSES, "none", attention="coord")[0]
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, _SIZE, _SIZE, 3), dtype=np.uint8)
    rows = np.arange(_IMAGES)
    data = TrainingData(images, rows % _CLASSES, np.tile(rows, 20), rows[:_CLASSES], _CLASSES, Augment(_SIZE))
    clock = _Clock()
    with tempfile.TemporaryDirectory() as checkpoints:
        try:
            settings = Training(epochs=1, batch_size=_BATCH)
            fit(network, data, settings, seed=0, checkpoints=Path(checkpoints), progress=clock)
        except _Enough:
            pass
    return {"images_per_second": clock.steps * _BATCH / (clock.ended - clock.began), "shared": clock.shared}


def main() -> None:
    """Measure all cells, interleaved, and write the result file."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parsed = arguments.parse_args()
    if parsed.worker:
        print(json.dumps(train()))
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("two cores are needed")
    about = provenance("benchmarks.shared_machine")
    os.sched_setaffinity(0, cores)
    rounds = []
    for number in range(parsed.rounds):
        order = _CELLS[::-1] if number % 2 else _CELLS
        rounds.append({f"{policy}, {state}": _cell(policy, state) for policy, state in order})
        print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
    result = {
        **about,
        "settings": {"image_size": _SIZE, "batch_size": _BATCH, "seconds": _SECONDS, "cores": len(cores)},
        "images_per_second": {cell: statistics.median(_rate(one, cell) for one in rounds) for cell in rounds[0]},
        "over_spinning_alone": {
            cell: _spread([_rate(one, cell) / _rate(one, "spinning, alone") for one in rounds])
            for cell in rounds[0]
            if cell != "spinning, alone"
        },
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for policy, state in _CELLS:
        cell = f"{policy}, {state}"
        kept = result["over_spinning_alone"].get(cell)
        found = sum(one[cell]["shared"] for one in result["rounds"])
        rate = f"{result['images_per_second'][cell]:.1f}"
        rows.append([policy, state, rate, ratio(kept) if kept else "1", f"{found} of {len(result['rounds'])}"])
    head = ["threads", "machine", "images/s", "over spinning, alone", "rounds found shared"]
    return "\n".join(
        [
            "## What a training keeps beside another program\n",
            made_by(result),
            "Two threads on two cores, but for the last row; disturbed: one other process computes without end.\n",
            table(head, rows),
        ]
    )


def _cell(policy: str, state: str) -> dict[str, Any]:
    """One training in a fresh process."""
    environment = {name: value for name, value in os.environ.items() if name not in _SETTINGS} | _POLICIES[policy]
    command = [sys.executable, "-m", "benchmarks.shared_machine", "--worker"]
    with _disturbance(state == "disturbed"):
        ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@contextmanager
def _disturbance(wanted: bool) -> Iterator[None]:
    """A program that computes while the block runs, if it is wanted."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            yield
        finally:
            busy.kill()


def _rate(one: Mapping[str, Any], cell: str) -> float:
    return float(one[cell]["images_per_second"])


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


if __name__ == "__main__":
    main()
