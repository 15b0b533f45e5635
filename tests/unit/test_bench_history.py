"""`edgetl bench` and `edgetl history`: what is measured is kept, and a slower bundle ends with exit code 1."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundle
from fakes import devices
from fakes.measurements import MACHINE, record
from in_process import edgetl

from edgetl.devices import DEVICES, Kind
from edgetl.history import History
from edgetl.runtime import measuring
from edgetl.runtime.measuring import Effort

Run = Callable[..., tuple[int, str, str]]


class Clock:
    """Milliseconds of each run of the fake device, by artefact, and of its yardstick."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.yardstick = 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()

    def run(self: devices.FakeRunning, count: int) -> list[float]:
        return [found.ms.get(self._worker.name.partition("@")[0], 10.0)] * count

    def ask(self: devices.FakeRunning, word: str, *values: object) -> dict[str, object]:
        return {"kind": "fake", "times": [found.yardstick] * 9} if word == "yardstick" else {}

    monkeypatch.setattr(devices.FakeRunning, "run", run)
    monkeypatch.setattr(devices.FakeRunning, "ask", ask)
    kind = Kind("fake", "a fake", "fakes.devices:FakeTarget", "fakes.devices:FakeDevice")
    monkeypatch.setitem(DEVICES, "fake", kind)
    for mode in ("quick", "full"):
        effort = Effort(rounds=4, runs=8, seconds=0.0, limit_s=1.0, warm_up_s=0.0)
        monkeypatch.setitem(measuring.EFFORTS, mode, effort)
    return found


