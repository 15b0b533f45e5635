"""The file of measurements: nothing is lost, nothing is replaced, and words mean the bundles that one expects."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.measurements import NEW, OLD, record

from edgetl.errors import EnvironmentFault, IntegrityError, UsageError
from edgetl.evidence.intervals import Interval
from edgetl.history import History, Record, choose, content_digest, of_files
from edgetl.history.table import to_csv, to_json


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "store" / "history.sqlite")


def test_what_was_appended_is_read_back_whole_and_in_order(history: History) -> None:
    metrics = {"balanced_accuracy": Interval(0.7, 0.6, 0.8)}
    records = [
        record(run="z", metrics=metrics, data="d", delegated=None, later={"field": 1}),
        record(run="a", noisy=True),
    ]
    assert history.read() == []
    assert not history.path.exists()
    assert history.append(records[:1]) == 1
    assert history.append(records[1:]) == 1
    assert history.read() == records


def test_a_run_is_kept_once(history: History) -> None:
    history.append([record(10.0), record(10.0, threads=2)])
    assert history.append([record(99.0), record(12.0, threads=4)]) == 1
    assert [each.row["p50_ms"] for each in history.read()] == [10.0, 10.0, 12.0]
    assert history.knows("run")
    assert not history.knows("another")


def test_columns_can_be_asked_for_in_sql(history: History) -> None:
    history.append([record(noisy=True, threads=3)])
    with closing(sqlite3.connect(history.path)) as connection:
        found = connection.execute("SELECT artifact, threads, noisy, json_extract(row, '$.p50_ms') FROM measurements")
        assert found.fetchall() == [("onnx-int8", 3, 1, 10.0)]
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


_APPENDS = """
import sys
from pathlib import Path
from fakes.measurements import record
from edgetl.history import History
history = History(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    history.append([record(run=f"{sys.argv[2]}-{number}", threads=threads) for threads in (1, 2)])
"""


def test_two_at_once_lose_nothing(history: History) -> None:
    search = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    command = [sys.executable, "-c", _APPENDS, str(history.path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = [
            stack.enter_context(
                subprocess.Popen([*command, name, "20"], env={**os.environ, "PYTHONPATH": search}, **pipes)
            )
            for name in ("a", "b", "c")
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:  # all of them now: the file does not exist yet either
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert len({(each.run, each.row["threads"]) for each in history.read()}) == 3 * 20 * 2


def test_all_rows_of_a_run_or_none(history: History) -> None:
    history.append([record()])
    broken = record(run="broken", threads=2)
    object.__setattr__(broken, "row", {**broken.row, "target": None})
    with pytest.raises(IntegrityError):
        history.append([record(run="broken"), broken])
    assert [each.run for each in history.read()] == ["run"]


def _overwrite(path: Path) -> None:
    path.write_bytes(b"this was a history" * 400)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def _scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 + 100 :] = os.urandom(len(content) - 4196)
    path.write_bytes(content)


def _index(path: Path) -> None:
    """Rows are read without it: only a check of the file notices."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index'").fetchone()
    content = bytearray(path.read_bytes())
    content[4096 * (page - 1) + 8 : 4096 * page] = bytes(4096 - 8)
    path.write_bytes(content)


def _other_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE measurements RENAME TO something")


def _row(text: str) -> object:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE measurements SET row = ?", (text,))

    return change


@pytest.mark.parametrize(
    "damage",
    [_overwrite, _cut, _scribble, _index, _other_table, _row("{"), _row("[]"), _row('{"target": "desk"}')],
    ids=["overwritten", "cut", "scribbled", "index", "another table", "no JSON", "no object", "no times"],
)
def test_a_damaged_file_is_an_error_and_stays(history: History, damage: object) -> None:
    history.append([record(run=str(number)) for number in range(20)])
    damage(history.path)  # type: ignore[operator]
    content = history.path.read_bytes()
    with pytest.raises(IntegrityError, match="damaged") as raised:
        history.read()
    assert raised.value.exit_code == 5
    assert str(history.path) in str(raised.value)
    assert "--history" in str(raised.value.hint)
    assert history.path.read_bytes() == content


@pytest.mark.parametrize("damage", [_overwrite, _cut, _scribble, _index, _other_table])
def test_nothing_is_appended_to_a_damaged_file(history: History, damage: object) -> None:
    history.append([record(run=str(number)) for number in range(20)])
    damage(history.path)  # type: ignore[operator]
    content = history.path.read_bytes()
    with pytest.raises(IntegrityError):
        history.append([record(run="more")])
    assert history.path.read_bytes() == content


