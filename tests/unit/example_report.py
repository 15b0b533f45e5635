"""A report.json and its extras as a HAM10000 build leaves them, for the tests of what is made from it.

`python tests/unit/example_report.py` writes the page and the card into the current folder, to look at them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgetl.config.recipe import Recipe
from edgetl.evidence.calibration import fit_temperature, operating_points, reliability, softmax
from edgetl.evidence.gates import fp32_parity, int8_collapse, quantization_drop
from edgetl.evidence.intervals import paired_difference, with_intervals
from edgetl.evidence.parity import compare
from edgetl.report.card import model_card
from edgetl.report.render import Extras, render

CLASSES = {"akiec": 271, "bcc": 432, "bkl": 916, "df": 98, "mel": 961, "nv": 5699, "vasc": 116}
MODELS = (("teacher", 3.4e6, 128e6, 2.3), ("student", 4.2e6, 72e6, 2.2), ("pruned", 2.9e6, 43e6, 2.15))
SIZES = {"onnx": 4.6e6, "openvino": 4.9e6, "tflite": 4.5e6}
TIMES = {"onnx": 3.1, "openvino": 1.9, "tflite": 2.3}


def make_report(stand_in: str | None = None, classes: dict[str, int] | None = None) -> dict[str, Any]:
    """A report.json like that of a HAM10000 build: simulated outputs, but true metrics, parity and gates.

    Args:
        stand_in: the name of a stand-in data set.
        classes: label to image count; 15 % each are validation and test, two images make a lesion.
    """
    classes = classes or CLASSES
    generator = np.random.default_rng(7)
    test = {label: max(2, round(0.15 * images)) for label, images in classes.items()}
    labels = np.repeat(np.arange(len(classes)), list(test.values()))
    groups = [f"lesion_{index // 2}" for index in range(len(labels))]
    noise = np.repeat(generator.normal(size=((len(labels) + 1) // 2, len(classes))), 2, axis=0)[: len(labels)]
    names = list(classes)

    def logits(skill: float) -> Any:
        scores = noise + 0.3 * generator.normal(size=noise.shape)
        scores[np.arange(len(labels)), labels] += skill
        return scores

    def measured(probabilities: Any) -> dict[str, Any]:
        points = operating_points(probabilities, labels, names)
        intervals = with_intervals(probabilities, labels, groups, names, points, resamples=100)
        confusion = np.zeros((len(names), len(names)), dtype=int)
        np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
        return {
            "metrics": {name: interval.to_json() for name, interval in intervals.items()},
            "thresholds": points,
            "confusion": confusion.tolist(),
            "reliability": reliability(probabilities, labels),
        }

    models = []
    for name, parameters, macs, skill in MODELS:
        scores = logits(skill)
        reference = softmax(scores, fit_temperature(scores, labels))
        latency = [_latency(0.3 * macs / 1e6, threads) for threads in (1, 2)]
        sizes = {"parameters": int(parameters), "macs": int(macs)}
        models.append({"name": name, **sizes, "latency": latency, **measured(reference)})

    artifacts, gates = [], []
    for backend in SIZES:
        coarse = softmax(np.log(reference) + 0.12 * generator.normal(size=reference.shape))
        for precision, outputs, share in (("fp32", reference, 1.0), ("int8", coarse, 0.3)):
            name = f"{backend}-{precision}"
            parity = compare(outputs, reference)
            artifacts.append(
                {
                    "name": name,
                    "model": "pruned",
                    "backend": backend,
                    "precision": precision,
                    "path": f"models/{name}.{backend}",
                    "sha256": "3f" * 32,
                    "bytes": int(SIZES[backend] * share / 0.4),
                    "parity": parity.to_json(),
                    "latency": [_latency(TIMES[backend] * (0.5 + share), threads) for threads in (1, 2)],
                    **measured(outputs),
                }
            )
            if precision == "fp32":
                gates.append(fp32_parity(name, parity).to_json())
        pair = (coarse, reference, labels, groups, names)
        gates.append(int8_collapse(name, paired_difference("accuracy", *pair, resamples=100)).to_json())
        drop = paired_difference("balanced_accuracy", *pair, resamples=100)
        gates.append(quantization_drop(name, drop, max_drop=0.003).to_json())

    machine = {"processor": "AMD EPYC 9R14", "cores": 2, "memory_gb": 8, "system": "Linux", "machine": "x86_64"}
    recipe = Recipe.model_validate(
        {
            "name": "skin_mobile",
            "data": {"kind": "ham10000", "root": "r"},
            "student": {"attention": "coord"},
            "prune": {"macs": 0.6},
        }
    )
    return {
        "schema": 1,
        "edgetl": "0.1.0",
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "stand_in": stand_in,
        "environment": {
            **machine,
            "python": "3.11.2",
            "targets": {"local_cpu": machine},
            "tools": {"torch": "2.13.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1", "ai-edge-litert": "2.3.0"},
        },
        "data": {
            "source": "ham10000",
            "images": sum(classes.values()),
            "classes": classes,
            "has_groups": True,
            "splits": _splits(classes, test),
            "leaks": {
                "groups": [],
                "identical": [{"images": ["a.jpg", "b.jpg"], "labels": ["nv"], "splits": ["train"]}],
            },
            "warnings": ["2 files are byte-identical to another one; identical files were kept in one split"],
        },
        "models": models,
        "comparisons": [
            {
                "candidate": "student",
                "reference": "teacher",
                "metric": "balanced_accuracy",
                "difference": {"value": -0.012, "low": -0.03, "high": 0.006},
            }
        ],
        "artifacts": artifacts,
        "gates": gates,
        "stages": [
            {"name": name, "key": "9c" * 32, "seconds": seconds, "cached": name == "data"}
            for name, seconds in (
                ("data", 41.2),
                ("teach", 1312.0),
                ("distil", 4020.0),
                ("prune", 900.0),
                ("export.onnx", 7.7),
            )
        ],
    }


def make_extras(classes: dict[str, int] | None = None) -> Extras:
    """Histories of a teacher and two candidates, a picture of each class, and a few predictions."""
    names = list(classes or CLASSES)
    generator = np.random.default_rng(3)

    def picture() -> bytes:
        skin = generator.normal((214, 168, 146), 6, size=(64, 64, 3))
        far = np.hypot(*(np.mgrid[:64, :64] - generator.integers(24, 40, 2)[:, None, None]))
        skin[far < generator.integers(10, 22)] *= generator.uniform(0.35, 0.7)
        buffer = io.BytesIO()
        Image.fromarray(skin.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
        return buffer.getvalue()

    def history(epochs: int, top: float) -> list[dict[str, float]]:
        rise = [1 - np.exp(-epoch / 4) for epoch in range(1, epochs + 1)]
        return [
            {
                "epoch": epoch,
                "label_loss": 1.9 - 2 * top * value,
                "val_balanced_accuracy": top * value + 0.01 * generator.normal(),
                "val_auroc": 0.5 + (0.1 + 0.5 * top) * value,
            }
            for epoch, value in enumerate(rise, start=1)
        ]

    chances = generator.dirichlet(np.full(len(names), 0.4), 8)
    chances = (chances + np.eye(len(names))[np.arange(8) % len(names)] * 0.6) / 1.6
    return {
        "histories": {
            "teacher": history(8, 0.7),
            "student, weight 0": history(15, 0.6),
            "student, weight 1": history(15, 0.66),
        },
        "samples": [{"image": picture(), "label": name} for name in names for _ in range(3)],
        "predictions": [
            {
                "image": picture(),
                "label": names[index % len(names)],
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for index, row in enumerate(chances)
        ],
    }


def _latency(p50: float, threads: int) -> dict[str, Any]:
    p50 /= threads**0.7
    return {
        "target": "local_cpu",
        "origin": "measured",
        "mode": "quick",
        "compute_precision": "fp32",
        "accelerator": "cpu",
        "placement": "all on cpu",
        "batch": 1,
        "threads": threads,
        "runs": 100,
        "noisy": threads == 2 and p50 > 4,
        "p50_ms": p50,
        "p90_ms": 1.1 * p50,
        "p99_ms": 1.3 * p50,
        "first_ms": 3 * p50,
        "load_ms": 38.0,
        "peak_rss_mb": 71.5,
    }


def _splits(classes: dict[str, int], test: dict[str, int]) -> dict[str, Any]:
    held = {"val": test, "test": test}
    counts = {"train": {label: images - 2 * test[label] for label, images in classes.items()}} | held
    return {
        name: {"images": sum(of.values()), "groups": sum(of.values()) // 2, "classes": of}
        for name, of in counts.items()
    }


def main() -> None:
    """Write the example page and card."""
    Path("report.html").write_text(render(make_report(stand_in="skin_phantom"), make_extras()), encoding="utf-8")
    Path("MODEL_CARD.md").write_text(model_card(make_report()), encoding="utf-8")


if __name__ == "__main__":
    main()
