"""An int8 file that is slower than its float32 twin is named, not by noise, and never recommended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from example_report import make_report
from fakes.devices import FakeRunning, FakeWorker
from fakes.sessions import stub

from edgetl import runtime
from edgetl.devices import DEVICES
from edgetl.devices import Kind as DeviceKind
from edgetl.evidence.gates import Gate
from edgetl.evidence.paired_times import FEWEST, quotient
from edgetl.lint.graph import Kind, graph_of
from edgetl.lint.predicting import Finding, Prediction
from edgetl.report import story, view
from edgetl.report.card import model_card
from edgetl.report.recommending import first_target, recommended, slow_files
from edgetl.report.render import render
from edgetl.results.extras import Extras
from edgetl.results.foreseen import foreseen
from edgetl.results.latency import Latency
from edgetl.results.rehearsal import Rehearsal, RehearsedFile
from edgetl.results.report import Report, ReportedArtifact
from edgetl.results.twins import slow_int8, twins
from edgetl.runtime import measuring
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import IntegrityError, MissingRuntime
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.measuring import Effort
from edgetl.stages.report import report as report_stage
from edgetl.stages.report.predicted import predictions

NOTHING = Extras(histories={}, samples=(), predictions=())


class TestQuotient:
    def test_its_interval_lies_between_two_of_the_ordered_rounds(self) -> None:
        times = [float(number) for number in (7, 3, 10, 1, 9, 4, 2, 8, 6, 5)]
        found = quotient(times, [1.0] * 10)
        assert found is not None
        assert (found.value, found.low, found.high) == (5.5, 2.0, 9.0)  # 97.9 %; 3 to 8 would be 89 %
        six = quotient(times[:6], [2.0] * 6)
        assert six is not None
        assert (six.low, six.high) == (0.5, 5.0)

    def test_a_slow_minute_is_in_both(self) -> None:
        machine = np.array([1, 1, 9, 1, 1, 7, 1, 1, 1, 30.0])
        found = quotient(list(1.2 * machine), list(machine))
        assert found is not None
        assert found.low == pytest.approx(1.2) == found.high

    @pytest.mark.parametrize(
        ("times", "twin"),
        [([1.0] * (FEWEST - 1), [1.0] * (FEWEST - 1)), ([1.0] * 9, [1.0] * 10), ([1.0] * 6, [0.0] * 6)],
    )
    def test_what_cannot_be_told_is_none(self, times: Sequence[float], twin: Sequence[float]) -> None:
        with np.errstate(divide="ignore"):
            assert quotient(times, twin) is None

    @pytest.mark.parametrize("rounds", [6, 10, 32, 100])
    def test_it_holds_the_true_quotient_nineteen_times_of_twenty(self, rounds: int) -> None:
        random, held, wide = np.random.default_rng(3), 0, 0
        for _ in range(1000):
            times, twin = random.lognormal(0.3, 0.2, rounds), random.lognormal(0, 0.2, rounds)
            found = quotient(times.tolist(), twin.tolist())
            assert found is not None
            held += found.low <= np.exp(0.3) <= found.high
            wide += found.low > np.exp(0.3)
        assert held >= 935
        assert wide <= 40  # a false word about a twin that is as quick


@dataclass(frozen=True)
class Described:
    name: str
    precision: str
    model: str = "pruned"
    backend: str = "onnx"


def row(ms: float, **changes: Any) -> Latency:
    """Ten rounds that are alike."""
    report = make_row()
    return replace(report, p50_ms=ms, round_ms=tuple(ms * (1 + 0.01 * (n % 3)) for n in range(10)), **changes)


def make_row() -> Latency:
    return Latency(
        *("local_cpu", "measured", "quick", 1, 1, 100, False, ""),
        *(1.0, 1.0, 1.0, 3.0, 30.0, None, (1.0,) * 10),
        *("onnxruntime", "1.32.0", "float32", "cpu", "CPUExecutionProvider"),
    )


FILES = (Described("onnx-fp32", "fp32"), Described("onnx-int8", "int8"))


class TestTwins:
    def test_a_slower_one_is_named_with_its_quotient(self) -> None:
        (pair,) = slow_int8(FILES, {"onnx-fp32": [row(1.0)], "onnx-int8": [row(1.3)]})
        assert pair.sentence() == (
            "onnx-int8 is slower than onnx-fp32 on local_cpu with one thread: 1.30 times its time [1.30, 1.30]"
        )

    def test_pairs_are_of_one_batch_size_and_say_it_where_it_is_not_one(self) -> None:
        rows = {"onnx-fp32": [row(1.0), row(5.0, batch=8)], "onnx-int8": [row(0.9), row(6.0, batch=8)]}
        assert [pair.batch for pair in twins(FILES, rows)] == [1, 8]
        (pair,) = slow_int8(FILES, rows)
        assert asdict(pair)["batch"] == 8
        assert "on local_cpu with one thread in batches of 8: 1.20 times its time" in pair.sentence()

    def test_one_by_noise_is_not(self) -> None:
        noisy = replace(row(1.3), round_ms=(1.5, 0.8, 1.4, 0.9, 1.6, 1.5, 0.9, 1.3, 1.6, 1.4))
        rows = {"onnx-fp32": [row(1.0)], "onnx-int8": [noisy]}
        (pair,) = twins(FILES, rows)
        assert (pair.slower, pair.faster) == (False, False)
        assert slow_int8(FILES, rows) == []

    def test_a_quicker_one_is_no_slow_one(self) -> None:
        (pair,) = twins(FILES, {"onnx-fp32": [row(1.0)], "onnx-int8": [row(0.7)]})
        assert (pair.slower, pair.faster) == (False, True)

    @pytest.mark.parametrize(
        "change",
        [
            {"target": "pi"},
            {"threads": 2},
            {"accelerator": "npu"},
            {"mode": "full"},
            {"batch": 8},
            {"origin": "emulated"},
        ],
    )
    def test_only_rows_that_differ_in_the_file_alone_are_compared(self, change: dict[str, Any]) -> None:
        rows = {"onnx-fp32": [row(1.0)], "onnx-int8": [row(1.3, **change)]}
        assert list(twins(FILES, rows)) == []

    def test_emulated_times_are_no_times(self) -> None:
        rows = {"onnx-fp32": [row(1.0, origin="emulated")], "onnx-int8": [row(1.3, origin="emulated")]}
        assert list(twins(FILES, rows)) == []

    @pytest.mark.parametrize("change", [{"model": "student"}, {"backend": "tflite"}, {"precision": "fp16"}])
    def test_a_twin_is_of_the_same_network_and_format(self, change: dict[str, Any]) -> None:
        files = (replace(FILES[0], **change), FILES[1])
        assert list(twins(files, {"onnx-fp32": [row(1.0)], "onnx-int8": [row(1.3)]})) == []


def timed(report: Report, **times: Any) -> Report:
    """The report with one row a file, ms by name with underscores; other files have none."""
    artifacts = []
    for artifact in report.artifacts:
        given = times.get(artifact.name.replace("-", "_"), ())
        rows = (row(given),) if isinstance(given, float) else tuple(given)
        artifacts.append(replace(artifact, latency=rows))
    gates = tuple(gate for gate in report.gates if gate.name != "quantization_drop")
    return replace(report, artifacts=tuple(artifacts), gates=gates)


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


def name_of(artifact: ReportedArtifact | None) -> str | None:
    return artifact.name if artifact else None


class TestRecommended:
    def test_the_quickest_on_the_first_target_with_one_thread(self, report: Report) -> None:
        rows = [row(9.0), row(0.1, threads=2), row(0.1, target="other")]
        assert name_of(recommended(timed(report, onnx_fp32=2.0, onnx_int8=1.0, tflite_fp32=rows))) == "onnx-int8"

    def test_the_first_target_is_the_recipes_first_that_ran(self, report: Report) -> None:
        """The first file's first row may be of another one, as where the first target runs no such files."""
        rows = [row(9.0, target="phone"), row(5.0, target="desk")]
        made = timed(report, onnx_fp32=[row(1.0, target="desk")], onnx_int8=[row(3.0, target="desk")], tflite_fp32=rows)
        machine = report.environment.targets["local_cpu"]

        def among(*targets: str) -> Report:
            return replace(made, environment=replace(made.environment, targets=dict.fromkeys(targets, machine)))

        assert first_target(among("absent", "phone", "desk")) == "phone"
        assert name_of(recommended(among("absent", "phone", "desk"))) == "tflite-fp32"
        assert first_target(among("desk", "phone")) == "desk"
        assert name_of(recommended(among("desk", "phone"))) == "onnx-fp32"
        text = render(among("phone", "desk"), NOTHING)
        assert "9 ms for an image on phone with one thread (measured)" in text, "not the 5 ms of the desk"
        assert '<span class="value">9.00 ms</span>' in text

    def test_batches_recommend_nothing(self, report: Report) -> None:
        made = timed(report, onnx_fp32=2.0, tflite_fp32=[row(9.0), row(0.1, batch=8)])
        assert name_of(recommended(made)) == "onnx-fp32"

    def test_never_a_slow_int8_file_even_if_it_is_the_quickest_of_all(self, report: Report) -> None:
        """Quickest by its p50, which another measurement gave; its rounds say that it is slower than its twin."""
        odd = replace(row(1.3), p50_ms=0.1)
        made = timed(report, onnx_fp32=1.0, onnx_int8=[odd], tflite_fp32=2.0)
        assert slow_files(made) == {"onnx-int8"}
        assert name_of(recommended(made)) == name_of(view.headline(made)) == "onnx-fp32"

    def test_one_that_is_slow_with_more_threads_neither(self, report: Report) -> None:
        made = timed(report, onnx_fp32=[row(1.0), row(0.5, threads=2)], onnx_int8=[row(0.7), row(0.8, threads=2)])
        assert name_of(recommended(made)) == "onnx-fp32"

    def test_one_that_is_slow_on_another_target_alone_is_named_and_taken(self, report: Report) -> None:
        made = timed(
            report,
            onnx_fp32=[row(1.0), row(1.0, target="phone")],
            onnx_int8=[row(0.7), row(1.5, target="phone")],
        )
        assert name_of(recommended(made)) == "onnx-int8"
        assert "onnx-int8 is slower than onnx-fp32 on phone" in model_card(made)

    @pytest.mark.parametrize(("name", "severity"), [("quantization_drop", "warn"), ("int8_collapse", "fail")])
    def test_it_passes_its_gates_and_the_recipes_drop(self, report: Report, name: str, severity: Any) -> None:
        gate = Gate(name, "onnx-int8", False, severity, -0.02, -0.003, "loses too much")
        made = timed(report, onnx_fp32=2.0, onnx_int8=1.0)
        assert name_of(recommended(replace(made, gates=(*made.gates, gate)))) == "onnx-fp32"

    def test_without_latencies_there_is_none_and_a_headline_all_the_same(self, report: Report) -> None:
        made = timed(report)
        assert recommended(made) is None
        assert view.headline(made) is not None
        assert "none passes them all with its latency measured" in story.headline_reason(made)

    def test_the_headline_is_the_recommended_one_or_else_no_slow_int8_file(self, report: Report) -> None:
        made = timed(report, onnx_fp32=2.0, onnx_int8=1.0)
        dropped = Gate("quantization_drop", "onnx-int8", False, "warn", -0.02, -0.003, "loses too much")
        assert name_of(view.headline(replace(made, gates=(*made.gates, dropped)))) == "onnx-fp32"
        odd = timed(report, onnx_fp32=1.0, onnx_int8=[replace(row(1.3), p50_ms=0.1)])
        noisy = Gate("fp32_parity", "onnx-fp32", False, "warn", 2e-4, 1e-4, "the runtime's own arithmetic")
        odd = replace(odd, gates=(*odd.gates, noisy))
        assert recommended(odd) is None
        assert name_of(view.headline(odd)) == "onnx-fp32"

    def test_emulated_times_recommend_nothing(self, report: Report) -> None:
        assert recommended(timed(report, onnx_fp32=[row(1.0, origin="emulated")])) is None