@pytest.fixture
def bench(
    clock: Clock, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """`edgetl bench BUNDLE --target desk` with further words, in a project of its own."""
    monkeypatch.delenv("EDGETL_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "desk.yaml").write_text("name: desk\nkind: fake\n")

    def run(*words: str, of: Path = bundle) -> tuple[int, str, str]:
        return edgetl(capsys, "bench", str(of), "--target", "desk", *words)

    return run


@pytest.fixture
def successor(bundle: Path, tmp_path: Path) -> Path:
    """The next bundle of the same name: another file behind `red`."""
    folder = tiny_bundle.write(tmp_path / "next")
    (folder / "models/red.json").write_text('{"bias": [1, 0, 0] }')
    return tiny_bundle.rehash(folder, "models/red.json")


def test_a_bench_is_kept_in_the_projects_store(bench: Run, bundle: Path, tmp_path: Path) -> None:
    assert bench("--quick", "--label", "v1")[0] == 0
    found = History(tmp_path / ".edgetl" / "history.sqlite").read()
    assert [(each.artifact, each.row["threads"]) for each in found] == [
        ("red", 1),
        ("red", 2),
        ("blue", 1),
        ("blue", 2),
    ]
    assert {(each.bundle, each.label, each.source, each.run) for each in found} == {
        ("tiny", "v1", "bench", found[0].run)
    }
    assert found[0].bundle_sha256 == tiny_bundle.sha256(bundle / "bundle.json")
    assert found[0].content == found[0].sha256 == tiny_bundle.sha256(bundle / "models/red.json")
    assert found[2].content != found[2].sha256  # its weights lie beside it
    assert found[0].machine.processor == "fake"
    assert found[0].row["p50_ms"] == 10.0
    text = str(found[0].to_json())
    assert str(tmp_path) not in text


def test_on_a_slow_machine_times_are_marked_and_compared_all_the_same(
    bench: Run, successor: Path, clock: Clock, tmp_path: Path
) -> None:
    for _ in range(5):
        assert "noisy" not in bench()[1]
    clock.yardstick, clock.ms = 1.1, {"red": 11.0, "blue": 11.0}
    code, out, _ = bench("--compare", "--json", of=successor)
    content = json.loads(out)
    assert code == 0
    rows = [row for rows in content["latency"].values() for row in rows]
    assert {(row["noisy"], row["noise"]) for row in rows} == {
        (True, "the machine was slower than it has been: its yardstick took 1.1 ms, 1 when it was quick")
    }
    assert [row["machine"] for row in content["comparison"]["rows"]] == [pytest.approx(1.1)] * 4
    kept = History(tmp_path / ".edgetl" / "history.sqlite").read()
    assert not any(each.noisy for each in kept), "what is kept is judged by who reads it"
    clock.ms["red"] = 14.0
    code, out, _ = bench("--compare", of=successor)
    assert code == 1
    assert "red            desk x1  machine  x1.100" in out


def test_where_it_is_kept(bench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tmp_path / ".edgetl" / "history.sqlite"
    assert bench("--no-history")[0] == 0
    assert not usual.exists()
    assert bench("--history", "mine.sqlite")[0] == 0
    assert (tmp_path / "mine.sqlite").is_file()
    assert not usual.exists()
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    assert bench()[0] == 0
    assert (tmp_path / "store" / "history.sqlite").is_file()
    monkeypatch.delenv("EDGETL_STORE")
    (tmp_path / ".edgetl").mkdir()
    (tmp_path / "deep" / "targets").mkdir(parents=True)
    (tmp_path / "deep" / "targets" / "desk.yaml").write_text("name: desk\nkind: fake\n")
    monkeypatch.chdir(tmp_path / "deep")
    assert bench()[0] == 0
    assert usual.is_file()


def test_a_slower_bundle_ends_with_1_and_an_equal_one_with_0(bench: Run, successor: Path, clock: Clock) -> None:
    for _ in range(5):
        assert bench()[0] == 0
    code, out, _ = bench("--compare", of=successor)
    assert code == 0
    assert "compared with bundle tiny " in out
    assert "red            desk x1  median  10.00 -> 10.00 ms  x1.000" in out
    clock.ms["red"] = 12.5
    code, out, err = bench("--compare", "last", "--json", of=successor)
    assert code == 1
    content = json.loads(out)["comparison"]
    assert {words.partition(":")[0] for words in content["regressions"]} == {"red x1 on desk", "red x2 on desk"}
    rows = {(row["artifact"], row["threads"]): row for row in content["rows"]}
    assert rows["red", 1]["same_file"] is False
    assert rows["blue", 1]["same_file"] is True
    assert "compare: 4 regressions against bundle tiny" in err
    clock.ms["red"] = 8.0
    code, out, _ = bench("--compare", of=successor)
    assert code == 0
    assert "better" in out


def test_the_same_bundle_again_is_compared_with_itself(bench: Run, clock: Clock) -> None:
    bench()
    bench()
    clock.ms["blue"] = 20.0
    code, out, _ = bench("--compare", "--quick")
    assert code == 0
    assert "not comparable: mode full then, quick now" in out
    assert bench("--compare")[0] == 1


def test_a_label_to_compare_with(bench: Run, clock: Clock) -> None:
    bench("--label", "good")
    clock.ms = {"red": 30.0, "blue": 30.0}
    bench()
    assert bench("--compare", "good")[0] == 1
    code, out, err = bench("--compare", "goood")
    assert (code, out) == (2, "")
    assert "did you mean 'good'?" in err


def test_the_first_of_its_name_has_nothing_to_be_compared_with(bench: Run, tmp_path: Path) -> None:
    History(tmp_path / ".edgetl" / "history.sqlite").append([record(bundle_sha256="")])  # a build whose gates failed
    code, out, err = bench("--compare")
    assert code == 0
    assert "there is nothing to compare with yet" in err
    assert "compared" not in out
    assert len(History(tmp_path / ".edgetl" / "history.sqlite").read()) == 1 + 4


def test_a_wrong_word_or_a_damaged_history_is_told_before_anything_is_measured(
    bench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: devices.FakeWorker) -> object:
        raise AssertionError("was started")

    monkeypatch.setattr(devices.FakeWorker, "start", never)
    assert bench("--compare", "nothing")[0] == 2
    for label in ("last", "v\udcff", "a\nb"):
        code, _, err = bench("--label", label)
        assert (code, "label: got" in err) == (2, True)
    (tmp_path / "history.sqlite").write_bytes(b"no database" * 100)
    code, _, err = bench("--history", "history.sqlite")
    assert code == 5
    assert "is damaged" in err
    assert (tmp_path / "history.sqlite").read_bytes() == b"no database" * 100


def test_a_damaged_history_is_nobodys_matter_who_neither_compares_nor_keeps(bench: Run, tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"no database" * 100)
    assert bench("--history", "history.sqlite", "--no-history")[0] == 0


def test_a_history_that_cannot_be_written_costs_no_measurement(bench: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = bench("--history", "file/history.sqlite")
    assert code == 0
    assert out.startswith("red")
    assert "warning: the measurements were not added to the history" in err


def test_images_that_cannot_be_read_are_told_before_minutes_of_measuring(bench: Run, tmp_path: Path) -> None:
    assert bench("--data", f"folder:{tmp_path / 'nothing'}")[0] == 2
    assert not (tmp_path / ".edgetl" / "history.sqlite").exists()


def test_accuracy_is_kept_with_the_digest_of_its_data(
    bench: Run, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outputs(self: devices.FakeRunning, path: str, start: int, count: int) -> list[list[float]] | None:
        return None if "golden" in path else [[0.5, 0.3, 0.2]] * count  # which knows no golden outputs

    monkeypatch.setattr(devices.FakeRunning, "outputs", outputs)
    for number, label in enumerate(("mel", "mel", "nv", "nv")):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / label / f"{number}.png").write_bytes((bundle / f"golden/{number % 2}.png").read_bytes())
    assert bench("--data", f"folder:{tmp_path / 'data'}")[0] == 0
    code, out, _ = bench("--data", "folder:data", "--compare", "--json")
    assert code == 0
    answers = json.loads(out)["comparison"]["accuracy"]
    assert [(each["artifact"], each["target"]) for each in answers] == [("red", "desk"), ("blue", "desk")]
    first, *_, last = History(tmp_path / ".edgetl" / "history.sqlite").read()
    assert first.data == last.data != ""
    assert 0 <= first.metrics["balanced_accuracy"].low <= first.metrics["balanced_accuracy"].high <= 1

    def compared() -> bool:
        return bool(json.loads(bench("--data", "folder:moved", "--compare", "--json")[1])["comparison"]["accuracy"])

    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "moved" / "mel" / "0.png").rename(tmp_path / "moved" / "mel" / "renamed.png")
    assert compared(), "the same pictures in another place"
    shutil.copyfile(bundle / "golden/1.png", tmp_path / "moved" / "mel" / "renamed.png")
    assert not compared(), "another picture in the same place"
    (tmp_path / "moved" / "mel" / "renamed.png").rename(tmp_path / "moved" / "nv" / "renamed.png")
    assert not compared(), "another label"


class TestHistory:
    @pytest.fixture(autouse=True)
    def measured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("EDGETL_STORE", raising=False)
        history = History(tmp_path / ".edgetl" / "history.sqlite")
        history.append([record(10.0, run=str(number)) for number in range(5)])
        history.append([record(15.0, run="slow", bundle_sha256="c" * 64, label="slow")])

    def test_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, _ = edgetl(capsys, "history", "list")
        assert code == 0
        assert out.count("p50 10.00") == 5
        assert "label slow" in out
        assert f"6 measurements, in {Path.cwd() / '.edgetl' / 'history.sqlite'}" in out
        code, out, _ = edgetl(capsys, "history", "list", "--bundle", "slow", "--json")
        assert [each["label"] for each in json.loads(out)] == ["slow"]
        assert edgetl(capsys, "history", "list", "--bundle", "none")[0] == 2

    def test_export(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert edgetl(capsys, "history", "export", "all.csv")[0] == 0
        with (tmp_path / "all.csv").open() as file:
            assert [line["p50_ms"] for line in csv.DictReader(file)] == ["10.0"] * 5 + ["15.0"]
        assert edgetl(capsys, "history", "export", "all.json", "--bundle", "cccccc")[0] == 0
        assert len(json.loads((tmp_path / "all.json").read_text())) == 1
        before = (tmp_path / "all.csv").read_bytes()
        assert edgetl(capsys, "history", "export", "all.csv")[0] == 2
        assert (tmp_path / "all.csv").read_bytes() == before
        assert edgetl(capsys, "history", "export", "all.csv", "--force")[0] == 0
        code, _, err = edgetl(capsys, "history", "export", "all.xlsx")
        assert code == 2
        assert "expected .csv or .json" in err

    def test_compare(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = edgetl(capsys, "history", "compare", "slow", "aaaaaa")
        assert code == 1
        assert "10.00 -> 15.00 ms" in out
        assert "regression" in err
        code, out, _ = edgetl(capsys, "history", "compare", "aaaaaa", "slow", "--json")
        assert code == 0
        assert json.loads(out)["rows"][0]["changes"][0]["verdict"] == "better"
        assert edgetl(capsys, "history", "compare", "slow", "last")[0] == 1
        code, _, err = edgetl(capsys, "history", "compare", "aaaaaa", "last")  # `slow` came after it
        assert code == 2
        assert "no bundle 'tiny' was measured before" in err
        code, _, err = edgetl(capsys, "history", "compare", "slow", "cccccc")
        assert code == 2
        assert "are the same measurements" in err


def test_a_bundle_is_compared_with_its_own_first_measurement(
    bench: Run, bundle: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--label", "v1")[0] == 0
    code, _, err = edgetl(capsys, "history", "compare", str(bundle), "v1")
    assert (code, "are the same measurements" in err) == (2, True)
    clock.ms = {"red": 20.0, "blue": 20.0}
    assert bench()[0] == 0
    code, out, _ = edgetl(capsys, "history", "compare", str(bundle), "v1")
    assert code == 1
    assert "10.00 -> 20.00 ms" in out


def test_last_is_no_bundle_with_the_same_files(bench: Run, bundle: Path, successor: Path, clock: Clock) -> None:
    """A build out of the store by another edgetl has another bundle.json, and is what was built before all the same."""
    for _ in range(3):
        assert bench()[0] == 0
    clock.ms["red"] = 14.0
    assert bench(of=successor)[0] == 0
    tiny_bundle.edit(successor, lambda content: content.update(edgetl="9.9.9"))
    code, _, err = bench("--compare", of=successor)
    assert (code, "red x1 on desk: median" in err) == (1, True)


def test_that_nothing_could_be_compared_is_a_warning(bench: Run, successor: Path) -> None:
    assert bench("--quick")[0] == 0
    code, _, err = bench("--compare", of=successor)
    assert code == 0
    assert "warning: no time could be compared with bundle tiny" in err
    assert "mode quick then, full now" in err
    assert "--quick" in err
    assert "no time could be compared" not in bench("--quick", "--compare", of=successor)[2]


def test_that_builds_measure_quickly_is_said_where_quick_rows_are_held_against_full_ones(
    bench: Run, successor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(tmp_path / "mine.sqlite")
    history.append([record(run="1", label="quick"), record(run="1", label="quick", threads=4)])
    history.append([record(run="2", label="full", mode="full")])
    elsewhere = replace(MACHINE, processor="mode quick then")
    history.append([record(run="3", label="phone", mode="full", machine=elsewhere)])

    def said(now: str, before: str) -> str:
        return edgetl(capsys, "history", "compare", now, before, "--history", str(tmp_path / "mine.sqlite"))[2]

    assert "mode quick then, full now (a build measures quickly: --quick measures alike)" in said("full", "quick")
    assert "a build measures" not in said("quick", "full")
    assert "a build measures" not in said("full", "phone"), "a machine's name is no mode"


def test_a_bundle_behind_compare_is_the_bundle_that_is_measured(
    bench: Run, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench()[0] == 0
    code, out, _ = edgetl(capsys, "bench", "--target", "desk", "--compare", str(bundle))
    assert code == 0
    assert "compared with bundle tiny" in out


def test_a_folder_that_is_compared_with_is_named(
    bench: Run, bundle: Path, successor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"compared with {bundle} (bundle tiny {tiny_bundle.sha256(bundle / 'bundle.json')[:12]}...); ratios"
    code, _, err = bench("--compare", str(bundle), of=successor)
    assert (code, "nothing of bundle tiny" in err) == (2, True), "nothing is measured before that is known"
    assert bench()[0] == bench(of=successor)[0] == 0
    for words in (
        ("bench", str(successor), "--target", "desk", "--compare", str(bundle)),
        ("bench", "--target", "desk", "--compare", str(bundle), str(successor)),
        ("bench", str(successor), "--target", "desk", f"--compare={bundle}"),
        ("history", "compare", str(successor), str(bundle)),
    ):
        code, out, _ = edgetl(capsys, *words)
        assert (code, said in out) == (0, True), words


def test_last_is_no_folder_of_that_name(bench: Run, bundle: Path, successor: Path, tmp_path: Path) -> None:
    shutil.copytree(successor, tmp_path / "last")
    assert bench()[0] == 0
    code, out, _ = bench("--compare", of=successor)
    assert (code, "compared with bundle tiny" in out) == (0, True)


def test_a_bundle_whose_manifest_was_written_anew_is_found(
    bench: Run, bundle: Path, successor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--label", "v1")[0] == 0
    tiny_bundle.edit(bundle, lambda content: content.update(name="renamed"))
    code, out, _ = edgetl(capsys, "history", "list", "--bundle", str(bundle), "--json")
    assert code == 0
    assert {each["label"] for each in json.loads(out)} == {"v1"}
    code, _, err = edgetl(capsys, "history", "list", "--bundle", str(successor))
    assert code == 2
    assert "nothing of bundle tiny" in err
    assert bench(of=successor)[0] == 0
    code, out, _ = edgetl(capsys, "history", "compare", str(successor), str(bundle), "--json")
    assert code == 0
    assert {row["artifact"]: row["same_file"] for row in json.loads(out)["rows"]} == {"red": False, "blue": True}
