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
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.lint.graph import Graph
from edgetl.lint.linting import lint
from edgetl.results.document import adapter
from edgetl.results.foreseen import Foreseen, foreseen
from edgetl.results.latency import Latency
from edgetl.results.twins import twins
from edgetl.runtime.backends import BACKENDS

RESULT = Path(__file__).parent / "results" / "lint.json"
SIZE, CLASSES, IMAGES = 128, 7, 16
WHOLE = "+int8"
"""A backbone's TFLite file with every operator in int8, which edgetl does not ship: HARD_SWISH and GELU too."""
SEEN = (
    *("mobilenetv3_large_100", "mobilenetv3_small_100", "tf_efficientnet_lite0", "resnet18", "mobilenetv2_100"),
    *(
        "mobilenetv4_conv_small",
        "repvit_m0_9",
        "efficientnet_b0",
        "mobilenetv3_small_050",
        "regnety_004",
        "ghostnet_100",
    ),
    *("convnext_atto", f"mobilenetv3_large_100{WHOLE}", f"mobilenetv3_small_100{WHOLE}"),
)
"""Cells that were measured before the rules were finished."""
UNSEEN = (
    *("lcnet_100", "rexnet_100", "mobilenetv3_small_075", "tinynet_c", "repvgg_a0", "fastvit_t8", "convnextv2_atto"),
    f"repvit_m0_9{WHOLE}",
)
"""Cells that were measured afterwards: these say how good the rules are."""


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
    for name in [] if args.collect else args.names or [*SEEN, *UNSEEN]:
        if not (args.cells / f"{name}.json").is_file():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.lint", str(args.cells), "--cell", name], check=False
            )
            print(f"{name}: {'done' if done.returncode == 0 else f'failed ({done.returncode})'}", file=sys.stderr)
    if args.collect or not args.names:
        RESULT.write_text(json.dumps(_collected(args.cells), indent=1) + "\n", encoding="utf-8")


