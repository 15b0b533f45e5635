"""The latency table of a target, on a device that is no process."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.devices import FakeDevice, FakeTarget

from edgetl.config import target
from edgetl.devices import DEVICES, Device, Kind, Presence, baselines, latency, open_device
from edgetl.errors import DeviceError, MissingAccelerator
from edgetl.results.latency import Latency
from edgetl.runtime import measuring
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import Effort

ARTIFACTS = [Artifact(f"onnx-{name}", "student", "onnx", "int8", f"models/{name}", "0" * 64, 1) for name in "ab"]


@pytest.fixture(params=[False, True], ids=["elsewhere", "here"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the fake device calls itself the machine of the build."""
    kind = Kind(
        "fake",
        "a fake",
        "fakes.devices:FakeTarget",
        "fakes.devices:FakeDevice",
        here=request.param,
        presence="fakes.devices:presence",
        networks="fakes.devices:networks",
    )
    monkeypatch.setitem(DEVICES, "fake", kind)
    effort = Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0)
    monkeypatch.setitem(measuring.EFFORTS, "quick", effort)
    return bool(request.param)


def _measure(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Latency]]:
    def opened(target: object) -> Device:
        return device

    monkeypatch.setattr(latency, "open_device", opened)
    folders = [Path("one"), Path("one")]
    target = FakeTarget(name="fake", kind="fake")
    beside = {"teacher": baselines(target, Path("teacher"), 32)}
    artifacts = list(zip(folders, ARTIFACTS, strict=True))
    return latency.latency(target, artifacts, beside, "quick", lambda *_: None).rows


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
    assert [row.threads for row in rows.get("teacher", [])] == ([1, 1, 2, 2] if here else [])  # in two ways each


@pytest.mark.parametrize("here", [True], indirect=True)
class TestPresence:
    def test_a_device_that_is_not_there_is_said_before_anything_is_opened(
        self, here: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fakes.devices.PRESENT", Presence(absent="got none, expected one", hint="plug it in"))
        device = FakeDevice(FakeTarget(name="desk", kind="fake"))
        with pytest.raises(MissingAccelerator, match=r"target fake: got none, expected one\n  hint: plug it in"):
            _measure(device, monkeypatch)
        assert device.pushed == []

    def test_files_that_it_cannot_run_are_left_out(self, here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fakes.devices.PRESENT", Presence(without={"onnx": "no provider"}))
        rows = _measure(FakeDevice(FakeTarget(name="fake", kind="fake")), monkeypatch)
        assert set(rows) == {"teacher"}

    def test_nothing_that_it_can_run_is_an_error_with_the_reason(
        self, here: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fakes.devices.PRESENT", Presence(without={"onnx": "no provider"}))
        target = FakeTarget(name="desk", kind="fake")
        with pytest.raises(DeviceError, match=r"target desk: got no file that can be measured.*\n.*onnx: no provider"):
            latency.latency(target, [(Path("one"), ARTIFACTS[0])], {"teacher": ()}, "quick", lambda *_: None)
