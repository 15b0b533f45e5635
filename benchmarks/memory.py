"""Does memory stay flat as the data set grows? Peak memory of the data stage and of a training epoch, by images.

    python -m benchmarks.memory

Each size runs in a process of its own, as in a build: rendered phantoms with their masks are read from their table,
hashed, searched for copies, split, decoded and compared, then a small network is trained on them for one epoch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.data import phantom

RESULT = Path(__file__).parent / "results" / "memory.json"
SIZES = (1_000, 10_000, 100_000)
_RENDERED_SIZE = 64
_CLASSES = 7
_IMAGE_SIZE = 32


def child(pictures: Path, work: Path) -> dict[str, Any]:
    """Data stage and one epoch on `pictures`; peak memory after each, in MB, and seconds."""
    import torch
    from torch import nn

    from edgetl.config.recipe import Recipe
    from edgetl.console.progress import Silent
    from edgetl.data.fingerprint import fingerprint
    from edgetl.runtime.memory import peak_rss_mb
    from edgetl.stages import data as stage
    from edgetl.stages.common import sources, trained
    from edgetl.stages.common.stage import Context
    from edgetl.training.loop import fit

    torch.manual_seed(0)
    recipe = Recipe.model_validate({"name": "memory", "data": {"kind": "skin_phantom", "image_size": _IMAGE_SIZE}})
    result, scratch = work / "data", work / "scratch"
    for folder in (result, scratch):
        folder.mkdir()
    found: dict[str, Any] = {"start_mb": peak_rss_mb()}
    began = time.perf_counter()
    source = sources.records(recipe.data, pictures, work)
    fingerprint(source.root, source.records, work / "files.sqlite")
    del source
    found |= {"fingerprint_mb": peak_rss_mb(), "fingerprint_seconds": time.perf_counter() - began}
    began = time.perf_counter()
    context = Context(recipe, result, {"data": result}, scratch, pictures, work, Silent())
    stage.STAGE.run(context)
    found |= {"data_mb": peak_rss_mb(), "data_seconds": time.perf_counter() - began}
    began = time.perf_counter()
    training = trained.open_data(context, trained.open_table(context))
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, _CLASSES),
    )
    settings = recipe.distil.model_copy(update={"epochs": 1})
    fit(network, training, settings, seed=0, checkpoints=scratch / "training", progress=Silent())
    return found | {"epoch_mb": peak_rss_mb(), "epoch_seconds": time.perf_counter() - began}


def main() -> None:
    """Measure every size in a process of its own and write the result file."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments.add_argument("--child", type=Path, nargs=2, metavar=("PICTURES", "WORK"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(child(*given.child)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for size in given.sizes:
            pictures, work = Path(place) / f"pictures-{size}", Path(place) / f"work-{size}"
            work.mkdir()
            phantom.render(pictures, size, _RENDERED_SIZE, seed=0)
            command = [sys.executable, "-m", "benchmarks.memory", "--child", str(pictures), str(work)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            measured = {name: round(value, 1) for name, value in json.loads(done.stdout).items()}
            rows.append({"images": size, **measured})
            print(json.dumps(rows[-1]))
    result = {**provenance("benchmarks.memory"), "image_size": _IMAGE_SIZE, "rows": rows}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    head = ["images", "start", "read and hashed", "data stage", "training epoch", "data stage, images/s"]
    parts = ("start_mb", "fingerprint_mb", "data_mb", "epoch_mb")
    rows = [
        [
            f"{row['images']:,}",
            *(f"{row[part]:.0f} MB" for part in parts),
            f"{row['images'] / row['data_seconds']:.0f}",
        ]
        for row in result["rows"]
    ]
    said = "Peak resident memory up to the end of each part, the interpreter and its libraries included.\n"
    return "\n".join(["## Memory by size of the data set\n", made_by(result), said, table(head, rows)])


if __name__ == "__main__":
    main()
