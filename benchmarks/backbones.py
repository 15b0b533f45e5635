"""Some 70 timm backbones through the whole chain once, with random weights: what works, how large and how fast it is.

OMP_NUM_THREADS=1 python -m benchmarks.backbones CELLS                 measures what is missing in the folder CELLS
OMP_NUM_THREADS=1 python -m benchmarks.backbones CELLS NAME...         only these
python -m benchmarks.backbones CELLS --collect                         writes the table out of what is there

A cell is a backbone, or one with another attention, in a process of its own with bounds of time and memory: fresh network at
224 x 224, pruned to .6 of the MACs, saved and read back, each file made, loaded, compared and timed; with another attention
up to ONNX. The steps are those of a build's rehearsal (`edgetl.stages.rehearsal.path`), on phantom pictures.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.markdown import table
from benchmarks.provenance import provenance
from edgetl.config.recipe import Recipe
from edgetl.models import backbones, prune
from edgetl.models.attention import ATTENTION
from edgetl.models.chain import FILE, Backbone, Chain, ChainFile, Variant
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.rehearsal import path
from edgetl.stages.rehearsal.files import files_of
from edgetl.stages.rehearsal.memory import forget_the_peak
from edgetl.stages.rehearsal.spread import spread
from edgetl.stages.rehearsal.steps import Failure, Steps
from edgetl.training.batches import as_input

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"
SIZE, SHARE, CLASSES = 224, 0.6, 7
_IMAGES = 16
_WARM, _RUNS, _SECONDS = 5, 40, 6.0
_LIMIT_S, _LIMIT_GB = 600, 12

# With every attention: the families that the documentation promises.
FAMILIES = (
    *("mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv4_conv_small", "efficientnet_b0"),
    *(
        "tf_efficientnet_lite0",
        "tf_efficientnetv2_b0",
        "resnet18",
        "regnety_004",
        "repvgg_a0",
        "repvit_m0_9",
        "mobileone_s0",
    ),
    *(
        "fastvit_t8",
        "ghostnet_100",
        "mixnet_s",
        "rexnet_100",
        "convnext_atto",
        "lcnet_100",
        "mnasnet_100",
        "hardcorenas_a",
    ),
    *("fbnetc_100", "tinynet_a"),
)
OTHERS = (
    *(
        "mobilenetv3_small_050",
        "mobilenetv3_small_075",
        "mobilenetv3_small_100",
        "mobilenetv3_rw",
        "mobilenetv4_conv_medium",
    ),
    *("mobilenetv2_050", "mobilenetv2_140", "mobilenet_edgetpu_v2_s", "efficientnet_es", "tf_efficientnet_lite1"),
    *(
        "tf_efficientnet_lite2",
        "tf_efficientnetv2_b1",
        "resnet34",
        "resnet50",
        "resnet26d",
        "regnetx_004",
        "regnety_008",
    ),
    *("repvgg_a1", "repvit_m1", "mobileone_s1", "fastvit_t12", "ghostnetv2_100", "mixnet_m", "rexnet_130"),
    *(
        "convnextv2_atto",
        "lcnet_050",
        "semnasnet_100",
        "spnasnet_100",
        "hardcorenas_d",
        "fbnetv3_b",
        "tinynet_c",
        "tinynet_e",
    ),
    *("mobilevit_xxs", "mobilevitv2_050", "edgenext_xx_small", "efficientvit_b0", "efficientvit_m0", "poolformer_s12"),
    *("skresnet18", "cspdarknet53", "res2net50_26w_4s", "swiftformer_xs", "hrnet_w18_small", "densenet121", "dla34"),
    *(
        "levit_128s",
        "vit_tiny_patch16_224",
        "deit_tiny_patch16_224",
        "starnet_s1",
        "inception_next_atto",
        "efficientformer_l1",
    ),
    *(
        "selecsls42b",
        "ese_vovnet19b_dw",
        "mobilenetv4_hybrid_medium",
        "resnext50_32x4d",
        "seresnet18",
        "eca_resnet33ts",
    ),
)


def main() -> None:
    """Measure the cells that are missing, or collect those that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, help="folder of the cells' JSON")
    parser.add_argument("names", nargs="*", help="backbones; all without them")
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        _cell(args.cells, *args.cell.partition("+")[::2])
        return
    args.cells.mkdir(parents=True, exist_ok=True)
    if not args.collect:
        for cell in _cells(args.names or [*FAMILIES, *OTHERS]):
            if not (args.cells / f"{cell}.json").is_file():
                _measure(args.cells, cell)
    _collect(args.cells)


