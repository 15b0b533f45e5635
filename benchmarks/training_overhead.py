"""What edgetl's training loop costs over a bare PyTorch loop, and how long it waits for data.

    python -m benchmarks.training_overhead

Both train mobilenetv3_small_100 on the same phantom pictures, at 128 pixels in batches of 64, with AdamW and the same
memory allocator. Each round runs one epoch of each in fresh processes, one after the other, in alternating order, and a
ratio divides the two of one round. Validation is not counted: the bare loop has none. Wall time is the answer;
processor time stands beside it, because other work on the machine disturbs it less.

plain: no average of the weights, no augmentation, as in the bare loop; full: with both, as recipes have it. The wait is
the share of a full epoch for which the loop stood without a batch, in epochs after the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by
from benchmarks.provenance import provenance

RESULT = Path(__file__).parent / "results" / "training_overhead.json"
_SIZE, _BATCH, _BATCHES, _CLASSES = 128, 64, 20, 7
_KINDS = ("bare", "plain", "full")
_EPOCHS = 3
"""The first one warms up."""


def pictures(folder: Path) -> None:
    """Phantom pictures with their labels, once for all processes: images.npy and labels.npy."""
    import numpy as np

    from edgetl.data import phantom

    count = _BATCH * _BATCHES + 2 * _CLASSES
    rendered = [phantom.render_image(7, index, _SIZE) for index in range(count)]
    np.save(folder / "images.npy", np.stack([one.image for one in rendered]))
    np.save(folder / "labels.npy", np.arange(count, dtype=np.int64) % _CLASSES)


def bare(folder: Path) -> dict[str, float]:
    """What somebody would write without edgetl: seconds of the last epochs, wall and processor."""
    import numpy as np
    import torch

    from edgetl.models import backbones
    from edgetl.training.allocator import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(0)
    network = backbones.create("mobilenetv3_small_100", _CLASSES, "none")[0]
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch 2.13's stubs lack this form
    network.train()
    images, labels = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    wall = processor = 0.0
    for epoch in range(_EPOCHS):
        if epoch == 1:
            wall, processor = time.perf_counter(), time.process_time()
        order = np.random.default_rng(epoch).permutation(_BATCH * _BATCHES)
        for rows in order.reshape(-1, _BATCH):
            batch = (torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() - 128) / 128
            loss = torch.nn.functional.cross_entropy(network(batch), torch.from_numpy(labels[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def ours(folder: Path, full: bool) -> dict[str, float]:
    """edgetl's `fit` on the same: seconds of the last epochs' steps, and of them without a batch."""
    import numpy as np
    import torch

    from edgetl.config.training import Training
    from edgetl.console.progress import Silent
    from edgetl.data.augment import Augment
    from edgetl.models import backbones
    from edgetl.training import run as running
    from edgetl.training.batches import TrainingData
    from edgetl.training.loop import fit

    torch.manual_seed(0)
    network = backbones.create("mobilenetv3_small_100", _CLASSES, "none")[0]
    images, labels = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    cut = _BATCH * _BATCHES
    augment = Augment(_SIZE) if full else None
    data = TrainingData(images, labels, np.arange(cut), np.arange(cut, len(labels)), _CLASSES, augment)
    settings = Training(epochs=_EPOCHS, batch_size=_BATCH, ema=0.99 if full else 0.0, imbalance="none")
    spent: list[tuple[float, float]] = []
    train = running.Run._train

    def timed(*arguments: Any) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        train(*arguments)
        spent.append((time.perf_counter() - wall, time.process_time() - processor))

    running.Run._train = timed  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as checkpoints:
        done = fit(network, data, settings, seed=0, checkpoints=Path(checkpoints), progress=Silent())
    return {
        "wall": sum(wall for wall, _ in spent[1:]),
        "processor": sum(processor for _, processor in spent[1:]),
        "waited": sum(epoch["data_wait_seconds"] for epoch in done.history[1:]),
    }


def main() -> None:
    """Measure all, interleaved, and write the result file."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--worker", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    parsed = arguments.parse_args()
    if parsed.worker:
        kind, place = parsed.worker[0], Path(parsed.worker[1])
        print(json.dumps(bare(place) if kind == "bare" else ours(place, kind == "full")))
        return
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder))
        for number in range(parsed.rounds):
            order = _KINDS if number % 2 else _KINDS[::-1]
            rounds.append({kind: _in_a_process(kind, folder) for kind in order})
    result = {
        **provenance("benchmarks.training_overhead"),
        "settings": {"image_size": _SIZE, "batch_size": _BATCH, "batches": _BATCHES, "epochs": _EPOCHS - 1},
        "images_per_second": {
            kind: _BATCH * _BATCHES * (_EPOCHS - 1) / statistics.median(one[kind]["wall"] for one in rounds)
            for kind in _KINDS
        },
        "overhead": {
            kind: {
                clock: _spread([one[kind][clock] / one["bare"][clock] - 1 for one in rounds])
                for clock in ("wall", "processor")
            }
            for kind in _KINDS[1:]
        },
        "data_wait": _spread([one["full"]["waited"] / one["full"]["wall"] for one in rounds]),
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""

    def shown(spread: Mapping[str, float]) -> str:
        return f"{spread['median']:+.1%} ({spread['low']:+.1%} to {spread['high']:+.1%})"

    lines = ["| | images/s | wall time over the bare loop | processor time |", "|---|---|---|---|"]
    rate = result["images_per_second"]
    lines.append(f"| bare PyTorch loop | {rate['bare']:.0f} | | |")
    for kind, name in (("plain", "`fit`, nothing switched on"), ("full", "`fit` with EMA and augmentation")):
        over = result["overhead"][kind]
        lines.append(f"| {name} | {rate[kind]:.0f} | {shown(over['wall'])} | {shown(over['processor'])} |")
    wait = result["data_wait"]
    return "\n".join(
        [
            "## What training costs over a bare PyTorch loop\n",
            made_by(result),
            *lines,
            "",
            f"Share of an epoch spent waiting for data, with augmentation: {wait['median']:.2%} "
            f"({wait['low']:.2%} to {wait['high']:.2%}). Median and range of {len(result['rounds'])} rounds.\n",
        ]
    )


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _in_a_process(kind: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training_overhead", "--worker", kind, folder]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


if __name__ == "__main__":
    main()
