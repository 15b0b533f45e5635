"""A report and its extras as a HAM10000 build leaves them, for the tests of what is made from it.

`python tests/unit/example_report.py` writes the page and the card into the current folder, to look at them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetl.config.recipe import Recipe
from edgetl.data.leaks import Identical, Leaks
from edgetl.evidence.calibration import fit_temperature, operating_points, reliability, softmax
from edgetl.evidence.gates import Gate, fp32_parity, int8_collapse, quantization_drop
from edgetl.evidence.intervals import Interval, paired_difference, with_intervals
from edgetl.evidence.parity import compare
from edgetl.report.card import model_card
from edgetl.report.render import render
from edgetl.results.data import DataSummary, Sample, Splits, SplitSummary
from edgetl.results.evaluation import Comparison, Measures
from edgetl.results.extras import Extras, Predicted, Shown
from edgetl.results.latency import Latency, Machine
from edgetl.results.report import Environment, Report, ReportedArtifact, ReportedModel, StageRun, Training
from edgetl.results.training import (
    Candidate,
    Cut,
    Epoch,
    InitialWeights,
    KeptEpoch,
    KeptMacs,
    PrunedTraining,
    Scores,
    StudentTraining,
    TeacherTraining,
    Trial,
)
from edgetl.runtime.surroundings import Surroundings

CLASSES = {"akiec": 271, "bcc": 432, "bkl": 916, "df": 98, "mel": 961, "nv": 5699, "vasc": 116}
SIZES = {"onnx": 4.6e6, "openvino": 4.9e6, "tflite": 4.5e6}
TIMES = {"onnx": 3.1, "openvino": 1.9, "tflite": 2.3}

_SCORES = Scores(balanced_accuracy=0.7, auroc=0.9, score=0.8)
_WEIGHTS = InitialWeights("none", "random initialisation", None, 0, 210)
_CUT = Cut(_SCORES, 43_000_000, 2_900_000)
_TRAININGS: Mapping[str, Training] = {
    "teacher": TeacherTraining(_WEIGHTS, (), KeptEpoch(8, 8, 8, 8, 8, 0.0, 0.0), _SCORES, 1312.0),
    "student": StudentTraining(
        weights=_WEIGHTS,
        loss="dist",
        chosen_weight=1.0,
        notes=("student: a note",),
        kept=KeptEpoch(100, 100, 100, 36, 91, 0.0031, 0.0024),
        validation=_SCORES,
        seconds=2000.0,
    ),
    "pruned": PrunedTraining(
        pruned=KeptMacs(0.6, 0.597),
        loss="dist",
        taught_by="the teacher",
        teacher_weight=1.0,
        before_pruning=_CUT,
        after_pruning=_CUT,
        after_training=_CUT,
        kept=KeptEpoch(11, 14, 25, 14, 11, 0.021, 0.006),
        validation=_SCORES,
        seconds=900.0,
    ),
}
TRIAL = Trial(
    chosen_weight=1.0,
    rule="the smallest weight that is behind by no more than chance explains",
    epochs=5,
    weights=_WEIGHTS,
    notes=("trial: a note",),
    candidates=(
        Candidate(0.0, False, 0.79, 0.01, 0.004, 0.004, _SCORES),
        Candidate(1.0, True, 0.8, 0.0, 0.0, 0.0, _SCORES),
    ),
    seconds=640.0,
)
_MODELS = (("teacher", 3.4e6, 128e6, 2.3), ("student", 4.2e6, 72e6, 2.2), ("pruned", 2.9e6, 43e6, 2.15))
_MACHINE = Machine(processor="AMD EPYC 9R14", cores=2, memory_gb=8, system="Linux", machine="x86_64")


class _Outputs:
    """Simulated outputs on the test split: two images a lesion, and true metrics of them."""

    def __init__(self, classes: Mapping[str, int]) -> None:
        self.names = list(classes)
        self.counts = {label: max(2, round(0.15 * images)) for label, images in classes.items()}
        self.labels = np.repeat(np.arange(len(classes)), list(self.counts.values()))
        self.groups = [f"lesion_{index // 2}" for index in range(len(self.labels))]
        self.generator = np.random.default_rng(7)
        lesions = self.generator.normal(size=((len(self.labels) + 1) // 2, len(classes)))
        self._noise = np.repeat(lesions, 2, axis=0)[: len(self.labels)]

    def of(self, skill: float) -> NDArray[np.float64]:
        """Calibrated probabilities [n, C] of a network with this much skill."""
        scores = self._noise + 0.3 * self.generator.normal(size=self._noise.shape)
        scores[np.arange(len(self.labels)), self.labels] += skill
        return softmax(scores, fit_temperature(scores, self.labels))

    def coarse(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """As a quantized file gives them."""
        return softmax(np.log(probabilities) + 0.12 * self.generator.normal(size=probabilities.shape))

    def measures(self, name: str, probabilities: NDArray[np.float64]) -> Measures:
        points = operating_points(probabilities, self.labels, self.names)
        confusion = np.zeros((len(self.names), len(self.names)), dtype=int)
        np.add.at(confusion, (self.labels, probabilities.argmax(axis=1)), 1)
        return Measures(
            name=name,
            metrics=with_intervals(probabilities, self.labels, self.groups, self.names, points, resamples=100),
            thresholds=points,
            confusion=tuple(map(tuple, confusion.tolist())),
            reliability=reliability(probabilities, self.labels),
        )

    def lost(self, metric: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Interval:
        return paired_difference(metric, ours, theirs, self.labels, self.groups, self.names, resamples=100)


def make_report(stand_in: str | None = None, classes: Mapping[str, int] | None = None) -> Report:
    """A report like that of a HAM10000 build: simulated outputs, but true metrics, parity and gates.

    Args:
        stand_in: the name of a stand-in data set.
        classes: label to image count; 15 % each are validation and test, two images make a lesion.
    """
    outputs = _Outputs(classes or CLASSES)
    probabilities = {name: outputs.of(skill) for name, _, _, skill in _MODELS}
    artifacts, gates = _artifacts(outputs, probabilities["pruned"])
    document = {
        "name": "skin_mobile",
        "data": {"kind": "ham10000", "root": "r"},
        "student": {"attention": "coord"},
        "prune": {"macs": 0.6},
    }
    seconds = {"data": 41.2, "teach": 1312.0, "trial": 640.0, "distil": 2020.0, "prune": 900.0, "export.onnx": 7.7}
    return Report(
        edgetl="0.1.0",
        name="skin_mobile",
        recipe=Recipe.model_validate(document).model_dump(mode="json", by_alias=True),
        stand_in=stand_in,
        environment=Environment(
            **vars(_MACHINE),
            python="3.11.2",
            tools={"torch": "2.13.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1", "ai-edge-litert": "2.3.0"},
            targets={"local_cpu": _MACHINE},
        ),
        data=_data(classes or CLASSES, outputs.counts),
        trial=TRIAL,
        models=tuple(
            ReportedModel(
                **vars(outputs.measures(name, probabilities[name])),
                parameters=int(parameters),
                macs=int(macs),
                temperature=1.1,
                training=_TRAININGS[name],
                latency=tuple(_latency(0.3 * macs / 1e6, threads) for threads in (1, 2)),
            )
            for name, parameters, macs, _ in _MODELS
        ),
        comparisons=(Comparison("student", "teacher", "balanced_accuracy", Interval(-0.012, -0.03, 0.006)),),
        artifacts=tuple(artifacts),
        gates=tuple(gates),
        stages=tuple(
            StageRun(name, "9c" * 32, time, cached=name == "data", peak_rss_mb=900.0) for name, time in seconds.items()
        ),
    )


def _artifacts(outputs: _Outputs, network: NDArray[np.float64]) -> tuple[Sequence[ReportedArtifact], Sequence[Gate]]:
    artifacts, gates = [], []
    for backend in SIZES:
        coarse = outputs.coarse(network)
        for precision, probabilities, share in (("fp32", network, 1.0), ("int8", coarse, 0.3)):
            name, parity = f"{backend}-{precision}", compare(probabilities, network)
            artifacts.append(
                ReportedArtifact(
                    **vars(outputs.measures(name, probabilities)),
                    model="pruned",
                    backend=backend,
                    precision=precision,
                    path=f"models/{name}.{backend}",
                    sha256="3f" * 32,
                    bytes=int(SIZES[backend] * share / 0.4),
                    companions=(f"models/{name}.bin",) if backend == "openvino" else (),
                    temperature=1.1,
                    runtime_options={},
                    parity=parity,
                    latency=tuple(_latency(TIMES[backend] * (0.5 + share), threads) for threads in (1, 2)),
                )
            )
            if precision == "fp32":
                gates.append(fp32_parity(name, parity))
        gates.append(int8_collapse(name, outputs.lost("accuracy", coarse, network)))
        gates.append(quantization_drop(name, outputs.lost("balanced_accuracy", coarse, network), max_drop=0.003))
    return artifacts, gates


def make_extras(classes: Mapping[str, int] | None = None) -> Extras:
    """Histories of a teacher, two trials and the student, a picture of each class, and a few predictions."""
    names = list(classes or CLASSES)
    generator = np.random.default_rng(3)

    def picture() -> str:
        skin = generator.normal((214, 168, 146), 6, size=(64, 64, 3))
        far = np.hypot(*(np.mgrid[:64, :64] - generator.integers(24, 40, 2)[:, None, None]))
        skin[far < generator.integers(10, 22)] *= generator.uniform(0.35, 0.7)
        buffer = io.BytesIO()
        Image.fromarray(skin.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    def history(epochs: int, top: float) -> tuple[Epoch, ...]:
        rise = [float(1 - np.exp(-epoch / 4)) for epoch in range(1, epochs + 1)]
        return tuple(
            Epoch(
                epoch=epoch,
                label_loss=1.9 - 2 * top * value,
                distil_loss=None,
                val_balanced_accuracy=top * value if looked else None,
                val_auroc=0.5 + (0.1 + 0.5 * top) * value if looked else None,
                val_score=0.25 + 0.5 * value if looked else None,
                seconds=60.0,
                data_wait_seconds=0.1,
            )
            for epoch, value in enumerate(rise, start=1)
            for looked in [epochs <= 10 or epoch % 3 == 0]
        )

    chances = generator.dirichlet(np.full(len(names), 0.4), 8)
    chances = (chances + np.eye(len(names))[np.arange(8) % len(names)] * 0.6) / 1.6
    return Extras(
        histories={
            "teacher": history(8, 0.7),
            "trial, teacher's weight 0": history(5, 0.5),
            "trial, teacher's weight 1": history(5, 0.56),
            "student": history(15, 0.66),
        },
        samples=tuple(Shown(picture(), name) for name in names for _ in range(3)),
        predictions=tuple(
            Predicted(picture(), names[index % len(names)], dict(zip(names, row.tolist(), strict=True)))
            for index, row in enumerate(chances)
        ),
    )


def _latency(p50: float, threads: int) -> Latency:
    p50 /= threads**0.7
    noisy = threads == 2 and p50 > 4
    measured: dict[str, Any] = {
        "runtime": "onnxruntime",
        "version": "1.32.0",
        "compute_precision": "fp32",
        "accelerator": "cpu",
        "placement": "all on cpu",
        "delegated": 1.0,
    }
    return Latency(
        target="local_cpu",
        origin="measured",
        mode="quick",
        batch=1,
        threads=threads,
        runs=100,
        noisy=noisy,
        noise="the middle half of the runs spans 30% of the median" if noisy else "",
        p50_ms=p50,
        p90_ms=1.1 * p50,
        p99_ms=1.3 * p50,
        first_ms=3 * p50,
        load_ms=38.0,
        peak_rss_mb=71.5,
        round_ms=(p50, p50),
        **measured,
        attempts=3 if noisy else 1,
        p50_low_ms=0.98 * p50,
        p50_high_ms=1.02 * p50,
        cold_ms=300.0,
        spawns=1,
        picture="png, 256 x 256",
        preprocess_ms=1.5,
        postprocess_ms=0.05,
        whole_ms=1.55 + p50,
        warm_up_s=0.4,
        steady=True,
        stolen=0.0,
        foreign=0.02,
        ran_on=(0,),
        golden_difference=0.0,
        before=Surroundings("AMD EPYC", 2, "performance", 2600.0, 54.0, 0, 0.3),
    )


def _data(classes: Mapping[str, int], test: Mapping[str, int]) -> DataSummary:
    def split(counts: Mapping[str, int]) -> SplitSummary:
        return SplitSummary(sum(counts.values()), sum(counts.values()) // 2, counts)

    train = {label: images - 2 * test[label] for label, images in classes.items()}
    return DataSummary(
        source="ham10000",
        images=sum(classes.values()),
        classes=classes,
        has_groups=True,
        splits=Splits(split(train), split(test), split(test)),
        leaks=Leaks((), (Identical(("a.jpg", "b.jpg"), ("nv",), ("train",)),), ()),
        warnings=("2 files are byte-identical to another one; identical files were kept in one split",),
        samples=(Sample(0, next(iter(classes)), "a.jpg"),),
    )


def main() -> None:
    """Write the example page and card."""
    Path("report.html").write_text(render(make_report(stand_in="skin_phantom"), make_extras()), encoding="utf-8")
    Path("MODEL_CARD.md").write_text(model_card(make_report()), encoding="utf-8")


if __name__ == "__main__":
    main()
