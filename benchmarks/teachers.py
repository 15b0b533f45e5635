"""What a teacher can say to a compact student, each way trained to the end: alone, DIST, DKD, three teachers, hints.

    python -m benchmarks.teachers CELLS... SPLIT

CELLS are outputs of `benchmarks.gpu_study` (`cells.json`, `logits.npz`), SPLIT its `split.json`. As in
`benchmarks.schedules` nothing was chosen on validation or test, so both are judged, and their pool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import interval, made_by, points, table
from benchmarks.provenance import provenance
from benchmarks.schedules import judged, pairs_table, studied

RESULT = Path(__file__).parent / "results" / "teachers.json"
STUDENTS = {
    "main": "MobileNetV3-L with coordinate attention, random start",
    "lite0": "EfficientNet-Lite0 from ImageNet",
}
WAYS = {
    "alone": "labels alone",
    "dist": "DIST from one teacher",
    "dkd": "DKD from one teacher",
    "hints": "DIST and hints from one teacher",
    "kd3": "KD (T = 1, weight 2) from three teachers",
}
_QUESTIONS = tuple(
    (reference, way)
    for reference, ways in (("alone", ("dist", "dkd", "hints", "kd3")), ("dist", ("dkd", "hints", "kd3")))
    for way in ways
)
SEEDS = (0, 1)
PAIRS = tuple(
    (f"{student}_{way}_{seed}", f"{student}_{reference}_{seed}")
    for student in STUDENTS
    for seed in SEEDS
    for reference, way in _QUESTIONS
)
MEANS = {
    (f"{student}_{way}, both seeds", f"{student}_{reference}, both seeds"): [
        (f"{student}_{way}_{seed}", f"{student}_{reference}_{seed}") for seed in SEEDS
    ]
    for student in STUDENTS
    for reference, way in _QUESTIONS
}
_METRICS = ("balanced_accuracy", "auroc", "auroc.mel")


def main() -> None:
    """Judge the cells, write the result file."""
    logits, about, split = studied("benchmarks.teachers")
    cells = {name: cell for name, cell in about["cells"].items() if name.partition("_")[0] in STUDENTS}
    result = {
        **provenance("benchmarks.teachers"),
        "command": "python -m benchmarks.teachers CELLS... SPLIT",
        "card": about["card"],
        "torch": about["torch"],
        **judged(logits, split, cells, PAIRS, MEANS),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    cells, both = result["cells"], result["pools"]["both"]
    rows = []
    for name, cell in cells.items():
        student, way, seed = name.split("_")
        shown = (interval(cell["both"][metric]) for metric in _METRICS)
        rows.append([STUDENTS[student], WAYS[way], str(cell["epochs"]), seed, *shown])
    missing = [
        f"{student} {WAYS[way]} (seed {seed})"
        for student in STUDENTS
        for way in WAYS
        for seed in SEEDS
        if f"{student}_{way}_{seed}" not in cells
    ]
    return "\n".join(
        [
            "## What a teacher says\n",
            made_by(result),
            f"HAM10000 by lesion at 128 px on one {result['card']}, PyTorch {result['torch']}, with the own loop of "
            "`benchmarks.gpu_study` and edgetl's networks and losses; a cosine each; the teachers are EfficientNet-Lite0, 25 "
            f"epochs. Validation and test pooled ({both['images']:,} images of {both['groups']:,} lesions), none chosen by; "
            "intervals are over lesions and do not hold what another seed would change.\n",
            table(["student", "taught by", "epochs", "seed", "balanced accuracy", "AUROC", "melanoma AUROC"], rows),
            _says(result["pairs"]),
            "\nPaired on the same images, candidate minus reference:\n",
            pairs_table(result["pairs"]),
            f"\nNot finished in the time: {'; '.join(missing)}.\n" if missing else "",
        ]
    )


def _says(pairs: Sequence[Mapping[str, Any]]) -> str:
    """What both seeds together say, first on validation alone, which may choose, then on test."""
    lines = []
    for pair in pairs:
        ours, _, seeds = pair["candidate"].partition(", ")
        if seeds:
            student, way = ours.split("_")
            reference = pair["reference"].partition(", ")[0].split("_")[1]
            said = (
                f"{points(pair[pool]['mean'])} ({pair[pool]['mean']['verdict']})" for pool in ("val", "test", "both")
            )
            lines.append([STUDENTS[student], f"{WAYS[way]} - {WAYS[reference]}", *said])
    head = ["student", "", "validation", "test", "both"]
    return (
        f"\nBoth seeds together, mean of balanced accuracy and AUROC, points:\n\n{table(head, lines)}" if lines else ""
    )


if __name__ == "__main__":
    main()
