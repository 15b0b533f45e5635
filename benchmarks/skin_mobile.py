"""The main recipe on real data: accuracy with intervals, what each step cost, and what pruning and int8 gain in time.

    EDGETL_HAM10000=... python -m benchmarks.skin_mobile

Builds `recipes/skin_mobile.yaml` (what is in the store is not computed again), then the same without pruning, and measures
the artefacts of both and PyTorch eager in one interleaved run. Times of the build are those of the stages when they were
computed; they are wall times of a shared machine.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.markdown import interval, made_by, table
from benchmarks.provenance import provenance
from edgetl.config import target
from edgetl.console.progress import Console
from edgetl.devices.latency import latency
from edgetl.devices.pytorch import worker as pytorch
from edgetl.results.latency import Latency
from edgetl.results.report import Report, ReportedArtifact, ReportedModel
from edgetl.results.training import DistilResult, PruneResult, Run, Scores, TeachResult, TrialResult
from edgetl.runtime.manifest import Artifact, Manifest

RESULT = Path(__file__).parent / "results" / "skin_mobile.json"
RECIPE = "recipes/skin_mobile.yaml"
_ABOUT: tuple[str, ...] = ("name", "parameters", "macs", "bytes", "parity")
_DATA = ("source", "images", "classes", "splits", "has_groups")
_LATENCY = ("threads", "runs", "p50_ms", "p90_ms", "load_ms", "peak_rss_mb", "noisy")
_LATE = (
    "The networks are those of an earlier edgetl, trained for 15 epochs and pruned after them: their accuracy is left out, "
    "what they cost in time holds.\n"
)
_METRICS = ("balanced_accuracy", "accuracy", "auroc", "auroc.mel", "sensitivity.mel", "ece")


def main() -> None:
    """Build, measure, write the result file."""
    build("runs/skin_mobile")
    build("runs/skin_mobile_unpruned", "prune=null")
    pruned, unpruned = (Report.read(Path("runs") / run) for run in ("skin_mobile", "skin_mobile_unpruned"))
    if pruned.stand_in:
        sys.exit("error: this benchmark is about real data: set EDGETL_HAM10000")
    rows = _measure()
    result = {
        **provenance("benchmarks.skin_mobile"),
        "recipe": pruned.recipe,
        "seed": pruned.recipe["seed"],
        "data": _kept(pruned.data, _DATA),
        "stages": list(map(asdict, pruned.stages)),
        "trainings": list(_trainings(pruned)),
        "models": list(map(_accuracy, pruned.models)),
        "artifacts": list(map(_accuracy, pruned.artifacts)),
        "unpruned_artifacts": list(map(_accuracy, unpruned.artifacts)),
        "comparisons": list(map(asdict, pruned.comparisons)),
        "gates": [asdict(gate) for gate in pruned.gates if gate.subject != "data"],
        "latency": {name: [_kept(row, _LATENCY) for row in found] for name, found in rows.items()},
        "ratios": _ratios(rows),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def build(run: str, *overrides: str) -> None:
    """`edgetl build`, as a user runs it."""
    words = [word for override in overrides for word in ("--set", override)]
    subprocess.run([sys.executable, "-m", "edgetl", "build", RECIPE, "--out", run, *words], check=True)


def _trainings(report: Report) -> Iterator[dict[str, Any]]:
    """Epochs and seconds of each training, summed over its epochs, whether or not it was interrupted in between."""

    def line(name: str, run: Run, validation: Scores) -> dict[str, Any]:
        return {
            "name": name,
            "epochs": len(run.history),
            "seconds": run.seconds,
            "validation": asdict(validation),
        }

    folders = {stage.name: Path(".edgetl/entries") / stage.key for stage in report.stages}
    tried = TrialResult.read(folders["trial"])
    results: dict[str, TeachResult | DistilResult | PruneResult] = {
        "teacher": TeachResult.read(folders["teach"]),
        "student": DistilResult.read(folders["distil"]),
        "pruned student": PruneResult.read(folders["prune"]),
    }
    for candidate, run in zip(tried.trial.candidates, tried.runs, strict=True):
        chosen = ", chosen" if candidate.chosen else ""
        yield line(f"trial, teacher's weight {candidate.weight:g}{chosen}", run, candidate.validation)
    for name, result in results.items():
        if not (result.run and result.training):
            sys.exit(
                "error: this benchmark is about a recipe with a teacher that prunes, and an unpruned student beside it"
            )
        yield line(name, result.run, result.training.validation)


def _accuracy(entry: ReportedModel | ReportedArtifact) -> dict[str, Any]:
    return _kept(entry, _ABOUT) | {"metrics": {name: asdict(entry.metrics[name]) for name in _METRICS}}


def _kept(document: Any, names: Sequence[str]) -> dict[str, Any]:
    """Those of the fields that a dataclass has."""
    return {name: value for name, value in asdict(document).items() if name in names}


def _measure() -> dict[str, list[Latency]]:
    """Both bundles' artefacts and the PyTorch networks, interleaved in one run."""
    artifacts: list[tuple[Path, Artifact]] = []
    for run, prefix in (("runs/skin_mobile", "pruned"), ("runs/skin_mobile_unpruned", "unpruned")):
        bundle = Path(run) / "bundle"
        artifacts += [(bundle, replace(one, name=f"{prefix} {one.name}")) for one in Manifest.load(bundle).artifacts]
    store = Path(".edgetl/entries")
    report = Report.read(Path("runs/skin_mobile"))
    size = report.shown_recipe.data.image_size
    stages = {stage.name: stage.key for stage in report.stages}
    baselines = {
        name: [functools.partial(pytorch.worker, network=store / stages[stage] / "network", size=size)]
        for name, stage in (("unpruned pytorch", "distil"), ("pruned pytorch", "prune"))
    }
    with Console() as console:
        found = latency(target.load("local_cpu", Path.cwd()), artifacts, baselines, "quick", console.advance)
    if found.unmeasured:
        sys.exit(f"error: {found.unmeasured[0].name}: {found.unmeasured[0].reason}")
    return found.rows