def test_page_and_card_name_the_slow_file_and_the_recommended_one(report: Report) -> None:
    made = timed(report, onnx_fp32=1.0, onnx_int8=1.3)
    sentence = "onnx-int8 is slower than onnx-fp32 on local_cpu with one thread: 1.30 times its time [1.30, 1.30]"
    page, card = render(made, NOTHING), model_card(made)
    assert page.count(sentence) == 2  # the banner and the limits
    assert "1 int8 measurement is slower than float32" in page
    assert f"**Slow int8**: {sentence}." in card
    assert "Recommended where nobody says another: `onnx-fp32`." in card
    assert "slower than float32" not in render(timed(report, onnx_fp32=1.0, onnx_int8=0.9), NOTHING)
    assert "Slow int8" not in model_card(timed(report, onnx_fp32=1.0, onnx_int8=0.9))


def test_a_build_says_it_of_a_written_report(report: Report, tmp_path: Path) -> None:
    timed(report, onnx_fp32=1.0, onnx_int8=1.3).write(tmp_path)
    (sentence,) = report_stage.slow(tmp_path)
    assert sentence.startswith("onnx-int8 is slower than onnx-fp32")


class TestForeseen:
    def prediction(self, **changes: Any) -> Prediction:
        finding = Finding("HARD_SWISH", "int8", "int8", 3, "falls_back", "", "x")
        made = Prediction("onnx-int8", "xnnpack", (finding,), 9, 4, 4, 2, "no", "slower")
        return replace(made, **changes)

    def pair(self, ms: float) -> Any:
        (pair,) = twins(FILES, {"onnx-fp32": [row(1.0)], "onnx-int8": [row(ms)]})
        return pair

    @pytest.mark.parametrize(
        ("predicted", "measured", "ms", "agreement"),
        [
            ({}, {"placement": "XNNPACK, 2 partitions", "compute_precision": "int8"}, 1.3, "agrees"),
            ({}, {"placement": "XNNPACK, 1 partition", "compute_precision": "int8"}, 1.3, "differs"),
            ({}, {"placement": "XNNPACK, 2 partitions", "compute_precision": "int8 3, float32 1"}, 1.3, "differs"),
            ({}, {"placement": "XNNPACK, 2 partitions", "compute_precision": "int8"}, 0.8, "differs"),
            ({"int8": "faster"}, {}, 0.8, "agrees"),
            ({"int8": "faster"}, {}, 1.01, "differs"),
            ({"int8": "unknown", "pieces": None}, {}, 1.3, "undecided"),  # ONNX Runtime does not count its layers
            ({"int8": "unknown", "pieces": None, "rules": ""}, {}, 1.3, "not predicted"),
            ({"int8": "unknown", "pieces": 3, "rules": ""}, {}, 1.3, "undecided"),
            ({"int8": "unknown", "pieces": None, "artifact": "onnx-fp32"}, {}, 1.3, "not predicted"),
        ],
    )
    def test_what_was_predicted_is_held_against_what_was_measured(
        self, predicted: dict[str, Any], measured: dict[str, Any], ms: float, agreement: str
    ) -> None:
        measured = {"compute_precision": "int8 and float32"} | measured
        found = foreseen(self.prediction(**predicted), row(ms, **measured), self.pair(ms))
        assert found.agreement == agreement
        assert (found.falls_back, found.slow, found.unknown) == (3, 0, 0)

    def test_an_interval_that_tells_nothing_is_neither_right_nor_wrong(self) -> None:
        wide = replace(row(1.0), round_ms=(0.5, 0.6, 0.7, 1.5, 1.6, 1.7, 0.5, 1.5, 1.0, 1.0))
        (pair,) = twins(FILES, {"onnx-fp32": [row(1.0)], "onnx-int8": [wide]})
        found = foreseen(self.prediction(pieces=None), replace(wide, compute_precision="int8 and float32"), pair)
        assert (found.measured_int8, found.agreement) == ("unknown", "undecided")

    def test_layers_are_not_held_against_a_prediction_with_unknown_operators(self) -> None:
        unknown = Finding("A", "int8", "int8", 1, "unknown", "", "")
        known = self.prediction().findings[0]
        made = self.prediction(findings=(unknown, known), pieces=None, native_layers=1, int8="unknown")
        assert foreseen(made, row(1.0, compute_precision="int8"), None).agreement == "not predicted"

    def test_a_report_holds_the_rehearsals_files_against_their_latencies(self, report: Report) -> None:
        swish, conv = Kind("HARD_SWISH", "int8", "int8", False, ""), Kind("CONV_2D", "int8", "int8", True, "")
        graph = graph_of([(conv, [], 100, 10**6), (swish, [0], 100, 0), (conv, [1], 100, 10**6)])
        rehearsal = Rehearsal((), None, (RehearsedFile("tflite-int8", 1.0, 1, None, None, graph),), 1.0, None)
        two = row(0.5, threads=2, placement="XNNPACK, 9 partitions", compute_precision="int8")
        one = row(0.7, placement="XNNPACK, 2 partitions", compute_precision="int8")
        made = timed(report, tflite_fp32=1.0, tflite_int8=[two, one], onnx_int8=1.0)
        loaded: Any = SimpleNamespace(project=Path(), recipe=SimpleNamespace(targets=["local_cpu"]))
        (found,) = predictions(loaded, rehearsal, made.artifacts)
        assert (found.artifact, found.pieces, found.measured_pieces, found.agreement) == ("tflite-int8", 2, 2, "agrees")
        assert found.measured_int8 == "faster"
        assert list(predictions(loaded, None, made.artifacts)) == []

    def test_the_page_has_the_row(self, report: Report) -> None:
        found = foreseen(self.prediction(), row(1.3, placement="XNNPACK, 5 partitions"), self.pair(1.3))
        page = render(replace(report, foreseen=(found,)), NOTHING)
        assert "Predicted and measured" in page
        assert "2;<br />5 measured" in page
        assert ">differs</span>" in page
        assert "Predicted and measured" not in render(report, NOTHING)


