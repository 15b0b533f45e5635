"""The page and the card: offline, well-formed, loud about what is not real, and deaf to labels that look like code."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from example_report import CLASSES, make_extras, make_report

from edgetl.evidence.gates import Gate
from edgetl.evidence.intervals import Interval
from edgetl.report import words
from edgetl.report.card import model_card
from edgetl.report.places import places
from edgetl.report.plots import session, training_curves
from edgetl.report.render import render
from edgetl.report.story import trainings
from edgetl.results.artifacts import Missing
from edgetl.results.extras import Extras
from edgetl.results.report import Report, ReportedArtifact
from edgetl.results.training import Epoch
from edgetl.results.unlabelled import Unlabelled

NOTHING = Extras(histories={}, samples=(), predictions=())


def _text(page: str) -> str:
    """What a reader sees, as one line."""
    return " ".join("".join(ElementTree.fromstring(page.partition("<!DOCTYPE html>")[2]).itertext()).split())


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render(report, make_extras())


def test_the_page_asks_nobody(page: str) -> None:
    assert not re.findall(r"(?i)\b(?:https?|ftp|file|ws)s?:", page)
    assert "default-src 'none'" in page
    addresses = re.findall(r"\b(?:href|src)=\"([^\"]*)\"|url\(([^)]*)\)|@import", page)
    assert {(link or target)[:5] for link, target in addresses} <= {"data:"} | {
        (link or target)[:5] for link, target in addresses if (link or target).startswith("#")
    }
    assert "<script" not in page


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page: str) -> None:
    root = ElementTree.fromstring(page.partition("<!DOCTYPE html>")[2])
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    wanted = {element.attrib["href"][1:] for element in root.iter() if element.attrib.get("href", "").startswith("#")}
    assert wanted <= set(ids)
    assert page.lstrip().startswith("<!DOCTYPE html>")


def test_the_key_figures_say_how_and_where(report: Report, page: str) -> None:
    text = _text(page)
    lead = next(artifact for artifact in report.artifacts if artifact.name == "openvino-int8")
    balanced = lead.metrics["balanced_accuracy"]
    assert f"{words.percent(balanced.value)}95% {words.bounds(balanced)}" in text
    assert "1 thread · measured on local_cpu (AMD EPYC 9R14)" in text
    assert words.size(lead.bytes) in text


def test_every_artefact_gate_stage_and_class_is_there(report: Report, page: str) -> None:
    text = _text(page)
    names = [entry.name for part in (report.entries, report.gates, report.stages) for entry in part]
    assert all(words.title(name).replace("_", " ").lower() in text.lower() for name in names)
    for gate in report.gates:
        assert gate.message in text
    assert all(label in text for label in CLASSES)
    assert "noisy" in text
    assert "Student against teacher: balanced accuracy -1.2 points [-3.0, +0.6]" in text


def test_only_a_stand_in_build_carries_the_banner(page: str) -> None:
    stand_in = make_report(stand_in="skin_phantom")
    assert "Stand-in data" in _text(render(stand_in, NOTHING))
    assert "Stand-in data" not in _text(page)
    assert "**Stand-in data.**" in model_card(stand_in)


def test_a_failed_gate_is_loud_and_takes_its_artefact_from_the_headline(report: Report) -> None:
    broken = Gate(
        name="int8_collapse",
        subject="openvino-int8",
        passed=False,
        severity="fail",
        value=-0.4,
        limit=-0.05,
        message="accuracy against fp32 -45.0 points",
    )
    failing = replace(report, gates=(*report.gates, broken))
    text = _text(render(failing, NOTHING))
    assert "1 gate failed: do not ship this" in text
    assert "the file tflite-int8" in text
    assert "**Failed gates: do not ship.**" in model_card(failing)


def test_labels_are_text_not_code() -> None:
    classes = {"<b>bold</b>": 60, "a & b | c": 60, '"><script>alert(1)</script>': 60}
    report = make_report(classes=classes)
    page = render(report, make_extras(classes))
    assert "<script" not in page
    assert all(label in _text(page) for label in classes)
    card = model_card(report)
    assert "<b>" not in card
    assert "<script" not in card
    assert "a &amp; b \\| c" in card


def test_what_is_missing_is_left_out_or_said(report: Report) -> None:
    bare = replace(
        report,
        models=(),
        artifacts=tuple(replace(artifact, latency=()) for artifact in report.artifacts),
        data=replace(report.data, has_groups=False),
    )
    text = _text(render(bare, NOTHING))
    assert "its latency was not measured" in text
    assert "every accuracy and interval here is optimistic" in text
    assert "Training loss" not in text
    assert "Not measured." in model_card(bare)
    assert "No artefact was made." in _text(render(replace(report, artifacts=()), NOTHING))


def test_a_class_without_test_images_has_no_number(report: Report) -> None:
    artifacts = tuple(
        replace(artifact, metrics={name: value for name, value in artifact.metrics.items() if ".df" not in name})
        for artifact in report.artifacts
    )
    text = _text(render(replace(report, artifacts=artifacts), NOTHING))
    assert "no images" in text
    assert "nan" not in text.lower().split()


def test_the_page_is_the_same_each_time_and_leaves_no_trace(report: Report, page: str) -> None:
    before = os.environ.get("MPLCONFIGDIR")
    assert render(report, make_extras()) == page
    assert os.environ.get("MPLCONFIGDIR") == before


def test_the_card_holds_what_an_app_developer_needs(report: Report) -> None:
    card = model_card(report)
    for heading in (
        "Intended use",
        "Data",
        "Metrics",
        "Input and output",
        "Operating points",
        "Latency",
        "Verify",
        "Limits",
    ):
        assert f"\n## {heading}\n" in card
    assert "Not a medical device" in card
    assert "`[1, 128, 128, 3]`" in card
    assert "CC BY-NC 4.0" in card
    assert "edgetl verify" in card
    assert "local_cpu is AMD EPYC 9R14" in card
    table = [line for line in card.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in table)


class TestPlaces:
    """Each target has a part: its machine, a plot, a table."""

    def two(self, report: Report) -> Report:
        def also(artifact: ReportedArtifact) -> ReportedArtifact:
            rows = [
                replace(row, target="a&b", origin="emulated", p50_ms=7 * row.p50_ms, threads=4)
                for row in artifact.latency
                if row.threads == 2
            ]
            return replace(artifact, latency=(*artifact.latency, *rows))

        targets = dict(report.environment.targets)
        machine = replace(targets["local_cpu"], processor="Cortex", cores=4)
        return replace(
            report,
            artifacts=tuple(map(also, report.artifacts)),
            environment=replace(report.environment, targets={**targets, "a&b": machine}),
        )

    def test_a_part_for_each(self, report: Report) -> None:
        page = render(self.two(report), NOTHING)
        text = _text(page)
        assert "local_cpu: AMD EPYC 9R14, 2 cores measured" in text
        assert "a&b: Cortex, 4 cores emulated" in text
        root = ElementTree.fromstring(page.partition("<!DOCTYPE html>")[2])
        ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        assert len(ids) == len(set(ids))
        assert page.count('aria-label="Balanced accuracy against latency on') == 2
        assert "milliseconds per image, one thread (log)" in page
        assert "milliseconds per image, 4 threads (log)" in page
        first, second = places(self.two(report))
        assert [each.threads for each in (first, second)] == [1, 4]
        assert len(first.points) == len(report.entries)
        assert len(second.points) == len(report.artifacts)
        assert {timed.row.target for timed in second.rows} == {"a&b"}
        assert [timed.is_model for timed in first.rows] == sorted(timed.is_model for timed in first.rows)

    def test_a_row_says_all_of_a_file(self, report: Report) -> None:
        artifact = report.artifacts[0]
        row = replace(artifact.latency[0], p50_ms=3.111, p90_ms=4.222, p99_ms=5.333, first_ms=6.444, load_ms=7.555)
        row = replace(row, p50_low_ms=3.001, p50_high_ms=3.251)
        shown = replace(report, models=(), artifacts=(replace(artifact, latency=(replace(row, noisy=True),)),))
        accuracy = artifact.metrics["balanced_accuracy"]
        said = (
            f"{artifact.name} noisy13.11 ms [3.00, 3.25]4.22 ms5.33 ms6.44 ms7.55 ms72 MB{words.size(artifact.bytes)}"
        )
        assert f"{said}{words.with_bounds(accuracy)}" in _text(render(shown, NOTHING))

    def test_batches_are_no_points(self, report: Report) -> None:
        artifact = report.artifacts[0]
        rows = (artifact.latency[0], replace(artifact.latency[0], batch=8, p50_ms=0.001))
        (place,) = places(replace(report, models=(), artifacts=(replace(artifact, latency=rows),)))
        assert [point.p50_ms for point in place.points] == [rows[0].p50_ms]
        assert len(place.rows) == 2

    def test_ways_of_pytorch_are_told_apart_and_are_no_points(self, report: Report) -> None:
        """Of a GPU: batches, shorter floats and CUDA graphs are quicker, and are not what one image in float32 takes."""
        artifact = next(each for each in report.artifacts if each.name == "openvino-int8")
        model = next(each for each in report.models if each.name == artifact.model)
        eager = replace(artifact.latency[0], p50_ms=6.0, runtime="pytorch", placement="eager on H200")
        others = (
            replace(eager, p50_ms=0.1, batch=64),
            replace(eager, p50_ms=0.2, compute_precision="fp16"),
            replace(eager, p50_ms=0.3, compute_precision="bf16"),
            replace(eager, p50_ms=0.4, compute_precision="tf32"),
            replace(eager, p50_ms=0.5, placement="graph on H200"),
            replace(eager, p50_ms=0.6, placement="compile on H200"),
        )
        ours = replace(artifact.latency[0], p50_ms=2.0)
        made = replace(
            report,
            models=(replace(model, latency=(*others, eager)),),
            artifacts=(replace(artifact, latency=(replace(ours, batch=8, p50_ms=0.01), ours)),),
        )
        (place,) = places(made)
        assert [(point.name, point.p50_ms) for point in place.points] == [(artifact.name, 2.0), (model.name, 6.0)]
        shown = {timed.row.p50_ms: (timed.accuracy is not None, *timed.way) for timed in place.rows if timed.is_model}
        assert shown == {
            0.1: (True, "64 images"),
            0.2: (False, "fp16"),
            0.3: (False, "bf16"),
            0.4: (False, "tf32"),
            0.5: (True, "graph"),
            0.6: (True, "compile"),
            6.0: (True,),
        }
        text = _text(render(made, NOTHING))
        assert "2.00 msmedian, 1 thread" in text
        assert "3.0 × as fast as PyTorch there" in text
        assert f"{model.name} (PyTorch) fp16" in text
        balanced = words.with_bounds(model.metrics["balanced_accuracy"])
        table = text.partition("local_cpu: ")[2].partition("Class by class")[0]
        assert table.count(balanced) == 4
        card = [line for line in model_card(made).splitlines() if line.startswith(f"| {model.name} | local_cpu")]
        assert [line.split("|")[3].strip() for line in card] == [
            f"measured, quick{said}"
            for said in (", 64 images", ", fp16", ", bf16", ", tf32", ", graph", ", compile", "")
        ]

    def test_a_file_in_a_shorter_float_has_no_accuracy_there(self, report: Report) -> None:
        artifact = report.artifacts[0]
        rows = tuple(
            replace(artifact.latency[0], compute_precision=said)
            for said in ("float32", "float16", "int8 3, bfloat16 1")
        )
        (place,) = places(replace(report, models=(), artifacts=(replace(artifact, latency=rows),)))
        assert [timed.accuracy is None for timed in place.rows] == [False, True, True]
        assert len(place.points) == 1

    def test_nothing_measured_is_no_part(self, report: Report) -> None:
        bare = tuple(replace(artifact, latency=()) for artifact in report.artifacts)
        page = render(replace(report, models=(), artifacts=bare), NOTHING)
        assert 'id="speed"' not in page
        assert "#speed" not in page


class TestTrial:
    """What the page and the card say of the choice, whether or not the student was trained to the end."""

    def said(self, report: Report) -> tuple[str, str]:
        return _text(render(report, NOTHING)), model_card(report)

    @pytest.mark.parametrize("student", [True, False])
    def test_every_candidate_is_shown_with_its_uncertainty(self, report: Report, student: bool) -> None:
        models = tuple(model for model in report.models if student or model.name != "student")
        page, card = self.said(replace(report, models=models))
        for text in (page, card):
            assert "among 2 weights of its loss, after a trial of 5 epochs with each: 1." in text
            assert "So short a trial sees only how a training begins." in text
            assert "1.0 points, standard error 0.4" in text
            assert report.trial.rule is not None
            assert report.trial.rule in text
        assert "1 chosen" in page
        assert "| 1, chosen | 80.0% | 70.0% | 90.0% | the best |" in card

    def test_one_candidate_is_no_choice(self, report: Report) -> None:
        trial = replace(report.trial, candidates=report.trial.candidates[1:], epochs=1)
        for text in self.said(replace(report, trial=trial)):
            assert "The weight of the teacher's loss is 1: the recipe gives no other one." in text
            assert "a training of 1 epoch with it" in text
            assert "So short a trial" not in text

    def test_without_a_teacher_nothing_is_weighed(self, report: Report) -> None:
        """Though `distil.weights` may well give other candidates, which are not used then."""
        trial = replace(report.trial, candidates=report.trial.candidates[1:], chosen_weight=0.0)
        alone = replace(report, recipe={**report.recipe, "teacher": None}, trial=trial)
        for text in self.said(alone):
            assert "There is no teacher to weigh. Pruning started from a training of 5 epochs on labels alone." in text
            assert "the recipe gives no other one" not in text

    def test_without_a_trial_nothing_is_said_of_one(self, report: Report) -> None:
        trial = replace(report.trial, candidates=(), epochs=0, rule=None, weights=None)
        page, card = self.said(replace(report, trial=trial))
        assert "Behind the best" not in page
        assert "## Trial" not in card
        assert "\n\n\n" not in card

    def test_a_spared_reference_is_said(self, report: Report) -> None:
        prune = {**report.recipe["prune"], "reference": False}
        models = tuple(model for model in report.models if model.name != "student")
        spared = replace(report, recipe={**report.recipe, "prune": prune}, models=models, comparisons=())
        page, card = self.said(spared)
        sentence = "No unpruned network was trained as long (prune.reference: false)"
        assert page.count(sentence) == 2, "among the steps, and in the limits"
        assert sentence in card
        assert not any(sentence in text for text in self.said(report))
        unpruned = replace(report, recipe={**report.recipe, "prune": None})
        assert not any(sentence in text for text in self.said(unpruned))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.size(3_400_000), "3.4 MB"),
        (words.size(999), "999 B"),
        (words.milliseconds(0.484), "0.48 ms"),
        (words.milliseconds(1210.4), "1,210 ms"),
        (words.duration(3.25), "3.2 s"),
        (words.duration(200), "3 min 20 s"),
        (words.duration(59.7), "1 min 00 s"),
        (words.duration(7500), "2 h 05 min"),
        (words.count(217_600_000), "217.6 M"),
        (words.count(8493), "8,493"),
        (words.percent(None), "–"),
        (words.points(Interval(-0.012, -0.03, 0.006)), "-1.2 points [-3.0, +0.6]"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed([]), "none"),
        (words.plain({"torch": "2.13", "cores": [1, 2.5], "gpu": None}), "torch 2.13, cores 1, 2.5, gpu –"),
    ],
)
def test_numbers_read_well(said: str, expected: str) -> None:
    assert said == expected


def test_each_training_says_in_a_sentence_which_epoch_is_kept_and_why(report: Report, page: str) -> None:
    sentences = trainings(report)
    assert sentences == [
        "Teacher: 8 epochs; the last one is kept, which scored best on validation.",
        "Student: 100 epochs, of which 36 were validated; the last one is kept: epoch 91 leads it by 0.0031, no more than "
        "noise (standard error 0.0024).",
        "Pruned: 14 of 25 epochs; epoch 11 is kept, since it leads the last one by 0.0210, more than noise "
        "(standard error 0.0060).",
    ]
    assert all(sentence in _text(page) for sentence in sentences)


def test_epochs_that_were_not_validated_have_no_point_in_the_curves_of_validation() -> None:
    scores = {epoch: 0.1 * epoch if epoch % 2 == 0 else None for epoch in range(1, 7)}
    epochs = [Epoch(epoch, 1.0 / epoch, None, of, of, of, 1.0, 0.0) for epoch, of in scores.items()]
    with session():
        curves = training_curves({"teacher": epochs})
    lines = [re.findall(r'<path d="(M [^"]*)" clip', curve)[-1] for curve in curves]
    assert [line.count("\n") for line in lines] == [6, 3, 3], "points of the last line that is drawn, the run's"


def test_a_single_candidate_is_no_choice_to_show() -> None:
    report = make_report()
    (alone,) = (candidate for candidate in report.trial.candidates if candidate.chosen)
    single = replace(report, trial=replace(report.trial, candidates=(alone,)))
    assert "Weight of the teacher" in render(report, make_extras())
    assert "Weight of the teacher" not in render(single, make_extras())


def test_page_and_card_say_first_which_file_is_missing_and_why(report: Report) -> None:
    missing = (Missing("tflite-int8", "quantize", "does not run: node 3 (DIV) <b>"),)
    kept = tuple(artifact for artifact in report.artifacts if artifact.name != "tflite-int8")
    incomplete = replace(report, missing=missing, artifacts=kept)
    page, card = render(incomplete, make_extras()), model_card(incomplete)
    banner = page.index("1 file is missing: this bundle is incomplete")
    assert banner < page.index('class="lead"')
    assert "<b>tflite-int8</b>, quantize: does not run: node 3 (DIV) &lt;b&gt;" in page
    said = "> **Incomplete.** Not in this bundle: `tflite-int8` (quantize: does not run: node 3 (DIV) &lt;b>)."
    assert card.index(said) < card.index("## Intended use")
    for text in (render(report, make_extras()), model_card(report)):
        assert "ncomplete" not in text


def test_page_and_card_say_how_many_unlabelled_pictures_taught_and_what_cannot_be_known(report: Report) -> None:
    further = replace(report, unlabelled=Unlabelled(1200, ("a.png", "b.png")))
    said = (
        "The student learned what the teacher says of 1,200 unlabelled images too; 2 that show a picture of validation"
    )
    for text in (_text(render(further, make_extras())), model_card(further)):
        assert said in text
        assert "Whether others of them show a patient of validation or test cannot be known." in text
    alone = replace(further, trial=replace(report.trial, chosen_weight=0.0), unlabelled=Unlabelled(1200, ()))
    assert "A candidate for the student learned what the teacher says of 1,200 unlabelled images too." in model_card(
        alone
    )
    for text in (render(report, make_extras()), model_card(report)):
        assert "unlabelled" not in text


def test_a_failed_gate_of_a_file_that_is_missing_forbids_nothing(report: Report) -> None:
    failed = Gate("rule", "tflite-int8", False, "fail", None, None, "by far")
    judged = replace(report, gates=(*report.gates, failed))
    assert failed in judged.not_passed("fail")
    missing = (Missing("tflite-int8", "verify", "failed rule: by far"),)
    assert failed not in replace(judged, missing=missing).not_passed("fail")
