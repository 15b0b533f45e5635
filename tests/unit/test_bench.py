"""`edgetl bench` on a device in this process: accuracy through its workers, and what fails beside what does not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from example_report import make_report
from fakes.devices import DESCRIBED, FakeDevice, FakeTarget
from fakes.sessions import FakeSession

import edgetl
from edgetl import cli
from edgetl.api.batches import Batched, Written, name_of
from edgetl.api.evaluate import evaluate
from edgetl.devices import DEVICES, Kind, Presence
from edgetl.devices.answers import TENSORS, answers
from edgetl.errors import ArtifactError, DataError, EdgetlError, IntegrityError, UsageError, WorkerError
from edgetl.report import story
from edgetl.results.artifacts import CalibratedArtifact, Calibration
from edgetl.results.latency import LatencyTable, Unmeasured
from edgetl.runtime import measuring, serving, text
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.measuring import Effort
from edgetl.runtime.subjects import Failure
from edgetl.runtime.sustained import Lasting, Minute, Sustained
from edgetl.stages import benchmark

SHORT = Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0, pictures=1)


class Bench(FakeDevice):
    """Its workers run the fake sessions. ill: by artefact, what becomes of it."""

    ill: dict[str, str] = {}  # noqa: RUF012  # set by a test
    made: list[Bench] = []  # noqa: RUF012

    def __init__(self, target: FakeTarget) -> None:
        super().__init__(target)
        Bench.made.append(self)

    def worker(self, folder: Path, artifact: Artifact, threads: int) -> Any:
        assert folder in self.pushed
        return Started(f"{artifact.name}@{threads}", threads, folder / artifact.path, Bench.ill.get(artifact.name, ""))


@dataclass(frozen=True)
class Started:
    """A worker and its process in one."""

    name: str
    threads: int
    path: Path
    ill: str
    batch: int = 1

    @contextmanager
    def start(self) -> Iterator[Started]:
        yield self

    def ready(self) -> dict[str, Any]:
        if self.ill == "dies":
            raise WorkerError("died with exit code -11 (SIGSEGV)", place=self.name)
        return {"load_ms": 1.0, "first_ms": 1.0, **DESCRIBED}

    def run(self, count: int) -> list[float]:
        return [1.0] * count

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        if self.ill == "mute":
            return None
        rows = serving.outputs(FakeSession(self.path, 1, {}), path, start, count)
        if self.ill == "nan":
            return [[float("nan")] * len(row) for row in rows]
        return [row[::-1] for row in rows] if self.ill == "wrong" else rows

    def ask(self, word: str, *values: object) -> dict[str, Any]:
        return {}

    def quit(self) -> float | None:
        return 1.0


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny bundle, eight labelled pictures in `data`, and two targets, `desk` and `lab`."""
    tiny_bundle.install(monkeypatch)
    monkeypatch.setitem(DEVICES, "fake", Kind("fake", "a fake", "fakes.devices:FakeTarget", f"{__name__}:Bench"))
    monkeypatch.setitem(measuring.EFFORTS, "quick", SHORT)
    monkeypatch.setattr(Bench, "ill", {})
    monkeypatch.setattr(Bench, "made", [])
    (tmp_path / "targets").mkdir()
    for name in ("desk", "lab"):
        (tmp_path / f"targets/{name}.yaml").write_text(f"name: {name}\nkind: fake\n")
    monkeypatch.chdir(tmp_path)
    written = tiny_bundle.write(tmp_path / "bundle")
    random = np.random.default_rng(3)
    from PIL import Image

    for number, label in enumerate(("mel", "mel", "nv", "nv", "bkl", "bkl", "bkl", "nv")):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (7, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/{label}/{number}.png")
    return written


def run(*words: str) -> int:
    """Exit code of the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgetl", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def test_accuracy_is_what_the_devices_answer(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetl.devices.answers._AT_ONCE", 3)
    result = edgetl.bench(bundle, targets=["desk", "lab"], data="folder:data", quick=True)
    expected = evaluate(bundle, "folder:data")
    assert result.metrics == expected
    assert dict(result.metrics_on) == {"desk": expected, "lab": expected}
    assert [row.target for row in result.latency["red"]] == ["desk", "desk", "lab", "lab"]
    assert {row.golden_difference for rows in result.latency.values() for row in rows} == {0.0}
    assert all(device.closed for device in Bench.made)
    assert len(Bench.made) == 4, "for accuracy, and for latency, on each"
    result.raise_on_problems()


def test_other_answers_are_other_metrics(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "ill", {"blue": "wrong"})
    result = edgetl.bench(bundle, targets=["desk"], data="folder:data", quick=True)
    expected = evaluate(bundle, "folder:data")
    assert result.metrics is not None
    assert result.metrics["red"] == expected["red"]
    assert result.metrics["blue"] != expected["blue"], "the device's, not this host's"


def test_one_without_accuracy_still_has_its_times(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "ill", {"blue": "mute"})
    result = edgetl.bench(bundle, targets=["desk"], data="folder:data", quick=True)
    assert result.metrics is not None
    assert (set(result.metrics), set(result.latency)) == ({"red"}, {"red", "blue"})
    assert [(each.name, each.target) for each in result.unmeasured] == [("blue", "desk")]


def test_one_that_dies_at_its_start_has_neither_accuracy_nor_times(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bench, "ill", {"red": "dies"})
    result = edgetl.bench(bundle, targets=["desk"], data="folder:data", quick=True)
    assert result.metrics is not None
    assert (set(result.metrics), set(result.latency)) == ({"blue"}, {"blue"})
    assert [(each.name, each.threads) for each in result.unmeasured] == [("red", 2), ("red", 1), ("red", 2)]
    assert {each.reason for each in result.unmeasured} == {"died with exit code -11 (SIGSEGV)"}


@pytest.mark.parametrize(("first", "second"), [("desk", "desk"), ("desk", "targets/desk.yaml"), ("desk", "other")])
def test_targets_with_one_name_are_refused_before_anything_is_measured(
    bundle: Path, first: str, second: str, capfd: Any
) -> None:
    (bundle.parent / "targets/other.yaml").write_text("name: desk\nkind: fake\n")
    assert run("bench", str(bundle), "--target", first, "--target", second, "--quick") == 2
    line, hint = capfd.readouterr().err.splitlines()
    assert line == f'error: --target: got "{first}" and "{second}", both named "desk", expected two names'
    assert "its own `name`" in hint
    assert Bench.made == []


@pytest.mark.parametrize("command", ["bench", "check"])
def test_a_target_that_there_is_not_is_said_of_the_option(
    bundle: Path, command: str, tmp_path: Path, capfd: Any
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: mine\ndata: {kind: folder, root: data}\ntargets: [desk]\n")
    assert run(command, str(bundle if command == "bench" else recipe), "--target", "desc") == 2
    assert 'error: --target: no target "desc"; did you mean' in capfd.readouterr().err


@pytest.fixture
def in_batches(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], EdgetlError]:
    """Files for several images that need no converter; what is put here is refused."""
    refused: dict[tuple[str, int], EdgetlError] = {}

    def batched(bundle: Path, manifest: Manifest, batches: Sequence[int], folder: Path) -> Written:
        made = []
        for batch in batches:
            place = shutil.copytree(bundle, folder / str(batch))
            for each in manifest.artifacts:
                if (each.name, batch) not in refused:
                    other = replace(each, name=name_of(each.name, batch), sha256=f"{batch:064x}", bytes=batch)
                    made.append(Batched(each.name, batch, place, other, other.sha256))
        return Written(tuple(made), refused)

    monkeypatch.setattr("edgetl.api.on_targets.batched", batched)
    return refused


def test_a_batch_is_in_its_row_where_the_device_does_not_say_it(bundle: Path, in_batches: object) -> None:
    result = edgetl.bench(bundle, targets=["desk"], quick=True, batches=[8])
    assert {name: [row.batch for row in rows] for name, rows in result.latency.items()} == {
        name: [1, 1, 8, 8] for name in ("red", "blue")
    }


def test_a_file_for_several_images_is_kept_as_itself(
    bundle: Path, in_batches: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGETL_STORE", raising=False)
    edgetl.bench(bundle, targets=["desk"], quick=True, batches=[8], data="folder:data")
    kept = edgetl.measurements()
    red = {each.row["batch"]: each for each in kept if each.artifact == "red"}
    file = Manifest.load(bundle).artifact("red")
    assert [(each.sha256, each.content, each.bytes) for each in red.values()] == [
        (file.sha256, file.sha256, file.bytes),
        (f"{8:064x}", f"{8:064x}", 8),
    ]
    assert [set(each.metrics) > {"auroc"} for each in red.values()] == [True, False], "nobody asked how well it answers"
    assert [bool(each.data) for each in red.values()] == [True, False]
    tiny_bundle.edit(bundle, lambda content: content.update(edgetl="9.9.9"))
    assert edgetl.measurements(bundle=str(bundle)) == kept, "the bundle's own files say which it is"


@pytest.mark.parametrize(
    ("why", "code", "disagrees"),
    [
        (IntegrityError("in a batch of 8 probabilities differ by 0.2", place="red"), 5, True),
        (ArtifactError("onnx: write it for a batch of 8 failed: no"), 0, False),
    ],
)
def test_a_batch_that_is_not_measured_is_told_with_the_rest(
    bundle: Path, in_batches: dict[Any, EdgetlError], why: EdgetlError, code: int, disagrees: bool, capfd: Any
) -> None:
    in_batches["red", 8] = why
    words = ("bench", str(bundle), "--target", "desk", "--target", "lab", "--quick", "--batch", "8")
    assert run(*words, "--json") == code
    said = capfd.readouterr()
    content = json.loads(said.out)
    assert [row["batch"] for row in content["latency"]["red"]] == [1] * 4
    assert [row["batch"] for row in content["latency"]["blue"]] == [1, 1, 8, 8] * 2
    assert [(each["name"], each["target"]) for each in content["unmeasured"]] == [
        ("red batch 8", "desk"),
        ("red batch 8", "lab"),
    ]
    for each in content["unmeasured"]:
        assert (each["reason"], each["disagrees"], each["left_out"]) == (why.message, disagrees, not disagrees)
    assert f"red is not measured with 8 images at a time: {why.message}" in said.err


def test_pictures_that_cannot_be_read_cost_no_measurement(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "data/mel/x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"x\.png"):
        edgetl.bench(bundle, targets=["desk"], data="folder:data", quick=True)
    assert Bench.made == [], "no device was opened"


@pytest.mark.parametrize(
    ("ill", "code", "words", "times"),
    [
        ("dies", 4, "died with exit code -11 (SIGSEGV)", 2),
        ("wrong", 5, "computes something else here: its golden outputs differ by", 1),
        ("nan", 5, "differ by nan", 2),
    ],
)
def test_what_fails_is_named_and_the_rest_is_printed(
    bundle: Path, ill: str, code: int, words: str, times: int, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(Bench, "ill", {"red": ill})
    assert run("bench", str(bundle), "--target", "desk", "--quick", "--json") == code
    said = capfd.readouterr()
    content = json.loads(said.out)
    assert set(content["latency"]) == {"blue"}
    assert [(each["name"], each["target"], each["threads"], each["disagrees"]) for each in content["unmeasured"]] == [
        ("red", "desk", threads, code == 5) for threads in (1, 2)
    ]
    assert words in content["unmeasured"][0]["reason"]
    assert words in said.err
    assert "2 could not be measured, the others were" in said.err
    assert run("bench", str(bundle), "--target", "desk", "--quick") == code
    lines = capfd.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("red")).startswith("red            desk x1  FAILED: ")
    assert next(line for line in lines if line.startswith("blue")).startswith("blue           desk x1  p50 1.00")


def test_a_device_without_outputs_has_no_accuracy_and_says_so(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "ill", {"red": "mute", "blue": "nan"})
    tensors = bundle.parent / "tensors"
    tensors.mkdir()
    shutil.copy(bundle / "golden/tensors.npy", tensors / TENSORS)
    artifacts = Manifest.load(bundle).artifacts
    told: list[tuple[str, int, int]] = []
    target = FakeTarget(name="desk", kind="fake")
    found, failed = answers(target, bundle, artifacts, tensors, 2, lambda *words: told.append(words))
    assert found == {}
    assert [(each.name, each.threads, each.disagrees) for each in failed] == [("red", 2, False), ("blue", 2, False)]
    assert "gives no outputs" in failed[0].reason
    assert "not finite" in failed[1].reason
    monkeypatch.setattr(Bench, "ill", {})
    answers(target, bundle, artifacts, tensors, 2, lambda *words: told.append(words))
    assert told[-1] == ("evaluate on desk", 4, 4)


def test_lasting_load_is_asked_for_by_the_minute(bundle: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    asked: list[Any] = []

    def sustain(plan: Any, minutes: int, **how: Any) -> Sustained:
        asked.append(([worker.name for worker in plan], minutes, sorted(how["known"]), how["names"]))
        lasting = Lasting("red", 2, (Minute(3, 1.0, 2.0), Minute(3, 1.5, 2.5)), 1.5, {})
        return Sustained(minutes, (lasting,), (Failure("blue", 2, "died", 4),), (None,) * 3, (("red",),) * 2, ())

    monkeypatch.setattr("edgetl.devices.latency.sustain", sustain)
    picture = bundle.parent / "minutes.svg"
    words = ("bench", str(bundle), "--target", "desk", "--sustained", "2", "--plot", str(picture), "--json")
    assert run(*words) == 4
    content = json.loads(capfd.readouterr().out)
    assert asked == [(["red@2", "blue@2"], 2, ["blue@2", "red@2"], ["red", "blue"])]
    assert content["latency"] == {}
    assert content["sustained"]["desk"]["results"][0]["ratio"] == 1.5
    assert content["unmeasured"][0]["name"] == "blue"
    drawn = picture.read_text()
    assert drawn.startswith("<?xml")
    assert "desk, 2 threads" in drawn
    assert [path.name for path in bundle.parent.iterdir() if "minutes" in path.name] == ["minutes.svg"]
    edgetl.bench(bundle, targets=["desk", "lab"], sustained=2).plot(bundle.parent / "both.png")
    assert (bundle.parent / "both.png").read_bytes().startswith(b"\x89PNG")
    assert run("bench", str(bundle), "--target", "desk", "--sustained", "2") == 4
    said = capfd.readouterr().out
    assert "red      1.000     2.000     1.500     2.500   1.500" in said
    assert "blue  FAILED: died" in said


@pytest.mark.parametrize("how", [{"sustained": 1}, {"data": "folder:data", "quick": True}])
def test_files_that_a_target_does_not_run_are_left_out_with_the_reason(
    bundle: Path, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind("fake", "a fake", "fakes.devices:FakeTarget", f"{__name__}:Bench", presence="fakes.devices:presence")
    monkeypatch.setitem(DEVICES, "fake", kind)
    monkeypatch.setattr("fakes.devices.PRESENT", Presence("a fake", without={"openvino": "runs ONNX alone"}))
    none = Sustained(1, (), (), (None, None), ((),), ())
    monkeypatch.setattr("edgetl.devices.latency.sustain", lambda *_, **__: none)
    result = edgetl.bench(bundle, targets=["desk"], **how)
    assert [(each.name, each.target, each.reason) for each in result.unmeasured] == [
        ("blue", "desk", "runs ONNX alone")
    ]
    result.raise_on_problems()  # nothing failed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plot", "x.svg"), "got --plot without --sustained"),
        (("--sustained", "1", "--plot", "x.pdf"), "expected a name that ends in .svg or .png"),
        (("--sustained", "1", "--plot", "nowhere/x.svg"), "there is no such folder"),
        (("--sustained", "0"), "got 0 minutes, expected at least 1"),
        (("--sustained", "1", "--quick"), "got 1 minutes and quick"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(
    bundle: Path, words: tuple[str, ...], message: str, capfd: Any
) -> None:
    assert run("bench", str(bundle), "--target", "desk", *words) == 2
    assert message in capfd.readouterr().err
    assert Bench.made == []


def test_problems_have_the_class_of_the_worst() -> None:
    died = Unmeasured("a", "desk", 1, "died", disagrees=False)
    with pytest.raises(WorkerError, match=r"1 could not be measured, the others were\n.*a on desk x1: died"):
        edgetl.BenchResult({}, unmeasured=[died]).raise_on_problems()
    with pytest.raises(IntegrityError):
        edgetl.BenchResult(
            {}, unmeasured=[died, Unmeasured("b", "desk", 1, "differs", disagrees=True)]
        ).raise_on_problems()
    with pytest.raises(UsageError):
        edgetl.BenchResult({}).plot("minutes.gif")


def test_a_report_says_what_could_not_be_measured() -> None:
    without = (
        Unmeasured("a", "desk", 2, "died", disagrees=False),
        Unmeasured("b", "desk", 1, "hung", disagrees=False),
        Unmeasured("c", "desk", 1, "runs ONNX alone", disagrees=False, left_out=True),
    )
    limits = story.limits(replace(make_report(), unmeasured=without))
    assert "a could not be measured on desk with 2 threads: died." in limits
    assert "b could not be measured on desk with one thread: hung." in limits
    assert "c was not measured on desk: runs ONNX alone." in limits


class Told:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def warn(self, line: str) -> None:
        self.warned.append(line)

    def advance(self, *words: object) -> None:
        pass


def test_a_build_writes_down_what_failed_and_warns(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark stage on calibrated files; a dead one costs its own row, as for `edgetl bench`."""
    monkeypatch.setattr(Bench, "ill", {"red": "dies"})
    monkeypatch.setattr(benchmark, "networks", lambda context: {})
    artifacts = tuple(CalibratedArtifact(each, None, {}) for each in Manifest.load(bundle).artifacts)
    Calibration(artifacts, ()).write(bundle)
    progress, folder = Told(), bundle.parent / "stage"
    folder.mkdir()
    recipe = SimpleNamespace(
        artifacts={"red", "blue"}, targets=["desk"], data=SimpleNamespace(image_size=4), incomplete="refuse"
    )
    context: Any = SimpleNamespace(
        inputs={"calibrate.onnx": bundle}, recipe=recipe, project=bundle.parent, progress=progress, folder=folder
    )
    benchmark._run(context)
    table = LatencyTable.read(folder)
    assert set(table.rows) == {"blue"}
    assert [(each.name, each.target, each.threads) for each in table.unmeasured] == [
        ("red", "desk", 1),
        ("red", "desk", 2),
    ]
    assert progress.warned == [
        f"  NOT MEASURED red on desk, {count} threads: died with exit code -11 (SIGSEGV)" for count in (1, 2)
    ]


def test_a_table_has_a_line_for_what_failed() -> None:
    quiet = Measurement("red", "quick", 1, 2, 100, 1.0, 2.0, 3.0, 4.0, 5.0, 60.4, False, "", (1.0,), {})
    lines = text.of_measurements([quiet, Failure("green", 2, "died", 4)]).splitlines()
    assert lines[2] == "green  FAILED: died"
