"""A study: a grid of cells, each a build of one recipe with one row's overrides and one seed, up to its predictions.

A cell is stored as soon as it ends, so a stop loses one cell; what is there is not built again, unless the grid or the
recipe asks something else of it by now. Cells know nothing of each other: `--only ROW/SEED` computes one, on any machine
that has the checkout and the data (a GPU host needs no network, since recipes with `weights: package` or `none` download
nothing), and the files in the cells' folder can be put together: each says which commit and machine it is from.

    study = Study("name", Path("recipes/skin_mobile.yaml"), {"alone": ["distil.weights=[0.0]"], ...}, fixed=[...], seeds=(0, 1))
    cells = study.run(sys.argv[1:])     # {"alone": [Cell of seed 0, Cell of seed 1], ...}

All cells must share their test images, so `fixed` holds `data.split.seed=0`, and `teacher.seed=0` where one teacher is meant:
what varies is the student's training.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.provenance import provenance
from edgetl import __version__
from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import Interval
from edgetl.evidence.multi_seed import repeated
from edgetl.files import replacing, sha256_of
from edgetl.results.training import DistilResult, TrialResult

METRICS = ("balanced_accuracy", "auroc")


@dataclass(frozen=True)
class Cell:
    """What a build's student said.

    logits: float32 [n, C] by split ("val", "test"); labels: int64 [n]; groups: text [n].
    about: row, seed, what was asked (overrides, the recipe's digest), commit and machine, classes, seconds, and the
        training's numbers.
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

        A cell that fails does not keep the others from being built. Exits when one did, or when `--only` asked for some
        cells alone.
        """
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}")
        parser.add_argument(
            "--cells", type=Path, default=Path(".edgetl/studies") / self.name, help="folder of the cells"
        )
        parser.add_argument("--only", nargs="+", default=[], metavar="ROW/SEED", help="compute these cells and stop")
        options = parser.parse_args(arguments)
        options.cells.mkdir(parents=True, exist_ok=True)
        grid = {f"{row}/{seed}": (row, seed) for seed in self.seeds for row in self.rows}
        if unknown := [cell for cell in options.only if cell not in grid]:
            parser.error(f"no such cell: {', '.join(unknown)}; there are {', '.join(grid)}")
        failed = [cell for cell in options.only or grid if not self._cell(options.cells, *grid[cell])]
        if failed:
            sys.exit(f"error: {', '.join(failed)} failed; the other cells are stored in {options.cells}")
        if options.only:
            sys.exit()
        return {row: [_load(_file(options.cells, row, seed)) for seed in self.seeds] for row in self.rows}

    def _cell(self, cells: Path, row: str, seed: int) -> bool:
        """Build a cell that is not there, or was asked something else; whether it is there now."""
        path = _file(cells, row, seed)
        asked = {
            "overrides": [*self.fixed, f"seed={seed}", *self.rows[row]],
            "recipe": sha256_of(self.recipe),
        }
        if path.is_file() and {key: _load(path).about.get(key) for key in asked} == asked:
            return True
        print(f"{self.name}: {row}, seed {seed}", file=sys.stderr)
        started = time.monotonic()
        words = [word for override in asked["overrides"] for word in ("--set", override)]
        command = [sys.executable, "-m", "edgetl", "build", str(self.recipe), *words]
        command += ["--until", "evaluate", "--json", "--out", str(cells / f"{path.stem}.run")]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return False
        built = json.loads(done.stdout)
        if built["stand_in"] and not self.synthetic:
            sys.exit("error: this study is about real data: set the variable that the recipe's data.root names")
        folders = {stage["name"]: Path(built["store"]) / "entries" / stage["key"] for stage in built["stages"]}
        about = {
            **provenance(f"benchmarks.{self.name}"),
            **asked,
            "device": _device(),
            "wall_s": time.monotonic() - started,
        }
        _store(path, folders, {"row": row, "seed": seed, "edgetl": __version__, **about})
        return True


def made_at(cells: Mapping[str, Sequence[Cell]]) -> list[dict[str, Any]]:
    """The commits, machines and devices that the cells are from, each once."""
    found: list[dict[str, Any]] = []
    for cell in (cell for row in cells.values() for cell in row):
        machine = {key: value for key, value in cell.about["machine"].items() if key != "load"}
        made = {"commit": cell.about["commit"], "machine": machine, "device": cell.about["device"]}
        if made not in found:
            found.append(made)
    return found


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


def _device() -> str:
    """What trains here."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def _file(cells: Path, row: str, seed: int) -> Path:
    return cells / f"{row}-{seed}.npz"


def _store(path: Path, folders: Mapping[str, Path], about: dict[str, Any]) -> None:
    from edgetl.data.table import DataTable

    table = DataTable.load(folders["data"])
    runs, distilled = TrialResult.read(folders["trial"]).runs, DistilResult.read(folders["distil"])
    if distilled.run is None:
        raise ValueError("a study is about the student: its recipe cannot have prune.reference: false")
    about |= {
        "classes": list(table.classes),
        "training_seconds": sum(run.seconds for run in (*runs, distilled.run)),
        "kept_epoch": distilled.run.kept.epoch,
    }
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about))}
    with np.load(folders["evaluate"] / "logits.npz") as logits:
        for split in ("val", "test"):
            arrays[f"{split}_logits"] = logits[f"student_{split}"]
            arrays[f"{split}_labels"] = table.labels(split)
            arrays[f"{split}_groups"] = np.array(table.groups(split))
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _load(path: Path) -> Cell:
    with np.load(path) as arrays:
        splits = ("val", "test")
        return Cell(
            {split: arrays[f"{split}_logits"] for split in splits},
            {split: arrays[f"{split}_labels"] for split in splits},
            {split: arrays[f"{split}_groups"].tolist() for split in splits},
            json.loads(str(arrays["about"])),
        )
