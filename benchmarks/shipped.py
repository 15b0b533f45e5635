"""The main recipe's files, where another machine did the trainings: made, verified and measured here by the same commit.

    EDGETL_HAM10000=... EDGETL_STORE=STORE python -m benchmarks.shipped TRAINED RUN

TRAINED is the store of a build of `recipes/skin_mobile.yaml` up to its evaluation with `prune.reference=true`, on a GPU host
without converters say (`benchmarks.gpu_host` leaves one). Its teachers, students and evaluation are taken as they are; data,
files and all that follows are computed here, into RUN. A RUN that is there is only read.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import edgetl
from benchmarks.markdown import interval, made_by, points, table
from benchmarks.provenance import provenance
from edgetl import pipeline
from edgetl.errors import GateFailed
from edgetl.results.latency import Latency
from edgetl.results.report import Report
from edgetl.stages.common.stage import Context

RESULT = Path(__file__).parent / "results" / "shipped.json"
RECIPE = "recipes/skin_mobile.yaml"
_TAKEN = ("teach", "trial", "distil", "prune", "evaluate")
_METRICS = ("balanced_accuracy", "auroc", "auroc.mel", "ece")


def main() -> None:
    """Build what is missing, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path)
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    if not (args.run / "report.json").is_file():
        _build(args.trained, args.run)
    report = Report.read(args.run)
    if report.stand_in:
        sys.exit("error: this benchmark is about real data: set EDGETL_HAM10000")
    result = {
        **provenance("benchmarks.shipped"),
        "command": "python -m benchmarks.shipped TRAINED RUN",
        "images": report.data.splits.test.images,
        "groups": report.data.splits.test.groups,
        "models": [_scores(model) for model in report.models],
        "artifacts": [_scores(artifact) for artifact in report.artifacts],
        "comparisons": [asdict(each) for each in report.comparisons],
        "gates": [asdict(gate) for gate in report.gates if not gate.passed],
        "latency": {each.name: [_time(row) for row in each.latency] for each in report.artifacts},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def _build(trained: Path, run: Path) -> None:
    entries = {
        json.loads(path.read_text(encoding="utf-8"))["stage"]: path.parent
        for path in trained.glob("entries/*/entry.json")
    }
    whole = pipeline.all_stages
    pipeline.all_stages = lambda: tuple(
        dataclasses.replace(stage, run=_taken(entries[stage.name])) if stage.name in _TAKEN else stage
        for stage in whole()
    )
    try:
        with contextlib.suppress(GateFailed):  # the report is there, and says so
            edgetl.build(RECIPE, overrides=["prune.reference=true"], out=run, progress=print)
    finally:
        pipeline.all_stages = whole


def _taken(entry: Path) -> Any:
    def run(context: Context) -> None:
        shutil.copytree(entry, context.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("entry.json"))

    return run


def _time(row: Latency) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name in ("threads", "p50_ms", "p90_ms", "noisy")}


def _scores(entry: Any) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(entry).items() if name in ("name", "macs", "bytes", "parity")}
    return kept | {"metrics": {name: asdict(entry.metrics[name]) for name in _METRICS}}


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    head = ["", "size", "balanced accuracy", "AUROC", "melanoma AUROC", "ECE", "ms, one thread"]
    pairs = [
        [f"{each['candidate']} - {each['reference']}", each["metric"], points(each["difference"])]
        for each in result["comparisons"]
        if each["metric"] in _METRICS
    ]
    return "\n".join(
        [
            "## The main recipe's files\n",
            made_by(result),
            "Networks and evaluation are those of the build under [A GPU host](#a-gpu-host); the files were made, verified and "
            f"measured here. On test, {result['images']:,} images of {result['groups']:,} lesions:\n",
            table(head, rows(result)),
            "\nPaired on the same images, points:\n",
            table(["", "metric", "difference"], pairs),
            "\nGates that did not pass: " + ("; ".join(gate["message"] for gate in result["gates"]) or "none") + ".\n",
        ]
    )


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A row for each network and file, also the README's."""
    found = []
    for entry in [*result["models"], *result["artifacts"]]:
        size = f"{entry['macs'] / 1e6:.0f} M MACs" if "macs" in entry else f"{entry['bytes'] / 1e6:.2f} MB"
        times = [row for row in result["latency"].get(entry["name"], []) if row["threads"] == 1]
        time = f"{times[0]['p50_ms']:.2f}" + (" (noisy)" if times[0]["noisy"] else "") if times else ""
        found.append([entry["name"], size, *(interval(entry["metrics"][name]) for name in _METRICS), time])
    return found


if __name__ == "__main__":
    main()
