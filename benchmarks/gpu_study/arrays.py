"""The pictures of the study: HAM10000 in the recipe's own split, decoded on the machine that trains."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu_study.lane import Arrays

_SPLITS = ("train", "val", "test")
_Job = tuple[str, int]
"""A picture's file, and the side it is decoded to."""


def read(folder: Path, size: int, device: torch.device, workers: int, most: int | None = None) -> Arrays:
    """`folder` holds the pictures and split.json: {"classes": [...], "train": [[path, class index, group], ...], ...}."""
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    split |= {name: split[name][:most] for name in _SPLITS}
    rows = [row for name in _SPLITS for row in split[name]]
    jobs = [(str(folder / path), size) for path, _, _ in rows]
    images = np.stack(_mapped(_decoded, jobs, workers))
    labels = np.array([label for _, label, _ in rows])
    return _arrays(images, labels, [len(split[name]) for name in _SPLITS], len(split["classes"]), device)


def _arrays(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    counts: Sequence[int],
    classes: int,
    device: torch.device,
) -> Arrays:
    ends = np.cumsum([0, *counts])
    train, val, test = [torch.arange(start, end, device=device) for start, end in itertools.pairwise(ends.tolist())]
    moved = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    return Arrays(*moved, train, val, test, classes)


def _mapped(
    function: Callable[[_Job], npt.NDArray[np.uint8]], jobs: Sequence[_Job], workers: int
) -> list[npt.NDArray[np.uint8]]:
    if workers < 2:
        return [function(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return list(pool.map(function, jobs, chunksize=64))


def _decoded(job: _Job) -> npt.NDArray[np.uint8]:
    from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

    path, size = job
    return preprocess(Path(path), Preprocessing(Resize("crop", "bilinear", size, size)))
