"""What the page and the card show, derived from report.json alone: the headline, the funnel, the cautions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetl.report.words import duration, listed, percent, size, title

__all__ = [
    "artifact_bytes",
    "best_latency",
    "funnel",
    "grouping",
    "headline",
    "headline_reason",
    "limits",
    "machine",
    "sensitivities",
    "shortfalls",
    "story",
    "tradeoff_points",
]

Report = Mapping[str, Any]
Entry = Mapping[str, Any]

_FEW_IMAGES = 30


def shortfalls(report: Report, severity: str) -> list[Entry]:
    """The gates of a severity that did not pass."""
    return [gate for gate in report["gates"] if not gate["passed"] and gate["severity"] == severity]


def artifact_bytes(artifact: Entry) -> int:
    """Size on the device: `total_bytes` where a file needs others beside it (OpenVINO's weights), else `bytes`."""
    return int(artifact.get("total_bytes", artifact["bytes"]))


def best_latency(entry: Entry, threads: int | None = 1) -> Entry | None:
    """The quickest median with this many threads (any, when None); measured before emulated and estimated ones."""
    rows = [row for row in entry.get("latency") or [] if threads is None or row["threads"] == threads]
    return min(rows, key=lambda row: (row["origin"] != "measured", row["p50_ms"])) if rows else None


def headline(report: Report) -> Entry | None:
    """The artefact that the page leads with: the quickest int8 file that no failed gate names, else the quickest."""
    failed = {gate["subject"] for gate in shortfalls(report, "fail")}

    def rank(artifact: Entry) -> tuple[bool, bool, float, int]:
        latency = best_latency(artifact) or best_latency(artifact, None)
        time = latency["p50_ms"] if latency else float("inf")
        return artifact["name"] in failed, artifact["precision"] != "int8", time, artifact_bytes(artifact)

    return min(report["artifacts"], key=rank) if report["artifacts"] else None


def headline_reason(report: Report) -> str:
    """Why the page leads with this artefact, in words."""
    artifact = headline(report)
    if artifact is None:
        return ""
    if artifact["name"] in {gate["subject"] for gate in shortfalls(report, "fail")}:
        return "the quickest file; all of them failed a gate"
    if artifact["precision"] == "int8":
        return "the quickest int8 file without a failed gate"
    return "the quickest file without a failed gate, for want of such an int8 file"


def grouping(report: Report) -> str:
    """What keeps the splits apart, in one sentence."""
    data = report["data"]
    if shared := len(data["leaks"]["groups"]):
        return f"{shared} lesions or patients have images in more than one split: every accuracy here is optimistic."
    if data.get("has_groups"):
        return "Images of one lesion or patient are in one split only."
    return (
        "The source does not say which images show the same lesion or patient: the split may leak, and every accuracy "
        "and interval here is optimistic."
    )


def machine(report: Report, target: str | None = None) -> str:
    """The processor of a target, as far as the report knows it; of the building machine without a target."""
    environment = report["environment"]
    found = environment if target is None else (environment.get("targets") or {}).get(target) or {}
    return str(found.get("processor") or "")


def story(report: Report) -> list[str]:
    """What was built, in three sentences."""
    recipe, data = report["recipe"], report["data"]
    student = recipe["student"]
    attention = student.get("attention")
    network = student["backbone"] + (f" with {attention} attention" if attention not in (None, "none") else "")
    pixels = recipe["data"]["image_size"]
    groups = sum(split["groups"] for split in data["splits"].values())
    of = f" of {groups:,} groups" if data.get("has_groups") else ""
    first = (
        f"From {data['images']:,} labelled images{of} this build made a classifier of {len(data['classes'])} classes: "
        f"a {network} that looks at {pixels} × {pixels} pixels."
    )
    prune = recipe.get("prune")
    pruned = f", pruning kept about {percent(prune['macs'], 0)} of its multiplications" if prune else ""
    formats = list(dict.fromkeys(title(artifact["backend"]) for artifact in report["artifacts"]))
    second = f"{_taught(recipe.get('teacher'))}{pruned}, and it was exported to {listed(formats)}."
    return [first, second, _result(report)]


def _taught(teacher: Entry | list[Entry] | None) -> str:
    if not teacher:
        return "It learned from the labels alone"
    if not isinstance(teacher, list):
        return f"A {teacher['backbone']} taught it"
    names = listed([one["backbone"] for one in teacher])
    return f"A {names} taught it" if len(teacher) == 1 else f"The average of {names} taught it"


def _result(report: Report) -> str:
    artifact = headline(report)
    if artifact is None:
        return "No artefact was made."
    images = report["data"]["splits"]["test"]["images"]
    accuracy = artifact["metrics"]["balanced_accuracy"]
    sentence = (
        f"On {images:,} test images that no training saw, the file {artifact['name']} "
        f"({size(artifact_bytes(artifact))}) reaches a balanced accuracy of {percent(accuracy['value'])}"
    )
    latency = best_latency(artifact) or best_latency(artifact, None)
    if latency is None:
        return sentence + "; its latency was not measured."
    threads = "one thread" if latency["threads"] == 1 else f"{latency['threads']} threads"
    time = f"{latency['p50_ms']:.3g} ms for an image on {latency['target']} with {threads}"
    return f"{sentence} and takes {time} ({latency['origin']})."


def funnel(report: Report) -> list[dict[str, Any]]:
    """Teacher, student, pruned and each artefact: size, work, balanced accuracy, and shares of the largest for bars."""
    models = {model["name"]: model for model in report["models"]}
    rows = [_step(model, model, None) for model in report["models"]]
    rows += [_step(artifact, models.get(artifact["model"]), artifact) for artifact in report["artifacts"]]
    most = max((row["macs"] or 0 for row in rows), default=0)
    heaviest = max((row["bytes"] or 0 for row in rows), default=0)
    for row in rows:
        row["work"] = (row["macs"] or 0) / most if most else 0.0
        row["weight"] = (row["bytes"] or 0) / heaviest if heaviest else 0.0
    return rows


def _step(entry: Entry, model: Entry | None, artifact: Entry | None) -> dict[str, Any]:
    parameters = model["parameters"] if model else None
    return {
        "name": entry["name"],
        "is_model": artifact is None,
        "parameters": parameters,
        "macs": model["macs"] if model else None,
        # A network that is no file yet is counted with four bytes a parameter.
        "bytes": 4 * parameters if artifact is None and parameters else artifact and artifact_bytes(artifact),
        "accuracy": (entry.get("metrics") or {}).get("balanced_accuracy"),
    }


def tradeoff_points(report: Report) -> list[dict[str, Any]]:
    """Points of the accuracy against latency plot: one thread, everything that has both numbers."""
    points = []
    for entry in [*report["models"], *report["artifacts"]]:
        latency, metrics = best_latency(entry), entry.get("metrics") or {}
        if latency and "balanced_accuracy" in metrics:
            points.append(
                {
                    "name": entry["name"],
                    "backend": entry.get("backend", "pytorch"),
                    "precision": entry.get("precision", "fp32"),
                    "p50_ms": latency["p50_ms"],
                    "p90_ms": latency["p90_ms"],
                    "accuracy": metrics["balanced_accuracy"],
                }
            )
    return points


def sensitivities(report: Report, artifact: Entry) -> list[dict[str, Any]]:
    """Per class: images in test, sensitivity and specificity of the top class, and both at the operating point."""
    metrics, counts = artifact["metrics"], report["data"]["splits"]["test"]["classes"]
    return [
        {
            "label": label,
            "images": counts.get(label, 0),
            "sensitivity": metrics.get(f"sensitivity.{label}"),
            "specificity": metrics.get(f"specificity.{label}"),
            "at_point": metrics.get(f"sensitivity.{label}@0.90"),
            "specificity_at_point": metrics.get(f"specificity.{label}@0.90"),
            "threshold": (artifact.get("thresholds") or {}).get(label),
            "auroc": metrics.get(f"auroc.{label}"),
        }
        for label in report["data"]["classes"]
    ]


def limits(report: Report) -> list[str]:
    """What this evidence does not show, most important first."""
    data = report["data"]
    cautions = []
    if report.get("stand_in"):
        cautions.append(
            f"The images are a stand-in ({report['stand_in']}), drawn by a program: nothing here says how the model "
            "does on patients."
        )
    cautions.append(
        "Research software, not a medical device: it was not validated for diagnosis, and its probabilities are no "
        "medical advice."
    )
    cautions.append(
        "Training and test images come from the same source; another camera, clinic or population can be worse."
    )
    if not data.get("has_groups"):
        cautions.append(
            "The source does not say which images show the same lesion or patient: accuracies and their intervals are "
            "optimistic."
        )
    few = [label for label, images in data["splits"]["test"]["classes"].items() if images < _FEW_IMAGES]
    if few:
        cautions.append(
            f"The test split has fewer than {_FEW_IMAGES} images of {listed(few)}: intervals are wide there, and one "
            "image moves balanced accuracy visibly."
        )
    return cautions + _latency_limits(report)


def _latency_limits(report: Report) -> list[str]:
    rows = [row for entry in [*report["models"], *report["artifacts"]] for row in entry.get("latency") or []]
    cautions = []
    if not rows:
        cautions.append("Latency was not measured.")
    if any(row["mode"] == "quick" for row in rows):
        cautions.append(
            "Latency was measured in quick mode (about a hundred runs each); edgetl bench repeats it at length."
        )
    if other := sorted({row["origin"] for row in rows} - {"measured"}):
        cautions.append(f"Some latencies are {listed(other)}, not measured; they are marked so.")
    if any(row["noisy"] for row in rows):
        cautions.append("Latencies marked noisy varied while they were measured: compare them with care.")
    if rows:
        cautions.append("Latency holds for the named machine; phones differ from it and from each other.")
    return cautions


def total_time(report: Report) -> str:
    """How long the stages took when they were computed, whether now or in an earlier build."""
    return duration(sum(stage["seconds"] or 0.0 for stage in report["stages"]))
