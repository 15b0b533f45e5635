"""What is trained: a program for each cell, as a generator that the scheduler drives; `Bank` is what they share."""

from __future__ import annotations

import copy
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.gpu_study.augment import STANDARD
from benchmarks.gpu_study.lane import Arrays, Lane, Settings, laid_out, with_teachers
from edgetl.models import backbones, prune, spec
from edgetl.training.schedules import cooled, warmup_cosine

Program = Callable[["Bank"], Iterator[bool | None]]
_TRIAL = 10
_FULL = 100
_LADDER = (15, 30, 60, 100)
_COOLDOWN = 0.2
_TAR_BYTES = 15 * 2**20
STUDENT = Settings()
TEACHER = Settings(learning_rate=7e-4, weight_decay=0.02, mixup=0.2)


class Bank:
    """Data, what cells have learned so far, and their results."""

    def __init__(self, ham: Arrays, out: Path) -> None:
        self.ham, self.out = ham, out
        self.networks: dict[str, nn.Module] = {}
        self.kept: list[str] = []
        self.logits: dict[str, Tensor] = {}
        self.cells: dict[str, dict[str, Any]] = {}
        self.failed: set[str] = set()
        self.images = 0
        self.scale, self.seconds = 1.0, 0.0
        self.began = time.monotonic()
        self.pool = ProcessPoolExecutor(4, mp_context=get_context("spawn"))

    def epochs(self, wanted: int) -> int:
        return max(1, round(wanted * self.scale))

    def record(self, name: str, lane: Lane, keep: bool = False, **about: Any) -> nn.Module:
        """Note what the averaged network says about validation and test."""
        network = lane.judged()
        for split, rows in (("val", lane.data.val), ("test", lane.data.test)):
            self.logits[f"{name}_{split}"] = lane.logits(network, rows)
        self.networks[name] = network
        self.cells[name] = {"epochs": lane.epoch, "seed": lane.seed, "at": time.monotonic() - self.began, **about}
        if keep:
            self.kept.append(name)
        return network

    def wait(self, *names: str) -> Iterator[bool | None]:
        """Until these cells are there."""
        while not all(name in self.networks for name in names):
            if self.failed:
                needed = {name for name in names if name not in self.networks}
                if needed & self.failed:
                    raise RuntimeError(f"{needed} failed")
            yield None

    def train(self, lane: Lane, epochs: int, factor: Callable[[int], float], small: int = 0) -> Iterator[bool | None]:
        for ready in lane.train(epochs, factor, small):
            self.images += lane.settings.batch * bool(ready)
            yield ready

    def save(self) -> None:
        """Write what is there."""
        self.out.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name: logits.float().cpu().numpy() for name, logits in self.logits.items()}
        for split in ("val", "test"):
            arrays[f"labels_{split}"] = self.ham.labels[getattr(self.ham, split)].cpu().numpy()
        np.savez_compressed(self.out / "logits.npz", **arrays)
        (self.out / "cells.json").write_text(json.dumps(self.summary()), encoding="utf-8")

    def save_networks(self) -> None:
        """Write the networks to keep, in half precision."""
        number, room = 0, 0
        archive = None
        for name in self.kept:
            with tempfile.TemporaryDirectory() as folder:
                network = _plain(self.networks[name])
                spec.save(network, Path(folder))
                _halve(Path(folder))
                size = sum(file.stat().st_size for file in Path(folder).iterdir())
                if archive is None or room < size:
                    if archive is not None:
                        archive.close()
                    number, room = number + 1, _TAR_BYTES
                    archive = tarfile.open(  # noqa: SIM115 - open until it is full
                        self.out / f"networks-{number}.tar", "w"
                    )
                archive.add(folder, name)
                room -= size + 4096
        if archive is not None:
            archive.close()

    def summary(self) -> dict[str, Any]:
        card = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        about = {"card": card, "torch": torch.__version__, "seconds": self.seconds, "images": self.images}
        return {**about, "cells": self.cells, "failed": sorted(self.failed)}