def _cells(names: Sequence[str]) -> Iterator[str]:
    yield from names
    for name in names:
        if name in FAMILIES:
            yield from (f"{name}+{attention}" for attention in ATTENTION)


def _measure(cells: Path, cell: str) -> None:
    """A cell in a process of its own; one that ends badly is written down as that."""
    began = time.perf_counter()
    doing = cells / f"{cell}.doing"
    command = [sys.executable, "-m", "benchmarks.backbones", str(cells), "--cell", cell]
    problem = ""
    try:
        ended = subprocess.run(
            command, timeout=_LIMIT_S, capture_output=True, text=True, preexec_fn=_bounded, check=False
        )
        if ended.returncode:
            said = [line for line in ended.stderr.splitlines() if line.strip()]
            problem = f"the process ended with {ended.returncode}: {said[-1][:200] if said else ''}"
    except subprocess.TimeoutExpired:
        problem = f"did not end within {_LIMIT_S} s"
    seconds = time.perf_counter() - began
    if problem:
        step = doing.read_text(encoding="utf-8") if doing.is_file() else "starting"
        name, _, attention = cell.partition("+")
        row: Any = Variant(attention=attention) if attention else Backbone(name=name, seconds=seconds)
        _write(cells, cell, row.model_copy(update={"problem": f"{step}: {problem}"}))
    doing.unlink(missing_ok=True)
    print(f"{cell}  {seconds:.0f} s  {problem}", file=sys.stderr, flush=True)


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_GB * 2**30,) * 2)


def _write(cells: Path, cell: str, row: Backbone | Variant) -> None:
    (cells / f"{cell}.json").write_text(row.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _cell(cells: Path, name: str, attention: str) -> None:
    """What the process of a cell does."""
    began = time.perf_counter()

    def say(doing: str) -> None:
        (cells / f"{name}{'+' if attention else ''}{attention}.doing").write_text(doing, encoding="utf-8")

    images = _phantoms(cells)
    steps = Steps(say)
    if attention:
        _write(cells, f"{name}+{attention}", _variant(name, attention, images, steps))
        return
    found: dict[str, Any] = {"name": name}
    try:
        _go(name, images, steps, found)
    except Failure as exc:
        found["problem"] = exc.message
    _write(cells, name, Backbone(**found, seconds=time.perf_counter() - began))


def _recipe(name: str, attention: str | None = None, export: Sequence[str] = tuple(BACKENDS)) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "chain",
            "data": {"kind": "skin_phantom", "image_size": SIZE},
            "teacher": None,
            "student": {"backbone": name, "attention": attention},
            "prune": {"macs": SHARE},
            "export": list(export),
            "quantize": {"images": _IMAGES} if not attention else None,
        }
    )


