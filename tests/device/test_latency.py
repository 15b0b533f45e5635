"""The latency table of a target, on a device that is no process."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.devices import FakeDevice, FakeTarget, FakeWorker

from edgetl.config import target
from edgetl.devices import DEVICES, Device, Kind, latency, open_device
from edgetl.results.latency import Latency
from edgetl.runtime import measuring
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Effort

ARTIFACTS = [Artifact(f"onnx-{name}", "student", "onnx", "int8", f"models/{name}", "0" * 64, 1) for name in "ab"]


@pytest.fixture(params=[False, True], ids=["elsewhere", "here"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the fake device calls itself the machine of the build."""
    kind = Kind("fake", "a fake", "fakes.devices:FakeTarget", "fakes.devices:FakeDevice", here=request.param)
    monkeypatch.setitem(DEVICES, "fake", kind)
    effort = Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0)
    monkeypatch.setitem(measuring.EFFORTS, "quick", effort)
    return bool(request.param)


def _measure(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Latency]]:
    def opened(target: object) -> Device:
        return device

    monkeypatch.setattr(latency, "open_device", opened)
    folders = [Path("one"), Path("one")]
    baselines = {"teacher": FakeWorker}
    target = FakeTarget(name="fake", kind="fake")
    artifacts = list(zip(folders, ARTIFACTS, strict=True))
    return latency.latency(target, artifacts, baselines, "quick", lambda *_: None).rows


def test_a_target_file_makes_the_device(here: bool, tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "desk.yaml").write_text("name: desk\nkind: fake\n")
    device = open_device(target.load("desk", tmp_path))
    assert isinstance(device, FakeDevice)
    assert device.name == "desk"


def test_each_folder_is_pushed_once_whatever_is_in_it_and_measured_with(
    here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FakeDevice(FakeTarget(name="fake", kind="fake"))
    rows = _measure(device, monkeypatch)
    assert device.pushed == [Path("one")]
    assert [row.threads for row in rows["onnx-a"]] == [row.threads for row in rows["onnx-b"]] == [1, 2]
    assert {row.target for row in rows["onnx-a"]} == {"fake"}


def test_pytorch_is_told_only_of_the_machine_that_runs_it(here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _measure(FakeDevice(FakeTarget(name="fake", kind="fake")), monkeypatch)
    assert ("teacher" in rows) is here
