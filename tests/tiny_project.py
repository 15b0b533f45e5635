"""A project whose recipe sets every field that a csv bears and names every kind of file, and its keys without a build.

A stage's result is made up: each of its files is another one as soon as the stage's key is. So a key that changes changes
all that follow from it, but for the data stage, which `keys` can really run.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgetl.config.loading import Loaded, load
from edgetl.console.progress import Silent
from edgetl.data.records import SPLITS
from edgetl.files import sha256_of
from edgetl.pipeline import _walk, all_stages
from edgetl.stages.common.stage import Context, Stage, Step
from edgetl.stages.report import report
from edgetl.store import Dependencies, Entry, Store

_TRAINING = {"epochs": 1, "batch_size": 8, "ema": 0.9}
RECIPE: Mapping[str, Any] = {
    "name": "keys",
    "seed": 1,
    "data": {
        "kind": "csv",
        "root": "data/table.csv",
        "columns": {"path": "image", "label": "label", "group": "patient", "mask": "mask", "split": "split"},
        "exclude": "out.txt",
        "image_size": 32,
    },
    "teacher": {"backbone": "mobilenetv3_small_050", "weights": "teacher.pth", **_TRAINING},
    "student": {"backbone": "mobilenetv3_small_050", "weights": "student.pth", "attention": "eca"},
    "distil": {"weights": [0.0, 1.0], **_TRAINING},
    "prune": {"macs": 0.7, **_TRAINING},
    "quantize": {"images": 8, "max_drop": 1.0},
    "targets": ["mine"],
}
FILE = "keys.yaml"
REAL_WEIGHTS = {"teacher.weights": "teacher.safetensors", "student.weights": "student.safetensors"}
"""Changes of the recipe with which it can really be built."""


def picture(path: Path, seed: int, compress: int = 6) -> None:
    """Noise, the same for each seed; `compress` changes the file and no pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=compress)


def write(project: Path) -> Path:
    """Fill an empty folder: 24 pictures with masks, two tables, class folders, files of weights, a target, patterns."""
    rows = [("image", "label", "patient", "mask", "split", "image2", "label2", "patient2", "mask2", "split2")]
    for number in range(24):
        split, name = SPLITS[max(0, number % 6 - 3)], f"{number:02}.png"
        picture(project / "data" / "images" / name, number)
        picture(project / "data" / "masks" / name, 100 + number)
        row = (f"images/{name}", "ab"[number // 12], f"P{number}", f"masks/{name}", split)
        rows.append((*row, *row))
    with (project / "data" / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    sites = "".join(f"images/{number:02}.png,{number % 3}\n" for number in range(24))
    (project / "data" / "more.csv").write_text(f"image,site\n{sites}")
    for label in "ab":
        for number in range(3):
            picture(project / "classes" / "set" / label / f"{number}.png", number)
    for number in range(3):
        picture(project / "further" / "inner" / f"{number}.png", 200 + number)
    for name in ("teacher.pth", "student.pth", "other.pth", "notes.txt"):
        (project / name).write_text(name)
    (project / "out.txt").write_text("images/23.png\n")
    (project / "targets").mkdir()
    for name in ("mine", "other"):
        (project / "targets" / f"{name}.yaml").write_text(f"{{name: {name}, threads: [1]}}\n")
    return project


def write_trainable(project: Path) -> Path:
    """As `write`, with weights that fit, for `REAL_WEIGHTS`."""
    import torch
    from safetensors.torch import save_file

    from edgetl.models import backbones

    write(project)
    torch.manual_seed(0)
    network, _ = backbones.create("mobilenetv3_small_050", 2)
    for name in REAL_WEIGHTS.values():
        save_file(network.body.state_dict(), project / name)
    return project


def read(project: Path, changes: Mapping[str, Any]) -> Loaded:
    """The project's recipe, with other values at some dotted paths."""
    document = json.loads(json.dumps(RECIPE))
    for path, value in changes.items():
        *sections, name = path.split(".")
        place = document
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = copy.deepcopy(value)  # a later change may reach into it
    (project / FILE).write_text(json.dumps(document))
    return load(project / FILE)


def keys(project: Path, changes: Mapping[str, Any] | None = None, *, real_data: bool = False) -> dict[str, str]:
    """The key of each stage and of the report."""
    loaded, store = read(project, changes or {}), Store(project / ".edgetl")

    def compute(stage: Stage, parts: Dependencies, inputs: dict[str, Entry]) -> tuple[Entry, bool]:
        really = real_data and stage.name == "data"
        digests = _data(stage, loaded, project / "results" / parts.key) if really else _made_up(stage, parts.key)
        files = {name: (digest, 1) for name, digest in digests.items()}
        return Entry(parts.key, stage.name, project / "nowhere", files, 0.0, parts=parts), False

    stages = [stage for stage in all_stages() if stage.active(loaded.recipe)]
    steps: list[Step] = list(_walk(loaded, store, stages, compute, fresh=False))
    return {step.stage.name: step.parts.key for step in steps} | {"report": report._key(loaded, steps)}


def _made_up(stage: Stage, key: str) -> dict[str, str]:
    read_later = {
        need.partition("/")[2] for later in all_stages() for need in later.needs if need.startswith(stage.name)
    }
    return {path or "all": hashlib.sha256(f"{key} {path}".encode()).hexdigest() for path in read_later}


def _data(stage: Stage, loaded: Loaded, folder: Path) -> dict[str, str]:
    scratch = folder.with_name(f"{folder.name}-scratch")
    if not folder.exists():
        folder.mkdir(parents=True)
        scratch.mkdir()
        assert loaded.data_root is not None
        stage.run(Context(loaded.recipe, folder, {}, scratch, loaded.data_root, loaded.project, Silent()))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in folder.rglob("*.*")}