def _cell(cells: Path, name: str) -> None:
    """What the process of a cell does."""
    import torch

    from edgetl.backends import tflite
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
    backbone, whole = name.removesuffix(WHOLE), name.endswith(WHOLE)
    network, _ = backbones.create(backbone, CLASSES, image_size=SIZE)
    if whole:
        tflite.LEFT_FLOAT = ()
    spread(network, list(torch.split(as_input(images), IMAGES // 2)))
    about: dict[str, Any] = {"name": "lint", "data": {"kind": "skin_phantom", "image_size": SIZE}, "teacher": None}
    about |= {"student": {"backbone": backbone}, "export": ["tflite"] if whole else list(BACKENDS)}
    recipe = Recipe.model_validate({**about, "quantize": {"images": IMAGES}})
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch)

        def keep(path: Path, backend: str, precision: str) -> None:
            for file in path.parent.glob(f"{path.stem}.*"):
                shutil.copy2(file, kept)

        files = files_of(recipe, network, images, Steps(lambda doing: print(doing, file=sys.stderr)), keep)
        artifacts = [(kept, _artifact(kept, file.name)) for file in files if file.problem is None]
        target = LocalTarget(name="local_cpu_1t", threads=(1,))
        rows: Any = latency(target, artifacts, {}, "quick", lambda label, done, total: None)
    found = {
        **provenance("benchmarks.lint"),
        "backbone": name,
        "files": [asdict(file) for file in files],
        "latency": {artifact: asdict(row) for artifact, (row, *_) in rows.items()},
    }
    (cells / f"{name}.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


def _artifact(folder: Path, name: str) -> Any:
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


def _collected(cells: Path) -> dict[str, Any]:
    """Every file of every cell, predicted and measured."""
    found: dict[str, Any] = {**provenance("benchmarks.lint"), "image_size": SIZE, "missing": [], "rows": []}
    found["command"] = "python -m benchmarks.lint CELLS"
    loads, commits = [], set()
    for name in (*SEEN, *UNSEEN):
        if not (cells / f"{name}.json").is_file():
            found["missing"].append(name)
            continue
        cell = json.loads((cells / f"{name}.json").read_text(encoding="utf-8"))
        loads.append(cell["machine"]["load"])
        commits.add(cell["commit"][:10])
        problems = {file["name"]: file["problem"] for file in cell["files"] if file["problem"]}
        rows = [asdict(row) for row in _rows(name, cell)]
        found["rows"].append({"cell": name, "seen": name in SEEN, "problems": problems, "files": rows})
    found["loads"], found["commits"] = [min(loads), max(loads)], sorted(commits)
    return found


def _rows(name: str, cell: dict[str, Any]) -> list[Foreseen]:
    from edgetl.runtime.manifest import Artifact

    graphs = {file["name"]: _graph(file["operators"]) for file in cell["files"] if file["name"] in cell["latency"]}
    rows = {artifact: [_row(row)] for artifact, row in cell["latency"].items()}
    artifacts = []
    for artifact in rows:
        backend, _, precision = artifact.rpartition("-")
        artifacts.append(Artifact(artifact, "student", backend, "int8" if precision == "int8" else "fp32", "", "", 1))
    pairs = {pair.int8: pair for pair in twins(artifacts, rows)}
    return [
        foreseen(each, rows[each.artifact][0], pairs.get(each.artifact))
        for each in lint(name, "local", graphs).artifacts
    ]


def _graph(content: Any) -> Graph:
    return adapter(Graph).validate_json(json.dumps(content))


def _row(content: Any) -> Latency:
    return adapter(Latency).validate_json(json.dumps(content))


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    files = [(cell, Foreseen(**file)) for cell in result["rows"] for file in cell["files"]]
    int8 = [(cell, file) for cell, file in files if file.artifact.endswith("int8")]
    low, high = result["loads"]
    size = result["image_size"]
    lines = [
        "## What `edgetl check --target` predicts\n",
        made_by(result),
        f"Untrained backbones at {size} x {size}, one thread, quick mode, on a machine that others used too (load {low:.1f} to "
        f"{high:.1f}): no times are given, but the quotients of an int8 file's time and its float32 twin's within the same "
        "rounds, with their 95 % interval. The rules were written with the cells above the line; those below it were measured "
        f"afterwards. Cells are of {', '.join(result['commits'])}. `{WHOLE}` is a TFLite file with every operator in int8, "
        "which edgetl does not ship.\n",
    ]
    for seen in (True, False):
        some = [file for cell, file in int8 if cell["seen"] == seen]
        lines.append(f"{'Seen' if seen else 'Unseen'}: {_score(some, [f for c, f in files if c['seen'] == seen])}\n")
    head = (
        "",
        "file",
        "fall back",
        "partitions",
        "measured",
        "layers in int8",
        "measured",
        "expected",
        "int8 / float32",
        "",
    )
    body = []
    for seen in (True, False):
        body += [_line(cell, file) for cell, file in int8 if cell["seen"] == seen]
        if seen:
            body.append(("**unseen**", *[""] * (len(head) - 1)))
    lines.append(table(head, body))
    if result["missing"]:
        lines.append(f"Not measured: {', '.join(result['missing'])}.\n")
    problems = [f"{cell['cell']}: {problem}" for cell in result["rows"] for problem in cell["problems"].values()]
    lines += [f"No such file: {problem}.\n" for problem in problems]
    return "\n".join(lines)


def _score(int8: Sequence[Foreseen], files: Sequence[Foreseen]) -> str:
    cut = [file for file in files if file.pieces is not None and file.measured_pieces is not None]
    told = [file for file in int8 if file.measured_layers is not None]
    judged = [file for file in int8 if file.measured_int8 in ("faster", "slower")]
    expected = [file for file in judged if file.int8 != "unknown"]
    slow = [file for file in judged if file.measured_int8 == "slower"]
    right = [file for file in expected if file.int8 == file.measured_int8]
    layers = sum(file.native_layers == file.measured_layers for file in told)
    pieces = sum(file.pieces == file.measured_pieces for file in cut)
    otherwise, unknown = len(expected) - len(right), len(judged) - len(expected)
    return (
        f"partitions {pieces} of {len(cut)} files right, layers in int8 {layers} of {len(told)}; of {len(judged)} int8 files "
        f"that are faster or slower than their twins {len(right)} were expected so, {otherwise} otherwise, {unknown} were "
        f"unknown; of {len(slow)} slower ones {sum(file in right for file in slow)} were expected."
    )


def _line(cell: dict[str, Any], file: Foreseen) -> tuple[str, ...]:
    ratio: Any = file.ratio
    shown = "" if not ratio else f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"
    return (
        cell["cell"],
        file.artifact.partition("-")[0],
        str(file.falls_back),
        _number(file.pieces),
        _number(file.measured_pieces),
        f"{file.native_layers} of {file.layers}",
        _number(file.measured_layers),
        file.int8,
        shown,
        file.agreement,
    )


def _number(count: int | None) -> str:
    return "" if count is None else str(count)


if __name__ == "__main__":
    main()
