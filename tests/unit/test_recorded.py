"""A build's benchmark in the history: one measurement, found under every name and sha256 that its bundle had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from example_report import make_report
from fakes.progress import Heard

from edgetl.files import sha256_of
from edgetl.history import History, Record
from edgetl.history.choosing import choose
from edgetl.history.comparing import compare
from edgetl.results.artifacts import CalibratedArtifact, Calibration
from edgetl.results.latency import LatencyTable
from edgetl.results.report import Report
from edgetl.runtime.manifest import Artifact
from edgetl.stages.report import recorded
from edgetl.store import Entry


class Build:
    """What `record` reads of a written run folder, with one artefact."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder / "history.sqlite")
        self._folder, self.run = folder, folder / "run"
        (self.run / "bundle").mkdir(parents=True)
        report = make_report()
        self.report: Report = replace(report, artifacts=report.artifacts[:1])
        self._made = "2026-01-31T12:00:00Z"
        (one,) = self.report.artifacts
        precision: Any = one.precision
        artifact = Artifact(one.name, one.model, one.backend, precision, one.path, one.sha256, one.bytes)
        calibration = Calibration((CalibratedArtifact(artifact, None, {}),), ())
        table = LatencyTable(self.report.environment.targets, {one.name: one.latency})
        for name, document in (("calibrate.onnx", calibration), ("benchmark", table)):
            (folder / name).mkdir()
            document.write(folder / name)
        self.report.write(self.run)

    def manifest(self, text: str | None) -> str:
        """Write bundle.json, or remove it where a gate failed; its sha256."""
        path = self.run / "bundle" / "bundle.json"
        path.unlink(missing_ok=True)
        if text is None:
            return ""
        path.write_text(text)
        return sha256_of(path)

    def measured_again(self) -> None:
        """As another build on the same machine."""
        self._made = "2026-02-28T12:00:00Z"

    def record(self, name: str = "tiny") -> list[Record]:
        entries = [
            Entry("k" * 8, stage, self._folder / stage, {}, 1.0, made=self._made)
            for stage in ("data", "calibrate.onnx", "benchmark")
        ]
        steps: Any = [SimpleNamespace(stage=SimpleNamespace(name=each.stage), entry=each) for each in entries]
        loaded: Any = SimpleNamespace(recipe=SimpleNamespace(name=name))
        heard = Heard()
        recorded.record(loaded, steps, self.run, self._folder, heard)
        assert heard.lines == []
        return self.history.read()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def said(records: list[Record]) -> list[tuple[str, str, int]]:
    return [(each.bundle, each.bundle_sha256, each.row["threads"]) for each in records]


def test_it_is_kept_once_with_all_that_it_measured(build: Build) -> None:
    sha256 = build.manifest("{}")
    first = build.record()
    assert said(first) == [("tiny", sha256, 1), ("tiny", sha256, 2)]
    (artifact,) = build.report.artifacts
    assert [each.row["p50_ms"] for each in first] == [row.p50_ms for row in artifact.latency]
    assert first[0].metrics == dict(artifact.metrics)
    assert build.record() == first


def test_gates_that_pass_later_make_it_a_bundle(build: Build) -> None:
    build.manifest(None)
    assert said(build.record())[0] == ("tiny", "", 1)
    sha256 = build.manifest("{}")
    assert said(build.record())[2:] == [("tiny", sha256, 1), ("tiny", sha256, 2)]
    assert [each.bundle_sha256 for each in choose(build.record(), "tiny").records] == [sha256] * 2


def test_another_name_or_manifest_is_found_and_is_the_same_measurement(build: Build) -> None:
    shas = [build.manifest("{}"), build.manifest("{ }")]
    build.record()
    build.record("other")
    build.manifest("{}")
    found = build.record("other")
    assert {(each.bundle, each.bundle_sha256) for each in found} == {
        ("tiny", shas[1]),
        ("other", shas[1]),
        ("other", shas[0]),
    }
    assert len({each.measurement for each in found}) == 1
    build.measured_again()
    build.record()
    *before, now, _ = build.record()
    comparison = compare([now], choose(before, "other"), before)
    (row,) = comparison.rows
    assert (row.before, row.repeats, row.same_file) == (1, 0, True), "once, and no repetition of itself"
