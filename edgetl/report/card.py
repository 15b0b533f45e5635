"""MODEL_CARD.md: what goes with the files, for the person who puts them into an app (Mitchell et al., 2019,
https://arxiv.org/abs/1810.03993)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgetl.data.readers import READERS
from edgetl.evidence.gates import Gate
from edgetl.report import story, view, words
from edgetl.report.recommending import recommended, slower_int8
from edgetl.results.report import Report, ReportedModel

__all__ = ["model_card"]

_LICENCE_UNKNOWN = (
    "The terms of the training images are known to whoever provided them, not to this build: check them before these "
    "weights are passed on."
)


def model_card(report: Report) -> str:
    """The card as Markdown; every number in it is in report.json."""
    sections = (
        _opening(report),
        _intended_use(),
        _data(report),
        _trial(report),
        _metrics(report),
        _contract(report),
        _operating_points(report),
        _quantization(report),
        _latency(report),
        _licence(report),
        _verifying(),
        ["## Limits", "", *(f"- {_text(limit)}" for limit in story.limits(report))],
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _opening(report: Report) -> list[str]:
    lines = [f"# {_text(report.name)}"]
    if report.stand_in:
        lines += [
            "",
            f"> **Stand-in data.** This model was trained and tested on `{report.stand_in}`, pictures drawn by a "
            "program. Its accuracies say nothing about real images: use it only to try the software.",
        ]
    if report.missing:
        named = "; ".join(f"`{each.artifact}` ({each.step}: {_text(each.reason)})" for each in report.missing)
        lines += ["", f"> **Incomplete.** Not in this bundle: {named}."]
    if failed := report.not_passed("fail"):
        lines += ["", "> **Failed gates: do not ship.** " + "; ".join(_text(_sentence(gate)) for gate in failed)]
    lines += ["", _text(" ".join(story.story(report))), "", f"Made by edgetl {report.edgetl}."]
    return lines


def _intended_use() -> list[str]:
    return [
        "## Intended use",
        "",
        "Research on, and prototypes of, image classification on phones and small computers. **Not a medical "
        "device**: it was not validated for diagnosis, triage or treatment, and no clinical decision may rest on it.",
        "",
        "It sees one image at a time and knows its own classes only: anything else, a healthy spot or a photo of a "
        "table, gets one of these labels too.",
    ]


def _data(report: Report) -> list[str]:
    data, splits = report.data, dict(report.data.splits)
    rows = [
        [label, f"{images:,}", *(f"{split.classes[label]:,}" for split in splits.values())]
        for label, images in data.classes.items()
    ]
    rows.append(["all images", f"{data.images:,}", *(f"{split.images:,}" for split in splits.values())])
    groups = [split.groups for split in splits.values()]
    rows.append(["groups", *(f"{count:,}" for count in (sum(groups), *groups))])
    return [
        "## Data",
        "",
        f"Source: `{data.source}`. {story.grouping(report)}",
        "",
        *_table(["class", "images", *splits], rows),
        *([f"\n{story.unlabelled(report)}"] if report.unlabelled else []),
        *(f"\n- {_text(warning)}" for warning in data.warnings),
    ]


def _trial(report: Report) -> list[str]:
    candidates = report.trial.candidates
    if not candidates:
        return []
    rows = [
        [
            f"{each.weight:g}{', chosen' if each.chosen else ''}",
            words.percent(each.score),
            words.percent(each.validation.balanced_accuracy),
            words.percent(each.validation.auroc),
            words.behind(each),
        ]
        for each in candidates
    ]
    header = ["weight of the teacher", "score", "balanced accuracy", "AUROC", "behind the best"]
    return [
        "## Trial",
        "",
        _text(story.trial(report)),
        "",
        *_table(header, rows),
        "",
        _text(f"Rule: {report.trial.rule}."),
    ]


def _metrics(report: Report) -> list[str]:
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auroc": "AUROC", "ece": "ECE"}
    rows = [[entry.name, *(words.with_bounds(entry.metrics.get(name)) for name in names)] for entry in report.entries]
    lines = [
        "## Metrics",
        "",
        "On the test split, each file in its own runtime and from the original images, with 95% intervals over groups.",
        "",
        *_table(["", *names.values()], rows),
    ]
    artifact = view.headline(report)
    if artifact:
        classes = [
            [
                row.label,
                f"{row.images:,}",
                words.with_bounds(row.sensitivity),
                words.with_bounds(row.specificity),
            ]
            for row in view.sensitivities(report, artifact)
        ]
        lines += ["", f"By class, `{artifact.name}`:", ""]
        lines += _table(["class", "test images", "sensitivity", "specificity"], classes)
    return lines


def _contract(report: Report) -> list[str]:
    data, labels = report.shown_recipe.data, list(report.data.classes)
    side, resize = data.image_size, data.resize
    modes = {
        "crop": "scale the shorter side to the input size, then cut the middle square",
        "stretch": "scale both sides to the input size, whatever the aspect",
        "pad": "scale the longer side to the input size, then fill with black",
    }
    return [
        "## Input and output",
        "",
        f"- Input: one RGB image, uint8, shape `[1, {side}, {side}, 3]` (NHWC), values 0 to 255 as decoded. Turn it "
        "by its EXIF orientation first. No mean, no standard deviation: `(x - 128) / 128` is inside the graph.",
        "- Transparent pixels are put on black. Unsigned 16-bit grey becomes `round(value * 255 / (2**bits - 1))`, with the "
        "`preprocessing.bits` of `bundle.json`.",
        f"- Resize: {modes[resize.mode]}; antialiased {resize.kernel}. Another resize changes the labels of "
        "about one image in ten: use `edgetl.runtime.preprocessing`, or compare yours with `golden/`.",
        f"- Output: probabilities, float32, shape `[1, {len(labels)}]`, in the order of `labels.txt`: "
        + ", ".join(f"`{_text(label)}`" for label in labels)
        + ". The temperature is baked in.",
        "- Give the runtime the `runtime_options` of `bundle.json`; without them some compute in lower precision.",
    ]


def _operating_points(report: Report) -> list[str]:
    rows = [
        [artifact.name, label, f"{threshold:.4f}"]
        + [words.with_bounds(artifact.metrics.get(f"{side}.{label}@0.90")) for side in ("sensitivity", "specificity")]
        for artifact in report.artifacts
        for label, threshold in artifact.thresholds.items()
    ]
    if not rows:
        return ["## Operating points", "", "None were chosen."]
    return [
        "## Operating points",
        "",
        "From the threshold on, the class counts as found. Each was chosen for its own file to find 90% of the class "
        "on validation; the columns say what it does on test.",
        "",
        *_table(["artefact", "class", "threshold", "sensitivity on test", "specificity on test"], rows),
    ]


def _quantization(report: Report) -> list[str]:
    rows = [
        [
            artifact.name,
            f"{words.title(artifact.backend)} {artifact.precision}",
            words.size(artifact.bytes),
            f"{artifact.parity.max_abs_diff:.2g}",
            words.percent(artifact.parity.top1_agreement),
            f"`{words.short_hash(artifact.sha256)}`",
        ]
        for artifact in report.artifacts
    ]
    header = ["artefact", "format", "size", "largest difference", "same top class", "sha256"]
    verdicts = [
        f"- {'passed' if gate.passed else '**' + gate.severity + '**'}: {_text(_sentence(gate))}"
        for gate in report.gates
    ]
    return [
        "## Quantization and parity",
        "",
        "Each file against the PyTorch network it was made from, on the test images.",
        "",
        *_table(header, rows),
        "",
        *verdicts,
    ]


def _latency(report: Report) -> list[str]:
    rows = [
        [
            entry.name,
            row.target,
            ", ".join([row.origin, row.mode, *["noisy"] * row.noisy, *view.way(row)]),
            str(row.threads),
            words.milliseconds(row.p50_ms),
            words.milliseconds(row.p90_ms),
            words.milliseconds(row.load_ms),
        ]
        for entry in sorted(report.entries, key=lambda entry: isinstance(entry, ReportedModel))
        for row in entry.latency
    ]
    if not rows:
        return ["## Latency", "", "Not measured. `edgetl bench` measures it on your target."]
    targets = sorted({row.target for artifact in report.artifacts for row in artifact.latency})
    machines = [f"{target} is {machine}" for target in targets if (machine := view.machine(report, target))]
    chosen = recommended(report)
    return [
        "## Latency",
        "",
        _text(
            ". ".join(["One image at a time unless a row says else", *machines, "Your device differs: measure there."])
        ),
        "",
        *_table(["", "target", "how", "threads", "median", "90th percentile", "load"], rows),
        *([f"\nRecommended where nobody says another: `{chosen.name}`."] if chosen else []),
        *(f"\n- **Slow int8**: {_text(pair.sentence())}." for pair in slower_int8(report)),
    ]


def _licence(report: Report) -> list[str]:
    reader = READERS.get(report.data.source)
    return ["## Licence of the data", "", _text(reader.licence if reader and reader.licence else _LICENCE_UNKNOWN)]


def _verifying() -> list[str]:
    return [
        "## Verify",
        "",
        "`edgetl verify BUNDLE`, or `python -m edgetl_runtime selftest BUNDLE` where only the runtime is installed, "
        "checks every hash and runs the golden images through every installed runtime.",
    ]


def _sentence(gate: Gate) -> str:
    return f"{gate.subject}, {gate.name.replace('_', ' ')}: {gate.message}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|").replace("\n", " ")


def _text(text: str) -> str:
    """Markdown passes HTML through; a label is not HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