def _ratios(rows: Mapping[str, Sequence[Latency]]) -> list[dict[str, Any]]:
    """Times divided round by round: int8 by fp32, pruned by unpruned, each artefact by PyTorch eager."""
    pairs = []
    for backend in ("onnx", "openvino", "tflite"):
        pairs += [(f"pruned {backend}-int8", f"pruned {backend}-fp32")]
        pairs += [(f"unpruned {backend}-int8", f"unpruned {backend}-fp32")]
        pairs += [(f"pruned {backend}-{kind}", f"unpruned {backend}-{kind}") for kind in ("fp32", "int8")]
        pairs += [(f"pruned {backend}-int8", "unpruned pytorch")]
    pairs += [("pruned pytorch", "unpruned pytorch")]
    return [
        {"time_of": ours, "over": theirs, "threads": one.threads, **_spread(one.round_ms, other.round_ms)}
        for ours, theirs in pairs
        for one, other in zip(rows[ours], rows[theirs], strict=True)
    ]


def _spread(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    quotients = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return {"median": statistics.median(quotients), "low": quotients[0], "high": quotients[-1]}


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    test = result["data"]["splits"]["test"]
    trained = sum(training["seconds"] for training in result["trainings"])
    other = sum(
        stage["seconds"] for stage in result["stages"] if stage["name"] not in ("teach", "trial", "distil", "prune")
    )
    if any(one["name"] == "recovery after pruning" for one in result["trainings"]):
        return "\n".join(["## What pruning and int8 gain in time\n", made_by(result), _LATE, *_gains(result)])
    parts = [
        "## The main recipe on HAM10000\n",
        made_by(result),
        f"{result['data']['images']:,} images, split by lesion; tested on {test['images']:,} images of {test['groups']:,} "
        f"lesions that no training saw. One seed ({result['seed']}). Training took {trained / 60:.0f} minutes and "
        f"the other stages {other / 60:.0f}, on a machine that was shared.\n",
        _accuracy_table(result),
        _gap(result["models"]),
        "What each step cost, paired on the same test images (candidate minus reference):\n",
        _comparisons(result["comparisons"]),
        *_gains(result),
        "The trainings, and the validation scores that epochs and candidates were chosen by:\n",
        table(
            ["training", "epochs", "seconds", "balanced accuracy", "AUROC"],
            [
                [
                    one["name"],
                    str(one["epochs"]),
                    f"{one['seconds']:.0f}",
                    f"{one['validation']['balanced_accuracy']:.3f}",
                    f"{one['validation']['auroc']:.3f}",
                ]
                for one in result["trainings"]
            ],
        ),
        "Wall time of each stage in the build that ended it:\n",
        table(
            ["stage", "seconds", "peak memory so far, MB"],
            [
                [stage["name"], f"{stage['seconds']:.0f}", _number(stage.get("peak_rss_mb"))]
                for stage in result["stages"]
            ],
        ),
    ]
    return "\n".join(parts)


def _gains(result: Mapping[str, Any]) -> list[str]:
    return [
        "Time divided round by round in one run (smaller is faster):\n",
        _ratio_table(result["ratios"]),
        "Milliseconds for one image, in that run:\n",
        _latencies(result["latency"]),
    ]


def _number(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:,.0f}"


def _accuracy_table(result: Mapping[str, Any]) -> str:
    rows = []
    for entry in [*result["models"], *result["artifacts"]]:
        metrics, parity = entry["metrics"], entry.get("parity")
        size = f"{entry['macs'] / 1e6:.0f} M MACs" if "macs" in entry else f"{entry['bytes'] / 1e6:.2f} MB"
        agreement = f"{parity['max_abs_diff']:.1e}, {parity['top1_agreement']:.1%}" if parity else ""
        shown = [interval(metrics[name]) for name in ("balanced_accuracy", "accuracy", "auroc", "auroc.mel", "ece")]
        rows.append([entry["name"], size, *shown, agreement])
    head = [
        "",
        "size",
        "balanced accuracy",
        "accuracy",
        "AUROC",
        "melanoma AUROC",
        "ECE",
        "against PyTorch: max, top-1",
    ]
    return table(head, rows)


def _gap(models: Sequence[Mapping[str, Any]]) -> str:
    """Whether the student reaches its teacher, and why not."""
    metrics = {model["name"]: model["metrics"]["balanced_accuracy"] for model in models}
    student, teacher = metrics["student"], metrics["teacher"]
    if student["value"] >= teacher["low"]:
        return "The student's balanced accuracy lies within its teacher's interval.\n"
    return (
        f"The student's balanced accuracy is {100 * (teacher['low'] - student['value']):.1f} points below its teacher's "
        "interval. The teacher starts from ImageNet weights; the student starts from random ones, because no MobileNetV3 "
        "weights install without a model hub, and sees some six thousand images. Where the hub is reachable, "
        "`student: {weights: hub}` starts it from ImageNet too (not run here).\n"
    )


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> str:
    def verdict(difference: Mapping[str, float]) -> str:
        if difference["low"] <= 0.0 <= difference["high"]:
            return "no difference"
        return "better" if difference["value"] > 0 else "worse"

    return table(
        ["candidate", "reference", "metric", "difference", ""],
        [
            [one["candidate"], one["reference"], one["metric"], interval(one["difference"]), verdict(one["difference"])]
            for one in comparisons
        ],
    )


def _ratio_table(ratios: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ["time of", "over the time of", "threads", "ratio"],
        [
            [
                one["time_of"],
                one["over"],
                str(one["threads"]),
                f"{one['median']:.2f} [{one['low']:.2f}, {one['high']:.2f}]",
            ]
            for one in ratios
        ],
    )


def _latencies(latency: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = [
        [
            name,
            str(row["threads"]),
            f"{row['p50_ms']:.2f}",
            f"{row['p90_ms']:.2f}",
            f"{row['load_ms']:.0f}",
            f"{row['peak_rss_mb']:.0f}",
            "noisy" if row["noisy"] else "",
        ]
        for name, found in latency.items()
        for row in found
    ]
    return table(["", "threads", "p50", "p90", "load", "peak memory, MB", ""], rows)


if __name__ == "__main__":
    main()
