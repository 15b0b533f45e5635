"""Does a teacher help a small student, and is the guarded choice safe?

    EDGETL_HAM10000=... python -m benchmarks.distillation_baseline [--only ROW/SEED ...]

HAM10000 at 128 px, split by lesion: mobilenetv3_small_100 from random weights, ten epochs each, three seeds; trained alone
and with each distillation loss at weight 1. `guarded` trains nothing: it is edgetl's own rule
(`edgetl.evidence.model_selection`) over the trainings "alone" and "dist" of the same seed: as a build with
`distil.weights: [0, 1]` and trials as long as the student's training chooses.
Hyper-parameters are the recipe's defaults; nothing was tuned here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import interval, made_by, table
from benchmarks.provenance import provenance
from benchmarks.study import METRICS, Cell, Study, compare, made_at
from edgetl.evidence.model_selection import RULE, choose

RESULT = Path(__file__).parent / "results" / "distillation_baseline.json"

STUDY = Study(
    "distillation_baseline",
    Path("recipes/skin_mobile.yaml"),
    rows={
        "alone": ["distil.weights=[0.0]"],
        "kd": ["distil.weights=[1.0]", "distil.loss=kd"],
        "kd_standardized": ["distil.weights=[1.0]", "distil.loss=kd_standardized"],
        "dist": ["distil.weights=[1.0]", "distil.loss=dist"],
    },
    seeds=(0, 1, 2),
    fixed=[
        "data.split.seed=0",
        "teacher.seed=0",
        "student={backbone: mobilenetv3_small_100}",
        "distil.epochs=10",
        "prune=null",
    ],
)
_GUARDED = ("alone", "dist")
_WORDS = {
    "alone": "trained alone",
    "kd": "Hinton",
    "kd_standardized": "logit-standardized",
    "dist": "DIST",
    "guarded": "guarded choice of alone and DIST",
}


def main() -> None:
    """Compute the missing cells, compare, write the result file."""
    cells = STUDY.run(sys.argv[1:])
    chosen = [_guard([cells[row][index] for row in _GUARDED]) for index in range(len(STUDY.seeds))]
    cells["guarded"] = [cells[row][index] for index, row in enumerate(chosen)]
    first = cells["alone"][0]
    result = {
        **provenance("benchmarks.distillation_baseline"),
        "seeds": list(STUDY.seeds),
        "fixed": list(STUDY.fixed),
        "test": {"images": len(first.labels["test"]), "groups": len(set(first.groups["test"]))},
        "made_at": made_at(cells),
        "rule": RULE,
        "chosen": chosen,
        "rows": compare(cells, reference="alone"),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def _guard(candidates: Sequence[Cell]) -> str:
    """The row that the guard keeps, on validation."""
    first = candidates[0]
    logits = [cell.logits["val"] for cell in candidates]
    index, _ = choose(logits, first.labels["val"], first.groups["val"], first.about["seed"])
    return str(candidates[index].about["row"])


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for name, row in result["rows"].items():
        cells = [_WORDS[name]]
        for metric in METRICS:
            seeds = ", ".join(f"{value:.3f}" for value in row[metric]["seeds"])
            difference = row.get(f"{metric}_difference")
            cells += [f"{interval(row[metric])} ({seeds})"]
            cells += [f"{interval(difference)}: {difference['verdict']}" if difference else ""]
        rows.append([*cells, f"{sum(row['seconds']) / len(row['seconds']):.0f}" if name != "guarded" else ""])
    head = [
        "",
        "balanced accuracy (seeds)",
        "against alone",
        "AUROC (seeds)",
        "against alone",
        "seconds, machine shared",
    ]
    chosen = ", ".join(f"{name} (seed {seed})" for seed, name in zip(result["seeds"], result["chosen"], strict=True))
    return "\n".join(
        [
            "## Does a teacher help a small student?\n",
            made_by(result),
            "mobilenetv3_small_100 from random weights, ten epochs at 128 px, HAM10000 by lesion, one teacher "
            f"(tf_efficientnet_lite0), {len(result['seeds'])} seeds of the student; tested on "
            f"{result['test']['images']:,} images of {result['test']['groups']:,} lesions. Intervals are over seeds and "
            "lesions; a difference whose interval holds 0 is inside the noise, and called no difference.\n",
            table(head, rows),
            f"The guard, which sees validation only, kept: {chosen}.\n",
        ]
    )


if __name__ == "__main__":
    main()
