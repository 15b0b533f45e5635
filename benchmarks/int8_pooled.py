"""What post-training int8 costs networks that were trained to the end, over several networks and all runtimes.

    python -m benchmarks.int8_pooled NETWORKS DATA WORK [NAME ...]

NETWORKS holds a folder of `edgetl.models.spec` for each network, DATA is the result of a build's data stage, and WORK gets
what each network's files said, a network at a time, so that a stop loses one of them. Files are written by the converters that
a build calls, calibrated on the training images that it takes, and each runs in its own runtime with one thread. Temperature
stays 1: it does not change which class is the most probable.

One network's loss on one test set is within its noise, so the bar is set on the mean over networks and runtimes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import made_by, points, table
from benchmarks.pooled import draws, spread
from benchmarks.provenance import provenance
from edgetl.backends import converter
from edgetl.data.images import open_images
from edgetl.data.records import Split
from edgetl.data.table import DataTable
from edgetl.evidence.parity import compare
from edgetl.files import replacing
from edgetl.models import spec
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common.tried import calibration_rows

RESULT = Path(__file__).parent / "results" / "int8_pooled.json"
NETWORKS = {
    "main0": "MobileNetV3-L with coordinate attention, taught, seed 0",
    "main1": "the same, seed 1",
    "accurate3": "EfficientNet-Lite0 taught by three of its kind",
    "teacher0": "EfficientNet-Lite0 alone",
    "early40_0": "MobileNetV3-L pruned early to 40 % of its MACs",
}
_SPLITS: tuple[Split, ...] = ("val", "test")
_PRECISIONS = ("fp32", "int8")
_METRICS = ("balanced_accuracy", "auroc")
_IMAGES = 256
_SEED = 0
_BAR, _GOAL = -0.007, -0.003

Outputs = Mapping[str, NDArray[np.float32]]


def main() -> None:
    """Compute what is missing, pool, write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.int8_pooled")
    parser.add_argument("networks", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("names", nargs="*", help="these alone, and no result file")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in options.names or NETWORKS:
        path = options.work / f"{name}.npz"
        if not path.is_file():
            print(f"int8_pooled: {name}", file=sys.stderr)
            _store(path, _outputs(options.networks / name, options.data))
        with np.load(path) as arrays:
            found[name] = {key: arrays[key] for key in arrays.files}
    if options.names:
        return
    data = DataTable.load(options.data, _SPLITS)
    result = {
        **provenance("benchmarks.int8_pooled"),
        "command": "python -m benchmarks.int8_pooled NETWORKS DATA WORK",
        "versions": {name: BACKENDS[name].version() for name in BACKENDS},
        "calibration_images": _IMAGES,
        "calibration_seed": _SEED,
        **pooled(
            found,
            {split: data.labels(split) for split in _SPLITS},
            {split: data.groups(split) for split in _SPLITS},
            data.classes,
        ),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def _outputs(network: Path, data: Path) -> Outputs:
    """Probabilities float32 [n, C] of each file on each split, named BACKEND-PRECISION_SPLIT."""
    train = DataTable.load(data, ("train",))
    images = open_images(data, train, ("train",))[calibration_rows(train, _IMAGES, _SEED)]
    outputs: dict[str, NDArray[np.float32]] = {}
    for backend, about in BACKENDS.items():
        with tempfile.TemporaryDirectory() as scratch:
            began = time.monotonic()
            folder, made = Path(scratch), spec.load(network).eval()
            files = {"fp32": converter(backend).export(made, images.shape[1], folder, f"{backend}-fp32")}
            files["int8"] = converter(backend).quantize(made, files["fp32"], images, folder, f"{backend}-int8")
            for precision, file in files.items():
                session = about.open_session(file, 1, about.runtime_options.get(precision, {}))
                for split in _SPLITS:
                    held = DataTable.load(data, (split,))
                    pictures = open_images(data, held, (split,))[held.rows(split)]
                    said = [session.run(picture[None])[0] for picture in pictures]
                    outputs[f"{backend}-{precision}_{split}"] = np.stack(said)
            print(f"  {backend}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return outputs


def _store(path: Path, outputs: Outputs) -> None:
    arrays: dict[str, Any] = dict(outputs)
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def pooled(
    found: Mapping[str, Outputs],
    labels: Mapping[str, NDArray[np.int64]],
    groups: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> dict[str, Any]:
    """int8 less fp32 of each network in each runtime, on each split and on both together, and the mean over them.

    Lesions are drawn once for all networks and runtimes, so the interval of the mean knows that they share them. It is about
    these networks: another training would be another one.
    """
    backends = sorted({key.partition("-")[0] for outputs in found.values() for key in outputs})
    cells = [(network, backend) for network in found for backend in backends]
    rows: list[dict[str, Any]] = [{"network": network, "backend": backend} for network, backend in cells]
    means: dict[str, Any] = {}
    for name, splits in (*((split, (split,)) for split in _SPLITS), ("both", _SPLITS)):
        truth = np.concatenate([labels[split] for split in splits])
        lesions = [group for split in splits for group in groups[split]]
        drawn: dict[str, list[NDArray[np.float64]]] = {metric: [] for metric in _METRICS}
        for row, (network, backend) in zip(rows, cells, strict=True):
            fp32, int8 = (
                np.concatenate([found[network][f"{backend}-{precision}_{split}"] for split in splits])
                for precision in _PRECISIONS
            )
            before, after = (draws(said, truth, lesions, classes) for said in (fp32, int8))
            row[name] = {"top1_agreement": compare(int8, fp32).top1_agreement}
            for metric in _METRICS:
                drawn[metric].append(after[metric] - before[metric])
                row[name][metric] = spread(drawn[metric][-1], lesions).to_json()
                row[name][f"{metric}_fp32"] = float(before[metric][0])
        means[name] = {metric: spread(np.mean(parts, axis=0), lesions).to_json() for metric, parts in drawn.items()}
        means[name]["top1_agreement"] = float(np.mean([row[name]["top1_agreement"] for row in rows]))
        means[name] |= {"images": len(truth), "groups": len(set(lesions))}
        means[name]["of_backend"] = {
            backend: {
                metric: spread(
                    np.mean([part for part, (_, each) in zip(parts, cells, strict=True) if each == backend], axis=0),
                    lesions,
                ).to_json()
                for metric, parts in drawn.items()
            }
            for backend in backends
        }
    return {"rows": rows, "mean": means}


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows, mean = result["rows"], result["mean"]["both"]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    loss, auroc = mean["balanced_accuracy"], mean["auroc"]
    shown = []
    for row in rows:
        splits = [_points(row[split]["balanced_accuracy"]) for split in (*_SPLITS, "both")]
        fp32, agreement = row["both"]["balanced_accuracy_fp32"], row["both"]["top1_agreement"]
        shown.append(
            [row["network"], row["backend"], f"{fp32:.3f}", *splits, _points(row["both"]["auroc"]), f"{agreement:.1%}"]
        )
    for backend, means in mean["of_backend"].items():
        shown.append(["mean", backend, "", *_across(result, backend), _points(means["auroc"]), ""])
    everywhere = [_points(result["mean"][split]["balanced_accuracy"]) for split in (*_SPLITS, "both")]
    shown.append(["mean", "all", "", *everywhere, _points(auroc), f"{mean['top1_agreement']:.1%}"])
    head = [
        "network",
        "runtime",
        "fp32, pooled",
        "validation",
        "test",
        "pooled",
        "AUROC, pooled",
        "top-1 agreement, pooled",
    ]
    words = "; ".join(f"{name}: {NETWORKS[name]}" for name in networks)
    return "\n".join(
        [
            "## What int8 costs, over several networks\n",
            made_by(result),
            f"{len(networks)} networks of the section before ({words}), written as fp32 and as post-training int8 by the "
            f"converters that a build calls, {result['calibration_images']} training images for the ranges, each file in its "
            f"own runtime. {mean['images']:,} validation and test images of {mean['groups']:,} lesions, none of which chose "
            "anything. Points of balanced accuracy, int8 minus fp32 of the same runtime; the interval of a mean draws the same "
            "lesions for all networks and runtimes, and is about these networks.\n",
            table(head, shown),
            f"The mean difference on the pooled images is {_points(loss)} points of balanced accuracy and {_points(auroc)} of "
            f"AUROC. The bar of {100 * _BAR:+.1f} is {_met(loss, _BAR)}; the {100 * _GOAL:+.1f} that we want is "
            f"{_met(loss, _GOAL)}.\n",
        ]
    )


def _across(result: Mapping[str, Any], backend: str) -> list[str]:
    return [_points(result["mean"][split]["of_backend"][backend]["balanced_accuracy"]) for split in (*_SPLITS, "both")]


def _points(metric: Mapping[str, float]) -> str:
    return points(metric, digits=2)


def _met(loss: Mapping[str, float], bar: float) -> str:
    """Whether the value reaches a bar, and whether its interval does."""
    if loss["value"] < bar:
        return "missed" if loss["high"] < bar else "missed by the value, not by its whole interval"
    return "held by its whole interval" if loss["low"] >= bar else "held by the value, not by its whole interval"


if __name__ == "__main__":
    main()
