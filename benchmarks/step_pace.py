"""How long the study's schedules take on this processor: a few real steps of edgetl's loop, measured as a build's forecast is.

    OMP_NUM_THREADS=1 python -m benchmarks.step_pace DATA

DATA is the result of a build's data stage. Networks are untrained, which does not change how long they compute.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.config.training import Distil, Teacher, Training
from edgetl.data.augment import Augment
from edgetl.data.images import open_images
from edgetl.data.table import DataTable
from edgetl.models import backbones
from edgetl.training.batches import TrainingData
from edgetl.training.job import Distillation, Job
from edgetl.training.losses import DISTIL_LOSSES
from edgetl.training.pace import measured

RESULT = Path(__file__).parent / "results" / "step_pace.json"
_STUDENT = ("mobilenetv3_large_100", "coord")
_TEACHER = ("tf_efficientnet_lite0", None)
_KINDS: dict[str, tuple[tuple[str, str | None], bool]] = {
    "MobileNetV3-L with coordinate attention, alone": (_STUDENT, False),
    "MobileNetV3-L with coordinate attention, taught by one EfficientNet-Lite0": (_STUDENT, True),
    "EfficientNet-Lite0, alone": (_TEACHER, False),
}
_LENGTHS = (15, 25, 30, 60, 100)
_BUDGET = 120.0
"""Seconds after which no further step of a kind is begun."""


def main() -> None:
    """Measure, write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_pace")
    parser.add_argument("data", type=Path)
    data = _data(parser.parse_args().data)
    if torch.get_num_threads() > 1:
        sys.exit("error: this is about one thread: set OMP_NUM_THREADS=1")
    rows = []
    for name, (student, taught) in _KINDS.items():
        settings: Training = Distil(epochs=100) if student is _STUDENT else Teacher(epochs=100)
        distillation = (
            Distillation(_network(_TEACHER, data), DISTIL_LOSSES["dist"].function(), 1.0, 2.0) if taught else None
        )
        job = Job(_network(student, data), data, settings, distillation, 0, name)
        pace, one = measured(job, _BUDGET), settings.model_copy(update={"epochs": 1})
        sizes = {"batch": job.batch_size, "steps_of_an_epoch": job.batches}
        rows.append({"name": name, **sizes, "epoch_seconds": pace.training_seconds(data, one), **asdict(pace)})
        print(rows[-1], file=sys.stderr)
    result = {
        **provenance("benchmarks.step_pace"),
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.step_pace DATA",
        "torch": torch.__version__,
        "side": data.images.shape[1],
        "train_images": len(data.train),
        "rows": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def _data(folder: Path) -> TrainingData:
    """Training and validation images, augmented as by default."""
    held = DataTable.load(folder, ("train", "val"))
    images = open_images(folder, held, ("train", "val"))
    rows = {split: held.rows(split) for split in ("train", "val")}
    labels = np.full(1 + max(int(each.max()) for each in rows.values()), -1, dtype=np.int64)
    labels[rows["train"]], labels[rows["val"]] = held.labels("train"), held.labels("val")
    augment = Augment(images.shape[1], "standard")
    return TrainingData(images, labels, rows["train"], rows["val"], len(held.classes), augment)


def _network(architecture: tuple[str, str | None], data: TrainingData) -> torch.nn.Module:
    backbone, attention = architecture
    return backbones.create(backbone, data.classes, "none", attention, None)[0]


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for row in result["rows"]:
        hours = [f"{row['epoch_seconds'] * length / 3600:.1f}" for length in _LENGTHS]
        rows.append([row["name"], f"{row['step_seconds']:.2f}", f"{row['batch'] / row['step_seconds']:.0f}", *hours])
    machine = result["machine"]
    return "\n".join(
        [
            "## What such trainings take on one thread\n",
            made_by(result),
            f"edgetl's own loop, PyTorch {result['torch']}, one thread of {machine['processor']} while others use the machine "
            f"(load {machine['load']}), {result['side']} px, standard augmentation; the median of "
            f"{min(row['steps'] for row in result['rows'])} steps at least. Hours are that times the steps, with a validation "
            f"after each epoch: {result['train_images']:,} training images. Nothing is scaled to more threads.\n",
            table(["", "s a step", "images/s", *(f"{length} epochs, h" for length in _LENGTHS)], rows),
        ]
    )


if __name__ == "__main__":
    main()