def _plain(network: nn.Module) -> nn.Module:
    return laid_out(copy.deepcopy(network), torch.device("cpu"), torch.contiguous_format)


def _halve(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        save_file(
            {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}, path
        )


def _cosine(lane: Lane, epochs: int) -> Callable[[int], float]:
    return lambda step: warmup_cosine(step, epochs * lane.steps, lane.steps)


def _constant(lane: Lane, done: int) -> Callable[[int], float]:
    """After the warm-up of one epoch; `done` epochs are over."""
    return lambda step: min(1.0, (done * lane.steps + step + 1) / lane.steps)


def _cooldown(lane: Lane, epochs: int) -> Callable[[int], float]:
    return lambda step: cooled(step, epochs * lane.steps)


def _student(
    seed: int, backbone: str = "mobilenetv3_large_100", weights: str = "none", attention: str | None = "coord"
) -> nn.Module:
    torch.manual_seed(seed)
    return backbones.create(backbone, 7, weights, attention, None)[0]


def _lite0(seed: int) -> nn.Module:
    return _student(seed, "tf_efficientnet_lite0", "package", None)


def teacher(bank: Bank, seed: int, name: str = "", changes: dict[str, Any] | None = None) -> Iterator[bool | None]:
    lane = Lane(_lite0(seed), bank.ham, replace(TEACHER, **(changes or {})), seed)
    epochs = bank.epochs(25)
    yield from bank.train(lane, epochs, _cosine(lane, epochs))
    bank.record(name or f"teacher{seed}", lane, keep=seed == 0 and not name)


def ladder(bank: Bank, name: str, settings: Settings, taught: bool) -> Iterator[bool | None]:
    """A trunk at a constant rate; each length branches off with a cooldown of a fifth, 1 - sqrt (Hägele et al., 2024)."""
    if taught:
        yield from bank.wait("teacher0")
        settings = with_teachers(settings, [bank.networks["teacher0"]], weight=1.0)
    lane = Lane(_student(0), bank.ham, settings, 0)
    done = 0
    for length in _LADDER:
        length = bank.epochs(length)
        cooldown = max(1, round(length * _COOLDOWN))
        more = max(0, length - cooldown - done)
        yield from bank.train(lane, more, _constant(lane, done))
        done += more
        state, epoch, updates = lane.state(), lane.epoch, lane.updates
        yield from bank.train(lane, cooldown, _cooldown(lane, cooldown))
        bank.record(f"{name}_{length}", lane)
        with lane.on_stream():
            lane.restore(state)
        lane.epoch, lane.updates = epoch, updates


def student(
    bank: Bank, name: str, seed: int, changes: dict[str, Any], teachers: tuple[str, ...] = ("teacher0",), small: float = 0.0,
    keep: bool = False, epochs: int = _FULL, lite: bool = False,
) -> Iterator[bool | None]:  # fmt: skip
    yield from bank.wait(*teachers)
    base = replace(STUDENT, learning_rate=7e-4, weight_decay=0.02) if lite else STUDENT
    settings = with_teachers(base, [bank.networks[each] for each in teachers], **({"weight": 1.0} | changes))
    lane = Lane(_lite0(seed + 10) if lite else _student(seed), bank.ham, settings, seed)
    epochs = bank.epochs(epochs)
    yield from bank.train(lane, epochs, _cosine(lane, epochs), round(small * epochs))
    bank.record(name, lane, keep=keep)


def _pruned(folder: str, share: float, size: int) -> None:
    network = spec.load(Path(folder))
    prune.prune_to_macs(network, size, share)
    out = Path(folder) / "pruned"
    out.mkdir()
    spec.save(network, out)


def _prune(bank: Bank, network: nn.Module, share: float) -> Generator[bool | None, None, nn.Module]:
    folder = tempfile.mkdtemp()
    spec.save(_plain(network), Path(folder))
    future: Future[None] = bank.pool.submit(_pruned, folder, share, 128)
    while not future.done():
        yield None
    future.result()
    return spec.load(Path(folder) / "pruned")


def trial(bank: Bank, seed: int) -> Iterator[bool | None]:
    yield from student(bank, f"trial{seed}", seed, {}, epochs=_TRIAL)


def pruned(
    bank: Bank, name: str, source: str, share: float, seed: int = 0, keep: bool = False
) -> Iterator[bool | None]:
    """Prune the network of another cell, a trial or a finished student, then train it to the end with its teacher."""
    yield from bank.wait(source, "teacher0")
    network = yield from _prune(bank, bank.networks[source], share)
    settings = with_teachers(STUDENT, [bank.networks["teacher0"]], weight=1.0)
    lane = Lane(network, bank.ham, settings, seed)
    epochs = bank.epochs(_FULL)
    yield from bank.train(lane, epochs, _cosine(lane, epochs))
    bank.record(name, lane, keep=keep, macs=share)


_KD = {"loss": "kd", "temperature": 1.0, "weight": 2.0, "mixup": 0.3}
_THREE = ("teacher0", "teacher1", "teacher2")

_WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "alone": ({"weight": 0.0}, ()),
    "dist": ({}, ("teacher0",)),
    "dkd": ({"loss": "dkd"}, ("teacher0",)),
    "kd3": ({"loss": "kd", "temperature": 1.0, "weight": 2.0}, _THREE),
    "hints": ({"hints": 1.0}, ("teacher0",)),
}
"""What a teacher can say: the study behind `distil`; `hints` is `dist` with them."""