def _go(name: str, images: NDArray[np.uint8], steps: Steps, found: dict[str, Any]) -> None:
    """The whole chain; what is known is put into `found` at once."""
    recipe = _recipe(name)
    with steps.of("a fresh network"):
        torch.manual_seed(0)
        network, _ = backbones.create(name, CLASSES, image_size=SIZE)
        found["macs"], found["parameters"] = prune.count(network, SIZE)
    seen = list(torch.split(as_input(images), _IMAGES // 2))
    with steps.of("BatchNorm on pictures"):
        spread(network, seen)
    with tempfile.TemporaryDirectory() as folder, steps.of("unpruned ONNX"):
        from edgetl.backends import onnx

        found["onnx_ms"] = _p50(onnx.export(network, SIZE, Path(folder), "onnx-fp32"), "onnx", "fp32", images)
    with forget_the_peak() as peak:
        pruning = path.pruned(recipe, network, seen, steps)
    assert pruning is not None
    found |= {"reached": pruning.reached, "prune_seconds": pruning.seconds, "prune_mb": peak.process_mb}
    with steps.of("saving and reading it back"):
        network = path.read_back(network, seen[0][:2])
    times: dict[str, float] = {}

    def timed(file: Path, backend: str, precision: str) -> None:
        times[f"{backend}-{precision}"] = _p50(file, backend, precision, images)

    made = files_of(recipe, network, images, steps, timed)
    found["files"] = [
        ChainFile(name=file.name, problem=file.problem)
        if file.problem
        else ChainFile(name=file.name, bytes=file.bytes, difference=file.difference, p50_ms=times.get(file.name))
        for file in made
    ]


def _variant(name: str, attention: str, images: NDArray[np.uint8], steps: Steps) -> Variant:
    found: dict[str, Any] = {"attention": attention}
    recipe = _recipe(name, attention, ["onnx"])
    try:
        with steps.of("a fresh network"):
            torch.manual_seed(0)
            network, _ = backbones.create(name, CLASSES, attention=attention, image_size=SIZE)
            found |= {
                "placed": len(network.placement.placed),
                "parameters": sum(each.numel() for each in network.parameters()),
            }
        seen = list(torch.split(as_input(images), _IMAGES // 2))
        with steps.of("BatchNorm on pictures"):
            spread(network, seen)
        pruning = path.pruned(recipe, network, seen, steps)
        assert pruning is not None
        found["reached"] = pruning.reached
        with steps.of("saving and reading it back"):
            network = path.read_back(network, seen[0][:2])
        (file,) = files_of(recipe, network, images, steps)
        found["problem"] = file.problem
    except Failure as exc:
        found["problem"] = exc.message
    return Variant(**found)


def _p50(file: Path, backend: str, precision: str, images: NDArray[np.uint8]) -> float:
    """Milliseconds of an inference on one thread: the median of some seconds, quick and on a machine that may be shared."""
    session = BACKENDS[backend].open_session(file, 1, dict(BACKENDS[backend].runtime_options.get(precision, {})))
    taken: list[float] = []
    began = time.perf_counter()
    for number in range(_WARM + _RUNS):
        before = time.perf_counter()
        session.run(images[number % len(images)][None])
        taken.append(1000 * (time.perf_counter() - before))
        if number > _WARM and time.perf_counter() - began > _SECONDS:
            break
    return statistics.median(taken[_WARM:])


def _phantoms(cells: Path) -> NDArray[np.uint8]:
    """uint8 [n, SIZE, SIZE, 3], rendered once."""
    file = cells / "phantoms.npy"
    if not file.is_file():
        from edgetl.data.phantom import render
        from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

        with tempfile.TemporaryDirectory() as folder:
            render(Path(folder), 70, SIZE, 0)
            names = sorted(Path(folder).rglob("*.png"))
            pictures = [name for name in names if "mask" not in str(name.relative_to(folder))][:_IMAGES]
            resize = Preprocessing(Resize("crop", "bilinear", SIZE, SIZE))
            np.save(file, np.stack([preprocess(picture, resize) for picture in pictures]))
    loaded: NDArray[np.uint8] = np.load(file)
    return loaded


def _collect(cells: Path) -> None:
    """The cells as the package's table, and the page."""
    rows = []
    for name in (*FAMILIES, *OTHERS):
        if not (cells / f"{name}.json").is_file():
            continue
        row = Backbone.model_validate_json((cells / f"{name}.json").read_text(encoding="utf-8"))
        variants = [cells / f"{name}+{attention}.json" for attention in ATTENTION]
        attention = [
            Variant.model_validate_json(file.read_text(encoding="utf-8")) for file in variants if file.is_file()
        ]
        rows.append(row.model_copy(update={"attention": tuple(attention)}))
    made = provenance("benchmarks.backbones")
    found = Chain(
        note=f"python -m benchmarks.backbones, commit {made['commit'][:7]}: random weights, one thread, medians of seconds",
        machine=f"{made['machine']['processor']}, {made['machine']['cores']} cores",
        image_size=SIZE,
        share=SHARE,
        backbones=tuple(rows),
    )
    FILE.write_text(found.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    print(f"{len(rows)} backbones, {sum(bool(row.problem) for row in rows)} refused", file=sys.stderr)


def page(found: Chain) -> str:
    """docs/backbones.md."""
    whole = [row for row in found.backbones if not row.problem]
    refused = [row for row in found.backbones if row.problem]
    two = [row for row in whole if len({name.partition("-")[0] for name in row.works}) >= 2]
    rows = [
        (
            f"`{row.name}`",
            f"{(row.parameters or 0) / 1e6:.1f}",
            f"{(row.macs or 0) / 1e6:.0f}",
            _number(row.onnx_ms),
            _number(row.reached, 2),
            *(_cell_of(row, name) for name in _ARTIFACTS),
        )
        for row in sorted(whole, key=lambda row: row.macs or 0)
    ]
    head = ("backbone", "M parameters", "M MACs", "fp32 ms", "pruned to", *_ARTIFACTS)
    parts = [_HEAD.format(found=found, all=len(found.backbones), whole=len(whole), two=len(two)), table(head, rows)]
    if refused:
        parts += [
            "\n## Refused before any training\n",
            table(
                ("backbone", "why", "after"),
                [(f"`{row.name}`", row.problem or "", f"{row.seconds:.0f} s") for row in refused],
            ),
        ]
    missing = [(row.name, file) for row in whole for file in row.files if file.problem]
    if missing:
        lines = [(f"`{name}`", file.name, (file.problem or "").partition(": ")[2][:200]) for name, file in missing]
        parts += ["\n## Files that cannot be had\n", table(("backbone", "file", "why"), lines)]
    variants = [row for row in found.backbones if row.attention]
    if variants:
        names = [variant.attention for variant in variants[0].attention]
        cells = [(f"`{row.name}`", *(_variant_of(row, name) for name in names)) for row in variants]
        parts += [_ATTENTION, table(("backbone", *names), cells)]
    return "\n".join(parts) + "\n"


_ARTIFACTS = tuple(f"{backend}-{precision}" for backend in BACKENDS for precision in ("fp32", "int8"))
_HEAD = """\
# Backbones

Generated by `python -m benchmarks.backbones CELLS`; `edgetl backbones` reads the same table.

{all} timm backbones went the whole chain once, with **random weights**, at {found.image_size} x {found.image_size}: pruned
to {found.share:g} of the multiply-accumulates, saved and read back, exported, quantized, loaded and run in each runtime.
{whole} go all the way, {two} of them in two formats or more; the others are refused by a build's rehearsal, before any
training. Times are medians of some seconds on one thread of {found.machine}, while others
used the machine too: they rank, and are no benchmark (`edgetl bench` is). `fp32 ms` is the unpruned network in ONNX
Runtime; each file of the pruned network has its MB and its ms.
"""
_ATTENTION = """
## With another attention

Share of the multiply-accumulates that pruning left (wanted: .6), and in how many places the attention was put; all of these
were exported to ONNX and say what PyTorch says.
"""


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cell_of(row: Backbone, name: str) -> str:
    file = next((file for file in row.files if file.name == name), None)
    if file is None or file.problem:
        return "-"
    return f"{(file.bytes or 0) / 1e6:.1f} MB, {_number(file.p50_ms)}"


def _variant_of(row: Backbone, name: str) -> str:
    variant = next((variant for variant in row.attention if variant.attention == name), None)
    if variant is None:
        return ""
    return variant.problem or f"{_number(variant.reached, 2)} ({variant.placed})"


if __name__ == "__main__":
    main()
