"""The pictures of the study: HAM10000 in the recipe's own split, decoded on the machine that trains."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
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


def read(folder: Path, size: int, workers: int, most: int | None = None) -> Arrays:
    """The splits, of each at most `most` pictures, on the CPU.

    `folder` holds the pictures and split.json: {"classes": [...], "train": [[path, class index, group], ...], ...}.
    """
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    split |= {name: split[name][:most] for name in _SPLITS}
    rows = [row for name in _SPLITS for row in split[name]]
    images = np.stack(decoded([str(folder / path) for path, _, _ in rows], size, workers))
    labels = np.array([label for _, label, _ in rows])
    ends = itertools.accumulate((len(split[name]) for name in _SPLITS), initial=0)
    train, val, test = (torch.arange(start, end) for start, end in itertools.pairwise(ends))
    return Arrays(torch.from_numpy(images), torch.from_numpy(labels), train, val, test, len(split["classes"]))


def decoded(paths: Sequence[str], size: int, workers: int) -> list[npt.NDArray[np.uint8]]:
    """The pictures of these files, each uint8 [size, size, 3]."""
    jobs = [(path, size) for path in paths]
    if workers < 2:
        return [_decoded(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return list(pool.map(_decoded, jobs, chunksize=64))


def _decoded(job: _Job) -> npt.NDArray[np.uint8]:
    from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

    path, size = job
    return preprocess(Path(path), Preprocessing(Resize("crop", "bilinear", size, size)))