PROGRAMS: dict[str, Program] = {
    "teacher0": partial(teacher, seed=0),
    "teacher1": partial(teacher, seed=1),
    "teacher2": partial(teacher, seed=2),
    "trial0": partial(trial, seed=0),
    "main0": partial(student, name="main0", seed=0, changes={}, keep=True),
    "early60_0": partial(pruned, name="early60_0", source="trial0", seed=0, share=0.6, keep=True),
    "accurate3": partial(
        student, name="accurate3", seed=0, changes=_KD, teachers=_THREE, epochs=50, lite=True, keep=True
    ),
    "early40_0": partial(pruned, name="early40_0", source="trial0", seed=0, share=0.4, keep=True),
    "strong": partial(ladder, name="strong", settings=STUDENT, taught=False),
    "main1": partial(student, name="main1", seed=1, changes={}, keep=True),
    "small0": partial(student, name="small0", seed=0, changes={}, small=0.5),
    "distilled": partial(ladder, name="distilled", settings=STUDENT, taught=True),
    "trial1": partial(trial, seed=1),
    "early60_1": partial(pruned, name="early60_1", source="trial1", seed=1, share=0.6, keep=True),
    "mild": partial(ladder, name="mild", settings=replace(STUDENT, strength=STANDARD), taught=False),
    "accurate1": partial(student, name="accurate1", seed=0, changes=_KD, epochs=50, lite=True),
    "late60_0": partial(pruned, name="late60_0", source="main0", share=0.6),
    "mixup0": partial(student, name="mixup0", seed=0, changes={"mixup": 0.2}),
    "small1": partial(student, name="small1", seed=1, changes={}, small=0.5),
    "early40_1": partial(pruned, name="early40_1", source="trial1", seed=1, share=0.4),
    "kd0": partial(student, name="kd0", seed=0, changes=_KD),
    "late40_0": partial(pruned, name="late40_0", source="main0", share=0.4),
    "accurate3_1": partial(student, name="accurate3_1", seed=1, changes=_KD, teachers=_THREE, epochs=50, lite=True),
    "accurate_dist": partial(student, name="accurate_dist", seed=0, changes={}, teachers=_THREE, epochs=50, lite=True),
    **{
        name: partial(student, name=name, seed=seed, changes=changes, teachers=teachers, epochs=epochs, lite=lite)
        for seed, lite, epochs in ((0, False, 60), (0, True, 25), (1, True, 25), (1, False, 60))
        for how, (changes, teachers) in _WAYS.items()
        for name in [f"{'lite0' if lite else 'main'}_{how}_{seed}"]
    },
    "small80_0": partial(student, name="small80_0", seed=0, changes={}, small=0.8),
}
"""By name, the most wanted first."""