def test_another_programs_file_is_not_written_to(history: History) -> None:
    history.path.parent.mkdir()
    with closing(sqlite3.connect(history.path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    for use in (history.read, lambda: history.append([record()]), lambda: history.knows("run")):
        with pytest.raises(IntegrityError, match="is no history of measurements"):
            use()


def test_a_newer_file_needs_a_newer_edgetl(history: History) -> None:
    history.append([record()])
    with closing(sqlite3.connect(history.path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    for use in (history.read, lambda: history.append([record()])):
        with pytest.raises(EnvironmentFault, match="a newer edgetl wrote this history: version 2, this one knows 1"):
            use()


def test_an_empty_file_is_a_history_that_was_never_begun(history: History) -> None:
    history.path.parent.mkdir()
    history.path.touch()
    assert history.read() == []
    assert history.append([record()]) == 1


def test_a_folder_in_its_place_and_a_file_in_its_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(EnvironmentFault, match="cannot be used: unable to open"):
        History(tmp_path / "folder").read()
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot be made"):
        History(tmp_path / "file" / "history.sqlite").append([record()])


class TestChoosing:
    RECORDS = (
        record(run="1", bundle_sha256=OLD),
        record(run="2", bundle_sha256=OLD, label="v1"),
        record(run="3", bundle="other", bundle_sha256="abcdef" + "0" * 58),
        record(run="4", bundle_sha256=NEW),
        record(run="5", bundle_sha256=NEW, label="v2"),
        record(run="6", bundle_sha256=""),  # a gate failed: there is no such bundle
    )

    def runs(self, wanted: str, name: str = "", sha256: str = "") -> list[str]:
        return [each.run for each in choose(self.RECORDS, wanted, name, sha256).records]

    def test_last_is_the_bundle_of_the_name_before_this_one(self) -> None:
        assert self.runs("last", "tiny", "c" * 64) == ["4", "5"]
        assert self.runs("last", "tiny", NEW) == ["1", "2"]
        assert self.runs("last", "tiny", OLD) == ["4", "5"]
        assert self.runs("last", "other", "abcdef" + "0" * 58) == ["3"]

    def test_a_label_a_sha256_a_name(self) -> None:
        assert self.runs("v1") == ["2"]
        assert self.runs("a" * 6) == ["1", "2"]
        assert self.runs("abcdef") == ["3"]
        assert self.runs("other") == ["3"]
        assert self.runs("tiny", "tiny", NEW) == ["1", "2"]
        assert choose(self.RECORDS, "abcdef").about == "bundle other abcdef000000..."

    def test_last_was_measured_before(self) -> None:
        assert [each.run for each in choose(self.RECORDS, "last", "tiny", OLD, until=3).records] == ["1", "2"]
        assert [each.run for each in choose(self.RECORDS, "last", "tiny", NEW, until=3).records] == ["1", "2"]
        with pytest.raises(UsageError, match="no bundle 'tiny' was measured before") as raised:
            choose(self.RECORDS, "last", "tiny", OLD, until=0)
        assert "measured were" in str(raised.value.hint)
        assert [each.run for each in choose(self.RECORDS, "v2", "tiny", OLD, until=0).records] == ["5"]

    def test_a_label_of_several_bundles_is_that_of_the_name(self) -> None:
        records = [*self.RECORDS, record(run="7", bundle="other", bundle_sha256="abcdef" + "0" * 58, label="v1")]
        for name, runs in (("tiny", ["2"]), ("other", ["7"])):
            assert [each.run for each in choose(records, "v1", name).records] == runs
        for name in ("", "third"):
            with pytest.raises(UsageError, match="runs of 2 bundles are labelled 'v1'") as raised:
                choose(records, "v1", name)
            assert "other, tiny" in str(raised.value.hint)
        assert [each.run for each in choose(self.RECORDS, "v1", "third").records] == ["2"]

    def test_a_folder_is_its_files(self) -> None:
        """Whatever its bundle.json or its name was when they were measured."""

        def of(run: str, sha256: str, fp32: str, int8: str) -> list[Record]:
            files = {"onnx-fp32": fp32, "onnx-int8": int8}
            return [record(run=run, bundle_sha256=sha256, artifact=name, content=files[name]) for name in files]

        records = [
            *of("1", OLD, "x", "y"),
            *of("2", NEW, "x", "z"),  # another build, with a file that did not change
            *of("key made tiny ", "", "x", "y"),  # its gates failed
            *of("4", "d" * 64, "x", "y")[1:],  # one that could not be measured then
            *of("5", "e" * 64, "x", "y"),
        ]
        found = of_files(records, "tiny", OLD, {"onnx-fp32": "x", "onnx-int8": "y"})
        assert list(dict.fromkeys(each.run for each in found.records)) == ["1", "key made tiny ", "4", "5"]
        assert found.about == f"bundle tiny {OLD[:12]}..."
        with pytest.raises(UsageError, match="nothing of bundle tiny ffffffffffff") as raised:
            of_files(records, "tiny", "f" * 64, {"onnx-fp32": "x", "onnx-int8": "other"})
        assert "measured were" in str(raised.value.hint)

    def test_a_file_for_several_images_makes_no_other_bundle(self) -> None:
        """It is written again for each measurement, and another converter writes another one."""
        files = {"onnx-int8": "x"}
        records = [
            record(run="1", bundle_sha256=OLD, content="x"),
            record(run="1", bundle_sha256=OLD, content="x by 8", batch=8),
            # Of this one the file for one image could not be measured.
            record(run="2", bundle_sha256="d" * 64, content="other by 8", batch=8),
            record(run="3", bundle_sha256=NEW, content="y"),
            record(run="4", bundle_sha256="e" * 64, content="x"),
            record(run="4", bundle_sha256="e" * 64, content="x by 8 of another converter", batch=8),
        ]
        found = of_files(records, "tiny", "f" * 64, files)
        assert [(each.run, each.row["batch"]) for each in found.records] == [("1", 1), ("1", 8), ("4", 1), ("4", 8)]
        assert [each.run for each in of_files(records, "tiny", "d" * 64, files).records] == ["1", "1", "2", "4", "4"]
        assert [each.run for each in choose(records, "last", "tiny", OLD).records] == ["3"], "4 is that very bundle"

    def test_what_is_not_there(self) -> None:
        with pytest.raises(UsageError, match="nothing that was measured is called 'tinny'; did you mean 'tiny'"):
            self.runs("tinny")
        with pytest.raises(UsageError, match="no bundle 'fresh' was measured before"):
            self.runs("last", "fresh", NEW)
        with pytest.raises(UsageError, match="nothing that was measured"):
            self.runs("aaaaa")
        with pytest.raises(UsageError, match="nothing that was measured"):
            self.runs("")
        with pytest.raises(UsageError, match="the history is empty") as raised:
            choose([], "v1")
        assert raised.value.exit_code == 2

    def test_a_sha256_of_two_bundles(self) -> None:
        twins = [record(bundle_sha256="abcdef" + digit * 58) for digit in "01"]
        with pytest.raises(UsageError, match="begins the sha256 of 2 bundles"):
            choose(twins, "abcdef")


def test_files_beside_the_model_count() -> None:
    assert content_digest("a", {}) == "a"
    digests = {
        content_digest("a", {"w.bin": "b"}),
        content_digest("a", {"w.bin": "c"}),
        content_digest("d", {"w.bin": "b"}),
    }
    assert len(digests | {"a"}) == 4


def test_json_holds_everything(history: History) -> None:
    records = [record(metrics={"auroc": Interval(0.9, 0.8, 0.95)}, data="d")]
    (content,) = json.loads(to_json(records))
    assert content["row"]["round_ms"] == records[0].row["round_ms"]
    assert content["metrics"]["auroc"] == {"value": 0.9, "low": 0.8, "high": 0.95}
    assert content["machine"]["processor"] == "fake"


def test_csv_has_a_column_for_each_number_that_any_row_has() -> None:
    metrics = {"auroc": Interval(0.9, 0.8, 0.95)}
    text = to_csv([record(peak_rss_mb=None), record(delegated=0.5, metrics=metrics, label='=1+2, "x"')])
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["peak_rss_mb"], first["delegated"], first["auroc.low"]) == ("", "", "")
    assert (second["peak_rss_mb"], second["delegated"], second["auroc.low"]) == ("70.0", "0.5", "0.8")
    assert second["label"] == '\'=1+2, "x"'
    assert first["machine.processor"] == "fake"
    assert "round_ms" not in first
    assert to_csv([]).strip() == ""
    (odd,) = csv.DictReader(io.StringIO(to_csv([record(label="a\r=1+1\n=2\u2028b")])))
    assert odd["label"] == "a =1+1 =2 b", "one measurement is one line"


def test_a_row_of_another_time_is_refused_where_nothing_could_be_compared() -> None:
    good = record()
    wrong = {
        **{"threads": "1", "p50_ms": None, "p90_ms": float("nan"), "target": 3, "load_ms": -1.0, "p99_ms": 10**400},
        **{"peak_rss_mb": float("nan"), "delegated": "all", "yardstick": [], "yardstick_ms": [None]},
    }
    rows: list[Any] = ["x", -1, True, {}, ["1"], [[1]], [float("inf")], [1e-320], [1e308], None]
    for name, value in [*wrong.items(), *(("round_ms", value) for value in rows), ("yardstick_ms", "x")]:
        with pytest.raises(ValueError, match=name):
            replace(good, row={**good.row, name: value})
