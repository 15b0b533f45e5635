"""What a GPU host makes of a compact network: training images/s, a recipe from end to end, and inference.

    python -m benchmarks.gpu_host DATA OUT                       everything
    python -m benchmarks.gpu_host DATA OUT --parts training      of: training, inference, recipe, accuracy
    python -m benchmarks.gpu_host DATA OUT --publish             writes OUT's figures down as those of the documentation

DATA is a HAM10000 download; `accuracy` wants a split.json in it, as `gpu_study.arrays` reads. OUT gets gpu_host.json, and what
the recipe's build found. Nothing is fetched: a machine without network needs edgetl's packages up to evaluation, no converter.
The host's steps, the device's and a bare loop (the study's `gpu_study.lane`: pictures and augmentation on the device, the
step a CUDA graph, nothing else) take turns in one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.gpu_study import augment as study_augment
from benchmarks.gpu_study.arrays import decoded, read
from benchmarks.gpu_study.lane import Arrays, Lane, Settings, laid_out
from benchmarks.markdown import interval, made_by, points, table
from benchmarks.pooled import draws
from benchmarks.provenance import provenance
from benchmarks.schedules import differences
from edgetl.config.training import Distil
from edgetl.console.progress import Silent
from edgetl.data.augment import Augment
from edgetl.data.records import Split
from edgetl.data.table import DataTable
from edgetl.evidence.calibration import softmax
from edgetl.models import backbones
from edgetl.training import run as training_run
from edgetl.training.accelerator import make_accelerator
from edgetl.training.batches import TrainingData
from edgetl.training.job import Distillation, Job
from edgetl.training.loop import fit
from edgetl.training.losses import DISTIL_LOSSES

RESULT = Path(__file__).parent / "results" / "gpu_host.json"
_SIZE, _CLASSES, _PICTURES = 128, 7, 4096
_PARTS = ("training", "inference", "recipe", "accuracy")
_EPOCHS, _SEEDS = 15, (0, 1)
"""Of the trainings that are compared for their accuracy."""
_POOLED: tuple[Split, ...] = ("val", "test")
_SHOWN = ("balanced_accuracy", "auroc", "auroc.mel")
_STUDENT = ("mobilenetv3_large_100", "coord")
_TEACHER = ("tf_efficientnet_lite0", None)
_ROOT = Path(__file__).parents[1]
_RECIPE = "recipes/skin_mobile.yaml"
Paced = Callable[[float], float]
"""Train for so many seconds; images/s."""


def main() -> None:
    """Measure, or publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--batch", type=int, nargs="+", default=[128])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", nargs=argparse.REMAINDER, default=[], help="further arguments of `edgetl build`")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    result = args.out / "gpu_host.json"
    if args.publish:
        shutil.copyfile(result, RESULT)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}
    found |= provenance("benchmarks.gpu_host")
    found["card"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    found["torch"] = torch.__version__
    parts: dict[str, Callable[[], Any]] = {
        "training": lambda: _training(args.data, args.batch, args.seconds, args.rounds),
        "recipe": lambda: _recipe(args.data, args.out, args.build),
        "inference": _inference,
        "accuracy": lambda: _accuracy(args.data, args.out),
    }
    for part in args.parts:
        found[part] = parts[part]()
        result.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(part, json.dumps(found[part]), flush=True)


def _network(kind: tuple[str, str | None]) -> nn.Module:
    backbone, attention = kind
    torch.manual_seed(0)
    return backbones.create(backbone, _CLASSES, attention=attention, image_size=_SIZE)[0]


def _training(folder: Path, batches: Sequence[int], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Images/s of each kind of step, by turns."""
    paths = sorted(folder.rglob("*.jpg"))[:_PICTURES]
    images = np.stack(decoded([str(path) for path in paths], _SIZE, os.cpu_count() or 1))
    labels = np.arange(len(images)) % _CLASSES  # what they say does not matter to how long they take
    rows = []
    for batch in batches:
        for taught in (False, True):
            of_host, of_device = (_product(images, labels, batch, taught, on_device) for on_device in (False, True))
            kinds = {"host": _paced(of_host, batch), "device": _paced(of_device, batch)}
            kinds["bare"] = _bare(images, labels, batch, taught)
            for pace in kinds.values():
                pace(3.0)  # sets up
            paces: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(rounds):
                for name, pace in kinds.items():
                    paces[name].append(pace(seconds))
            note = getattr(of_device.steps, "note", "")  # why they were not recorded
            rows.append({"batch": batch, "taught": taught, "images_per_second": paces, "note": note})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def _product(images: Any, labels: Any, batch: int, taught: bool, on_device: bool) -> training_run.Run:
    """A training of edgetl's."""
    rows = np.arange(len(images))
    data = TrainingData(images, labels, rows, rows[:128], _CLASSES, Augment(_SIZE, "strong"))
    distillation = Distillation(_network(_TEACHER), DISTIL_LOSSES["dist"].function(), 1.0, 2.0) if taught else None
    settings = Distil(epochs=100, batch_size=batch)
    job = Job(_network(_STUDENT), data, settings, distillation, 0, "pace")
    with _steps_of(on_device):
        run = training_run.Run(job, make_accelerator("auto"))
    run.state.network.train()
    return run


def _paced(run: training_run.Run, batch: int) -> Paced:
    """edgetl's own steps, as a training takes them."""

    def steps() -> Iterator[Any]:
        for epoch in range(1, 100_000):
            yield from run.steps.epoch(epoch, 0, None, lambda _: 1e-3)

    going = steps()

    def pace(seconds: float) -> float:
        run.steps.settle()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            next(going)
            done += batch
        run.steps.settle()
        return done / (time.perf_counter() - began)

    return pace


def _bare(images: Any, labels: Any, batch: int, taught: bool) -> Paced:
    """The bare loop of the study."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = torch.arange(len(images))
    arrays = Arrays(torch.from_numpy(images), torch.from_numpy(labels), rows, rows[:128], rows[:128], _CLASSES)
    settings = Settings(batch=batch, strength=study_augment.STRONG)
    if taught:
        teacher = laid_out(_network(_TEACHER), device, torch.channels_last).eval().requires_grad_(False)
        settings = replace(settings, weight=1.0, teachers=(teacher,))
    lane = Lane(_network(_STUDENT), arrays.to(device), settings, 0)
    going = lane.train(100_000, lambda _: 0.5)

    def wait() -> None:
        if lane.stream is not None:
            lane.stream.synchronize()

    def pace(seconds: float) -> float:
        wait()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            done += batch * bool(next(going))
        wait()
        return done / (time.perf_counter() - began)

    return pace


def _accuracy(folder: Path, out: Path) -> list[dict[str, Any]]:
    """Validation scores of short trainings by the host's steps and by the device's."""
    arrays = read(folder, _SIZE, min(8, os.cpu_count() or 1))
    train, val = arrays.train.numpy(), arrays.val.numpy()
    augment = Augment(_SIZE, "strong")
    data = TrainingData(arrays.images.numpy(), arrays.labels.numpy(), train, val, arrays.classes, augment)
    found = []
    for seed in _SEEDS:
        for name in ("device", "host"):
            torch.manual_seed(seed)
            network = backbones.create(_STUDENT[0], arrays.classes, attention=_STUDENT[1], image_size=_SIZE)[0]
            with _steps_of(name == "device"):
                checkpoints = out / "checkpoints" / f"{name}{seed}"
                settings = Distil(epochs=_EPOCHS)
                done = fit(network, data, settings, seed=seed, checkpoints=checkpoints, progress=Silent(), label=name)
            found.append({"steps": name, "seed": seed, "seconds": done.seconds, **done.scores})
            print(json.dumps(found[-1]), flush=True)
    return found


@contextmanager
def _steps_of(device: bool) -> Iterator[None]:
    """Trainings in the block take the steps of the device, or those of the host."""
    chosen = training_run._on_device
    training_run._on_device = lambda *_: device
    try:
        yield
    finally:
        training_run._on_device = chosen


def _recipe(data: Path, out: Path, further: Sequence[str]) -> dict[str, Any]:
    """A build up to the evaluation, by the command that a person types."""
    store, began = out / "store", time.monotonic()
    environment = os.environ | {
        "EDGETL_HAM10000": str(data),
        "EDGETL_STORE": str(store),
        "EDGETL_REHEARSAL": "off",  # it ends in the converters, which are not here
    }
    command = [sys.executable, "-m", "edgetl", "build", _RECIPE, "--until", "evaluate", *further]
    with (out / "build.log").open("wb") as log:
        code = subprocess.run(
            command, cwd=_ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode
    minutes = (time.monotonic() - began) / 60
    about = {"command": " ".join(command[2:]), "exit_code": code, "minutes": minutes}
    return about if code else about | evaluated(store)


def evaluated(store: Path) -> dict[str, Any]:
    """What a store's evaluation says: scores on test, and paired differences on validation and test together."""
    (models,) = store.glob("entries/*/models.json")
    table_of = next(path.parent for path in store.glob("entries/*/summary.json"))
    data = DataTable.load(table_of, _POOLED)
    labels = np.concatenate([data.labels(split) for split in _POOLED])
    groups = [group for split in _POOLED for group in data.groups(split)]
    scores = {
        model["name"]: {name: model["metrics"][name] for name in _SHOWN} | {"macs": model["macs"]}
        for model in json.loads(models.read_text(encoding="utf-8"))["models"]
    }
    with np.load(models.parent / "logits.npz") as arrays:
        said = {name: np.concatenate([arrays[f"{name}_{split}"] for split in _POOLED]) for name in scores}
    drawn = {name: draws(softmax(logits), labels, groups, data.classes) for name, logits in said.items()}
    pairs = [
        {"candidate": ours, "reference": theirs, **differences(drawn[ours], drawn[theirs], groups)}
        for ours, theirs in itertools.combinations(reversed(scores), 2)
    ]
    return {"models": scores, "pairs": pairs, "images": len(labels), "groups": len(set(groups))}


def _inference() -> list[dict[str, Any]]:
    """Milliseconds of a batch on the device: launched layer by layer, channels last, compiled, and as a graph."""
    if not torch.cuda.is_available():
        return []
    return [
        {"network": name, "batch": batch, "milliseconds": _ways(kind, batch)}
        for name, kind in (("student", _STUDENT), ("teacher", _TEACHER))
        for batch in (1, 64)
    ]


@torch.inference_mode()
def _ways(kind: tuple[str, str | None], batch: int) -> dict[str, float]:
    images = torch.rand(batch, 3, _SIZE, _SIZE, device="cuda") * 2 - 1
    network = _network(kind).cuda().eval()
    times = {"eager": _milliseconds(lambda: network(images))}
    last, images = (
        laid_out(network, torch.device("cuda"), torch.channels_last),
        images.contiguous(memory_format=torch.channels_last),
    )
    times["channels_last"] = _milliseconds(lambda: last(images))
    compiled = torch.compile(last)
    times["compile"] = _milliseconds(lambda: compiled(images))
    times["graph"] = _milliseconds(_recorded(last, images))
    return times


def _recorded(network: nn.Module, images: torch.Tensor) -> Callable[[], Any]:
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(images)
    return graph.replay


def _milliseconds(call: Callable[[], Any], runs: int = 100) -> float:
    """Median of single calls, each waited for."""
    for _ in range(10):
        call()
    taken = []
    for _ in range(runs):
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for row in result["training"]:
        paces = row["images_per_second"]
        ratios = [ours / bare for ours, bare in zip(paces["device"], paces["bare"], strict=True)]
        rows.append(
            (
                str(row["batch"]),
                "yes" if row["taught"] else "no",
                *(f"{statistics.median(paces[name]):,.0f}" for name in ("host", "device", "bare")),
                f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]",
            )
        )
    parts = [
        "\n## A GPU host\n",
        made_by(result),
        f"\nOne {result['card']}, PyTorch {result['torch']}: training images/s of MobileNetV3-L with coordinate attention at "
        f"{_SIZE} px, medians of turns. `host`: steps that several processes and other devices take; `device`: what a single "
        "GPU takes; `bare`: a loop that does nothing but the steps.\n",
        result.get("note", ""),
        table(("batch", "with a teacher", "host", "device", "bare", "device / bare"), rows),
    ]
    if "accuracy" in result:
        lines = [
            (
                row["steps"],
                str(row["seed"]),
                f"{row['balanced_accuracy']:.3f}",
                f"{row['auroc']:.3f}",
                f"{row['seconds']:.0f}",
            )
            for row in result["accuracy"]
        ]
        parts += [
            f"\n{_EPOCHS} epochs on HAM10000 by either kind of steps, on validation, other jobs on the card:\n",
            table(("steps", "seed", "balanced accuracy", "AUROC", "seconds"), lines),
        ]
    if "recipe" in result:
        recipe = result["recipe"]
        parts.append(f"\n`{recipe['command']}` took {recipe['minutes']:.1f} minutes, with other jobs on the card.\n")
        if "models" in recipe:
            parts.append(_evaluation(recipe))
    if result.get("inference"):
        ways = list(result["inference"][0]["milliseconds"])
        lines = [
            (row["network"], str(row["batch"]), *(f"{row['milliseconds'][way]:.2f}" for way in ways))
            for row in result["inference"]
        ]
        parts += ["\nInference there, milliseconds a batch:\n", table(("network", "batch", *ways), lines)]
    return "\n".join(parts)


def _evaluation(recipe: Mapping[str, Any]) -> str:
    lines = [
        [name, f"{scores['macs'] / 1e6:.0f}", *(interval(scores[metric]) for metric in _SHOWN)]
        for name, scores in recipe["models"].items()
    ]
    pairs = [
        [f"{pair['candidate']} - {pair['reference']}", *(points(pair[metric]) for metric in (*_SHOWN[:2], "mean"))]
        for pair in recipe["pairs"]
    ]
    return "\n".join(
        [
            "\nOn test:\n",
            table(["network", "M MACs", "balanced accuracy", "AUROC", "melanoma AUROC"], lines),
            f"\nPaired on validation and test together, {recipe['images']:,} images of {recipe['groups']:,} lesions, points:\n",
            table(["", "balanced accuracy", "AUROC", "mean of both"], pairs),
        ]
    )


if __name__ == "__main__":
    main()
