"""A training of seconds, and a command that runs it: `python tiny_training.py CHECKPOINTS [PROBLEM]`, also under torchrun."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgetl.config.training import Training
from edgetl.console.progress import Silent
from edgetl.errors import EdgetlError
from edgetl.training import checkpoint_schedule
from edgetl.training.batches import TrainingData
from edgetl.training.loop import Fit, fit

SIZE = 32
SETTINGS = Training(epochs=4, batch_size=32, learning_rate=5e-3, ema=0.9)
STEPS = 5
"""Of an epoch."""


def tiny_data(images: int = 240, augmented: bool = True) -> TrainingData:
    """Three kinds of colour checkerboards under noise, unequally frequent."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.arange(3), generator.choice(3, images - 6, p=(0.6, 0.25, 0.15)), np.arange(3)])
    patterns = np.kron(generator.integers(0, 256, (3, 4, 4, 3)), np.ones((1, 8, 8, 1)))
    noise = generator.normal(80, 50, (images, SIZE, SIZE, 3))
    pictures = np.clip(0.5 * patterns[labels] + noise, 0, 255).astype(np.uint8)
    cut = images * 2 // 3
    return TrainingData(
        pictures,
        labels.astype(np.int64),
        np.arange(cut),
        np.arange(cut, images),
        3,
        _mirrored if augmented else None,
        names=lambda row: f"pictures/{row:04d}.png",
    )


def _mirrored(image: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
    return image[:, ::-1] if np.random.default_rng((seed, epoch, index)).random() < 0.5 else image


def tiny_network(seed: int = 0, norm: bool = True) -> nn.Module:
    """Small, but with all that a run must keep track of: BatchNorm, depthwise convolutions, dropout.

    Without `norm` it computes each image by itself: no BatchNorm, no dropout.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16) if norm else nn.Identity(),
            nn.Hardswish(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16) if norm else nn.Identity(),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.1 if norm else 0.0),
            nn.Linear(256, 3),
        )


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks have the same bits."""
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def train(network: nn.Module, checkpoints: Path, progress: Silent | None = None, settings: Training = SETTINGS) -> Fit:
    """The tiny data on one network, with the seed that all these tests have."""
    return fit(network, tiny_data(), settings, seed=1, checkpoints=checkpoints, progress=progress or Silent())


class OutOfMemoryOn(nn.Module):
    """Asks for more memory than there are addresses, where `wanted`."""

    def __init__(self, network: nn.Module, wanted: bool) -> None:
        super().__init__()
        self.network, self._wanted = network, wanted

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self._wanted:
            torch.empty(2**50)
        output: torch.Tensor = self.network(image)
        return output


class _Telling(Silent):
    """Prints every step, and takes its time, for somebody who wants to kill it in the middle."""

    def advance(self, label: str, done: int, total: int) -> None:
        print(f"step {done}", flush=True)
        time.sleep(0.1)


def _together(folder: Path) -> None:
    """One of several processes: a training, and one in which the second process has no memory."""
    import os

    network, rank = tiny_network(norm=False), os.environ["RANK"]
    train(network, folder / "fit")
    torch.save(network.state_dict(), folder / f"{rank}.pt")
    try:
        train(OutOfMemoryOn(tiny_network(), rank == "1"), folder / "fault")
    except EdgetlError as exc:
        (folder / f"{rank}.txt").write_text(f"{exc.exit_code} {exc}", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    if sys.argv[2] == "together":
        _together(place)
    else:
        checkpoint_schedule.SAVE_SECONDS, checkpoint_schedule._LARGEST_SHARE = 0.0, 1e9
        train(tiny_network(), place, _Telling())
