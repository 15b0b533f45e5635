"""How good `edgetl check --target` predicts: real backbones, untrained, predicted and then measured.

OMP_NUM_THREADS=1 python -m benchmarks.lint CELLS             measures what is missing in the folder CELLS, and collects
OMP_NUM_THREADS=1 python -m benchmarks.lint CELLS NAME...     only these
python -m benchmarks.lint CELLS --collect                     writes benchmarks/results/lint.json out of what is there

A cell is a backbone: fresh network, BatchNorm measured as a rehearsal does, its six files made as a build makes them, their
operators read, and all of them timed against each other in edgetl's quick mode on one thread. Predictions are made when the
cells are collected, from the operators alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.provenance import provenance

RESULT = Path(__file__).parent / "results" / "lint.json"
SIZE, CLASSES, IMAGES = 128, 7, 16
SETTING = ("mobilenetv3_large_100", "mobilenetv3_small_100", "tf_efficientnet_lite0", "resnet18")
"""Backbones that the rules were written with."""
JUDGED = (
    *("mobilenetv2_100", "mobilenetv4_conv_small", "repvit_m0_9", "efficientnet_b0"),
    *("mobilenetv3_small_050", "regnety_004", "ghostnet_100", "convnext_atto"),
)
"""Backbones that the rules had not seen: only these say how good they are."""


def main() -> None:
    """Measure the cells that are missing, and collect those that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, help="folder of the cells' JSON")
    parser.add_argument("names", nargs="*", help="backbones; all without them")
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        _cell(args.cells, args.cell)
        return
    args.cells.mkdir(parents=True, exist_ok=True)
    for name in [] if args.collect else args.names or [*SETTING, *JUDGED]:
        if not (args.cells / f"{name}.json").is_file():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.lint", str(args.cells), "--cell", name], check=False
            )
            print(f"{name}: {'done' if done.returncode == 0 else f'failed ({done.returncode})'}", file=sys.stderr)


def _cell(cells: Path, name: str) -> None:
    """What the process of a cell does."""
    import torch

    from edgetl.config.recipe import Recipe
    from edgetl.devices.latency import latency
    from edgetl.devices.local import LocalTarget
    from edgetl.models import backbones
    from edgetl.stages.rehearsal.files import files_of
    from edgetl.stages.rehearsal.spread import spread
    from edgetl.stages.rehearsal.steps import Steps
    from edgetl.training.batches import as_input

    images = _phantoms(cells)
    torch.manual_seed(0)
    network, _ = backbones.create(name, CLASSES, image_size=SIZE)
    spread(network, list(torch.split(as_input(images), IMAGES // 2)))
    about = {"name": "lint", "data": {"kind": "skin_phantom", "image_size": SIZE}, "teacher": None}
    recipe = Recipe.model_validate({**about, "student": {"backbone": name}, "quantize": {"images": IMAGES}})
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch)

        def keep(path: Path, backend: str, precision: str) -> None:
            for file in path.parent.glob(f"{path.stem}.*"):
                shutil.copy2(file, kept)

        files = files_of(recipe, network, images, Steps(lambda doing: print(doing, file=sys.stderr)), keep)
        artifacts = [(kept, _artifact(kept, file.name)) for file in files if file.problem is None]
        target = LocalTarget(name="local_cpu_1t", threads=(1,))
        rows = latency(target, artifacts, {}, "quick", lambda label, done, total: None)
    found = {
        **provenance("benchmarks.lint"),
        "backbone": name,
        "files": [asdict(file) for file in files],
        "latency": {artifact: asdict(row) for artifact, (row, *_) in rows.items()},
    }
    (cells / f"{name}.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


def _artifact(folder: Path, name: str) -> Any:
    from edgetl.runtime.backends import BACKENDS
    from edgetl.runtime.manifest import Artifact

    backend, _, precision = name.rpartition("-")
    path = f"{name}{BACKENDS[backend].suffix}"
    options = BACKENDS[backend].runtime_options.get(precision, {})
    return Artifact(name, "student", backend, "int8" if precision == "int8" else "fp32", path, "", 1, (), 1.0, options)


def _phantoms(cells: Path) -> NDArray[np.uint8]:
    """uint8 [n, SIZE, SIZE, 3], rendered once."""
    file = cells / "phantoms.npy"
    if not file.is_file():
        from edgetl.data.phantom import render
        from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

        with tempfile.TemporaryDirectory() as folder:
            render(Path(folder), 70, SIZE, 0)
            names = sorted(path for path in Path(folder).rglob("*.png") if "mask" not in path.name)[:IMAGES]
            resize = Preprocessing(Resize("crop", "bilinear", SIZE, SIZE))
            np.save(file, np.stack([preprocess(picture, resize) for picture in names]))
    loaded: NDArray[np.uint8] = np.load(file)
    return loaded


if __name__ == "__main__":
    main()