def missing() -> str:
    raise MissingRuntime("not here")


class TestManifest:
    @pytest.fixture
    def bundle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        tiny_bundle.install(monkeypatch)
        return tiny_bundle.write(tmp_path / "bundle")

    def recommend(self, bundle: Path, name: object) -> Path:
        return tiny_bundle.edit(bundle, lambda content: content.update(recommended=name))

    def test_a_bundle_from_before_recommends_nothing(self, bundle: Path) -> None:
        tiny_bundle.edit(bundle, lambda content: content.pop("recommended"))
        assert Manifest.load(bundle).recommended is None
        assert runtime.load(bundle).artifact.name == "red"

    def test_the_recommended_one_is_loaded_where_nobody_names_another(self, bundle: Path) -> None:
        self.recommend(bundle, "blue")
        assert runtime.load(bundle).artifact.name == "blue"
        assert runtime.load(bundle, "red").artifact.name == "red"
        assert [artifact.name for artifact in Manifest.load(bundle).preferred] == ["blue", "red"]

    def test_one_whose_runtime_is_not_installed_gives_way_to_the_first(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(BACKENDS, "openvino", stub("openvino", says=missing))
        assert runtime.load(self.recommend(bundle, "blue")).artifact.name == "red"

    @pytest.mark.parametrize("name", ["green", "", 3, ["red"]])
    def test_what_is_no_artifact_is_refused(self, bundle: Path, name: object) -> None:
        with pytest.raises(IntegrityError, match="recommended"):
            Manifest.load(self.recommend(bundle, name))


def test_bench_says_which_int8_files_are_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgetl.api.bench import BenchResult
    from edgetl.commands import bench as command

    rows = {"onnx-fp32": [row(1.0)], "onnx-int8": [row(1.3)]}
    result = BenchResult(rows, slow_int8=slow_int8(FILES, rows))
    found: Callable[..., BenchResult] = lambda *_, **__: result  # noqa: E731
    monkeypatch.setattr("edgetl.api.bench.bench", found)
    command._bench(tmp_path)
    assert "SLOW INT8: onnx-int8 is slower than onnx-fp32 on local_cpu" in capsys.readouterr().out
    (pair,) = result.to_json()["slow_int8"]
    assert pair["int8"] == "onnx-int8"
    assert pair["ratio"]["low"] > 1


def test_bench_finds_the_slow_int8_file_of_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgetl.api.bench import bench

    class Running(FakeRunning):
        def run(self, count: int) -> list[float]:
            return [1.3 if self._worker.name.startswith("red") else 1.0] * count

    @contextmanager
    def start(worker: FakeWorker) -> Iterator[Running]:
        yield Running(worker)

    kind = DeviceKind("fake", "a fake", "fakes.devices:FakeTarget", "fakes.devices:FakeDevice")
    monkeypatch.setitem(DEVICES, "fake", kind)
    monkeypatch.setattr(FakeWorker, "start", start)
    effort = Effort(rounds=10, runs=20, seconds=0.0, limit_s=1.0, warm_up_s=0.0)
    monkeypatch.setitem(measuring.EFFORTS, "quick", effort)
    tiny_bundle.install(monkeypatch)
    bundle = tiny_bundle.write(tmp_path / "bundle")
    tiny_bundle.edit(bundle, lambda content: content["artifacts"][1].update(backend="onnx"))  # blue is red's twin then
    (tmp_path / "desk.yaml").write_text("name: desk\nkind: fake\n")
    found = bench(bundle, targets=[str(tmp_path / "desk.yaml")], quick=True)
    assert [(pair.int8, pair.fp32, pair.target, pair.threads) for pair in found.slow_int8] == [
        ("red", "blue", "desk", 1),
        ("red", "blue", "desk", 2),
    ]
