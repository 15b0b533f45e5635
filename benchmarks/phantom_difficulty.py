"""How hard the skin phantom is: a small network from scratch, tested on lesions it has not seen.

    python -m benchmarks.phantom_difficulty --seeds 0 1

A plain training loop on purpose: it measures the data set and none of edgetl's training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.data import phantom
from edgetl.models import torchvision_shim

torchvision_shim.ensure()
import timm  # noqa: E402, the shim has to come first

RESULT = Path(__file__).parent / "results" / "phantom_difficulty.json"
RENDERED = 160  # pixels; scaled down to the network's input


@dataclass(frozen=True)
class Half:
    """Images uint8 [N, 3, H, W], class indices int64 [N] and lesions of one half of the split."""

    images: torch.Tensor
    labels: torch.Tensor
    lesions: set[str]


def halves(train: int, test: int, size: int, seed: int) -> tuple[Half, Half]:
    """The first `train` images, and `test` further ones of other lesions."""
    shots = [phantom.render_image(seed, index, RENDERED) for index in range(train + test)]
    first = shots[:train]
    seen = {shot.lesion for shot in first}
    return _half(first, size), _half([shot for shot in shots[train:] if shot.lesion not in seen], size)


def _half(shots: list[phantom.Rendered], size: int) -> Half:
    small = [cv2.resize(shot.image, (size, size), interpolation=cv2.INTER_AREA) for shot in shots]
    images: NDArray[np.uint8] = np.stack(small).transpose(0, 3, 1, 2)
    labels = torch.tensor([phantom.CLASSES.index(shot.label) for shot in shots])
    return Half(torch.from_numpy(np.ascontiguousarray(images)), labels, {shot.lesion for shot in shots})


def train(network: torch.nn.Module, half: Half, epochs: int, batch: int) -> None:
    """AdamW, one cycle, flips and quarter turns, classes weighted by the root of their rarity."""
    steps = len(half.labels) // batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps * epochs, pct_start=0.25)
    counts = torch.bincount(half.labels, minlength=len(phantom.CLASSES)).float()
    loss_of = torch.nn.CrossEntropyLoss(weight=(counts.mean() / counts).sqrt(), label_smoothing=0.05)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(half.labels))
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            images = _turned(_scaled(half.images[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss_of(network(images), half.labels[rows]).backward()
            optimizer.step()
            schedule.step()


def _scaled(images: torch.Tensor) -> torch.Tensor:
    return ((images.float() - 128) / 128).contiguous(memory_format=torch.channels_last)


def _turned(images: torch.Tensor) -> torch.Tensor:
    turns, flip = int(torch.randint(4, ())), bool(torch.randint(2, ()))
    return torch.rot90(images.flip(3) if flip else images, turns, (2, 3)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def confusion(network: torch.nn.Module, half: Half) -> NDArray[np.int64]:
    """Counts [C, C]: true class in rows, predicted in columns."""
    network.eval()
    found = torch.cat([network(_scaled(part)).argmax(1) for part in torch.split(half.images, 128)])
    counts = np.zeros((len(phantom.CLASSES),) * 2, np.int64)
    np.add.at(counts, (half.labels.numpy(), found.numpy()), 1)
    return counts


def main() -> None:
    """Train once per seed; the result file grows with each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backbone", default="mobilenetv3_small_100")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--train", type=int, default=1200)
    arguments.add_argument("--test", type=int, default=600)
    arguments.add_argument("--epochs", type=int, default=12)
    options = arguments.parse_args()
    runs: list[dict[str, Any]] = []
    for seed in options.seeds:
        torch.manual_seed(seed)
        learn, judge = halves(options.train, options.test, options.size, seed)
        assert not learn.lesions & judge.lesions
        network = timm.create_model(options.backbone, num_classes=len(phantom.CLASSES))
        network = network.to(memory_format=torch.channels_last)
        started = time.perf_counter()
        train(network, learn, options.epochs, 32)
        counts = confusion(network, judge)
        recall = counts.diagonal() / counts.sum(1)
        runs.append(
            {
                "seed": seed,
                "balanced_accuracy": round(float(recall.mean()), 4),
                "recall": dict(zip(phantom.CLASSES, recall.round(3).tolist(), strict=True)),
                "confusion": counts.tolist(),
                "test_images": len(judge.labels),
                "test_lesions": len(judge.lesions),
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
        print(json.dumps(runs[-1]), flush=True)
        _store(vars(options), runs)  # after every seed: a stop loses one


def _store(options: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    scores = [run["balanced_accuracy"] for run in runs]
    summary = {"mean": round(float(np.mean(scores)), 4), "low": min(scores), "high": max(scores)}
    result = {
        **provenance("benchmarks.phantom_difficulty"),
        "phantom": phantom.VERSION,
        **options,
        "balanced_accuracy": summary,
        "runs": runs,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    spread = result["balanced_accuracy"]
    rows = [[str(run["seed"]), f"{run['balanced_accuracy']:.3f}"] for run in result["runs"]]
    return "\n".join(
        [
            "## How hard the phantom is\n",
            made_by(result),
            f"{result['backbone']} from scratch with a plain loop at {result['size']} px: {result['train']:,} training images, "
            f"{result['epochs']} epochs, tested on {result['test']:,} images of other lesions: balanced accuracy "
            f"{spread['mean']:.3f} (seeds from {spread['low']:.3f} to {spread['high']:.3f}).\n",
            table(["seed", "balanced accuracy"], rows),
        ]
    )


if __name__ == "__main__":
    main()
