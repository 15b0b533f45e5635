"""A study: a grid of cells, each a build of one recipe with one row's overrides and one seed, up to its predictions.

A cell is stored as soon as it ends, so a stop loses one cell; what is there is not built again. Cells know nothing of
each other: `--only ROW/SEED` computes one, on any machine that has the checkout and the data (a GPU host needs no network,
since recipes with `weights: package` or `none` download nothing), and the files in the cells' folder can be put together.

    study = Study("name", Path("recipes/skin_mobile.yaml"), {"alone": ["distil.weights=[0.0]"], ...}, fixed=[...], seeds=(0, 1))
    cells = study.run(sys.argv[1:])     # {"alone": [Cell of seed 0, Cell of seed 1], ...}

All cells must share their test images, so `fixed` holds `data.split.seed=0`, and `teacher.seed=0` where one teacher is meant:
what varies is the student's training.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import Interval
from edgetl.evidence.repeats import repeated

METRICS = ("balanced_accuracy", "auroc")


@dataclass(frozen=True)
class Cell:
    """What a build's student said.

    logits: float32 [n, C] by split ("val", "test"); labels: int64 [n]; groups: text [n].
    about: row, seed, classes, seconds, and the training's numbers.
    """

    logits: Mapping[str, NDArray[np.float32]]
    labels: Mapping[str, NDArray[np.int64]]
    groups: Mapping[str, list[str]]
    about: Mapping[str, Any]

    def probabilities(self, split: str = "test") -> NDArray[np.float64]:
        """float64 [n, C]."""
        return np.asarray(softmax(self.logits[split]), dtype=np.float64)


@dataclass(frozen=True)
class Study:
    """What is to be compared.

    rows: name to recipe overrides (`field=value`).
    seeds: of the student's training.
    fixed: overrides of all rows.
    synthetic: whether a study on the phantom is meant; elsewhere a missing data set must not go unseen.
    """

    name: str
    recipe: Path
    rows: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    fixed: Sequence[str] = ()
    synthetic: bool = False

    def run(self, arguments: Sequence[str]) -> dict[str, list[Cell]]:
        """Compute what is missing, seed by seed; all cells by row, in the order of the seeds.

        Exits when `--only` asked for some cells alone, or cells are missing in a folder that was only to be read.
        """
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}")
        parser.add_argument(
            "--cells", type=Path, default=Path(".edgetl/studies") / self.name, help="folder of the cells"
        )
        parser.add_argument("--only", nargs="*", metavar="ROW/SEED", help="compute these cells and stop")
        options = parser.parse_args(arguments)
        options.cells.mkdir(parents=True, exist_ok=True)
        grid = [(row, seed) for seed in self.seeds for row in self.rows]
        wanted = [(row, int(seed)) for row, _, seed in (cell.partition("/") for cell in options.only or [])]
        if unknown := set(wanted) - set(grid):
            parser.error(f"no such cell: {unknown}")
        for row, seed in wanted or grid:
            self._cell(options.cells, row, seed)
        if wanted:
            sys.exit()
        return {row: [_load(_file(options.cells, row, seed)) for seed in self.seeds] for row in self.rows}

    def _cell(self, cells: Path, row: str, seed: int) -> None:
        path = _file(cells, row, seed)
        if path.is_file():
            return
        print(f"{self.name}: {row}, seed {seed}", file=sys.stderr)
        started = time.monotonic()
        overrides = [*self.fixed, f"seed={seed}", *self.rows[row]]
        words = [word for override in overrides for word in ("--set", override)]
        command = [sys.executable, "-m", "edgetl", "build", str(self.recipe), *words]
        command += ["--until", "evaluate", "--json", "--out", str(cells / f"{path.stem}.run")]
        built = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        if built["stand_in"] and not self.synthetic:
            sys.exit("error: this study is about real data: set the variable that the recipe's data.root names")
        entries = Path(os.environ.get("EDGETL_STORE", ".edgetl")) / "entries"
        folders = {stage["name"]: entries / stage["key"] for stage in built["stages"]}
        _store(path, folders, {"row": row, "seed": seed, "overrides": overrides, "wall_s": time.monotonic() - started})


def compare(cells: Mapping[str, Sequence[Cell]], reference: str) -> dict[str, Any]:
    """Each row's metrics on the test images and its distance from the reference row, with intervals over seeds and groups."""
    first = cells[reference][0]
    labels, groups, classes = first.labels["test"], first.groups["test"], first.about["classes"]
    for cell in (cell for found in cells.values() for cell in found):
        assert cell.groups["test"] == groups, "rows and seeds must share the test images"
    said = {row: [cell.probabilities() for cell in found] for row, found in cells.items()}
    table: dict[str, Any] = {}
    for row, found in said.items():
        entry: dict[str, Any] = {}
        for metric in METRICS:
            entry[metric] = repeated(metric, found, labels, groups, classes).to_json()
            entry[metric]["seeds"] = [repeated(metric, [one], labels, groups, classes).value for one in found]
            if row != reference:
                difference = repeated(metric, found, labels, groups, classes, against=said[reference])
                entry[f"{metric}_difference"] = {**difference.to_json(), "verdict": verdict(difference)}
        entry["seconds"] = [cell.about["training_seconds"] for cell in cells[row]]
        table[row] = entry
    return table


def verdict(difference: Interval) -> str:
    """What may be said of a difference: one whose interval holds 0 is inside the noise."""
    if not (difference.low > 0 or difference.high < 0):
        return "no difference"
    return "better" if difference.value > 0 else "worse"


def _file(cells: Path, row: str, seed: int) -> Path:
    return cells / f"{row}-{seed}.npz"


def _store(path: Path, folders: Mapping[str, Path], about: dict[str, Any]) -> None:
    table = json.loads((folders["data"] / "table.json").read_text(encoding="utf-8"))
    classes = table["classes"]
    training = json.loads((folders["distil"] / "training.json").read_text(encoding="utf-8"))
    about |= {"classes": classes, "training_seconds": training["all_seconds"], "best_epoch": training["best_epoch"]}
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about))}
    with np.load(folders["evaluate"] / "logits.npz") as logits:
        for split in ("val", "test"):
            records = [record for record in table["records"] if record["split"] == split]
            arrays[f"{split}_logits"] = logits[f"student_{split}"]
            arrays[f"{split}_labels"] = np.array([classes.index(record["label"]) for record in records])
            arrays[f"{split}_groups"] = np.array([record["group"] or record["image"] for record in records])
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    aside.replace(path)


def _load(path: Path) -> Cell:
    with np.load(path) as arrays:
        splits = ("val", "test")
        return Cell(
            {split: arrays[f"{split}_logits"] for split in splits},
            {split: arrays[f"{split}_labels"] for split in splits},
            {split: arrays[f"{split}_groups"].tolist() for split in splits},
            json.loads(str(arrays["about"])),
        )
