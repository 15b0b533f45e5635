"""Targets of different machines are measured side by side, those of one machine one after the other, whoever asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgetl.api.several_targets import Advance, lost, on_each, unless_lost
from edgetl.config.target import Target
from edgetl.console.progress import Silent
from edgetl.devices import DEVICES, Kind
from edgetl.devices.adb import AdbTarget
from edgetl.devices.browser import BrowserTarget
from edgetl.devices.local import LocalTarget
from edgetl.devices.openvino import OpenVinoTarget
from edgetl.devices.ssh.target import SshTarget
from edgetl.errors import DeviceError
from edgetl.runtime.manifest import Manifest
from edgetl.stages.common import alone
from edgetl.stages.common.alone import alone_on


class Told(Silent):
    def __init__(self) -> None:
        self.labels: list[str] = []
        self.said: list[str] = []

    def advance(self, label: str, done: int, total: int) -> None:
        self.labels.append(label)

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two kinds of device: `near` is this machine, every target of `far` is a machine of its own."""
    for name in ("near", "far"):
        monkeypatch.setitem(DEVICES, name, Kind(name, "a fake", "", "", here=name == "near"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def targets(*kinds: str) -> list[Target]:
    return [Target(name=f"t{index}", kind=kind) for index, kind in enumerate(kinds)]


def test_different_machines_are_measured_side_by_side() -> None:
    together = threading.Barrier(3, timeout=30)

    def measured(target: Target, advance: Advance) -> str:
        together.wait()
        advance("measuring", 1, 2)
        return target.name

    told = Told()
    assert on_each(targets("near", "far", "far"), measured, told) == ["t0", "t1", "t2"]
    assert sorted(told.labels) == ["t0: measuring", "t1: measuring", "t2: measuring"]


def test_one_machine_takes_its_targets_in_turn() -> None:
    under_way: list[str] = []

    def measured(target: Target, advance: Advance) -> str:
        assert not under_way
        under_way.append(target.name)
        time.sleep(0.05)
        under_way.remove(target.name)
        advance("measuring", 1, 1)
        return target.name

    told = Told()
    assert on_each(targets("near", "near", "near"), measured, told) == ["t0", "t1", "t2"]
    assert told.labels == ["measuring"] * 3, "of one machine no name is needed"


def test_one_that_fails_stops_the_others_and_is_what_is_raised() -> None:
    begun, ended = threading.Event(), threading.Event()

    def measured(target: Target, advance: Advance) -> None:
        if target.name == "t1":
            assert begun.wait(30)
            raise ValueError("unplugged")
        begun.set()
        try:
            for _ in range(3000):
                advance("measuring", 0, 1)
                time.sleep(0.01)
        finally:
            ended.set()

    with pytest.raises(ValueError, match="unplugged"):
        on_each(targets("near", "far"), measured, Silent())
    assert ended.is_set(), "it was left running"


def test_a_device_that_goes_away_costs_its_own_target(bundle: Path) -> None:
    def measured(target: Target, advance: Advance) -> str:
        if target.name == "t1":
            raise DeviceError("was unplugged", place="t1")
        return target.name

    chosen = targets("near", "far", "far")
    first, second, third = on_each(chosen, unless_lost(measured, chosen), Silent())
    assert (first, third) == ("t0", "t2")
    assert isinstance(second, DeviceError)
    rows = lost(chosen[1], Manifest.load(bundle), second)
    assert [(row.name, row.target, row.disagrees) for row in rows] == [("red", "t1", False), ("blue", "t1", False)]
    assert all("unplugged" in row.reason for row in rows)


def test_the_only_device_says_itself_what_is_wrong() -> None:
    def measured(target: Target, advance: Advance) -> None:
        raise DeviceError("was unplugged", place="t0")

    chosen = targets("far")
    with pytest.raises(DeviceError, match="was unplugged"):
        on_each(chosen, unless_lost(measured, chosen), Silent())


def test_what_computes_in_this_machine_is_this_machine() -> None:
    here = Target(name="a", kind="near").find_machine()
    assert OpenVinoTarget(name="b", accelerator="npu").find_machine() == here
    assert BrowserTarget(name="c").find_machine() == here
    assert BrowserTarget(name="d", kind="browser", address="192.168.1.10").find_machine() != here
    assert Target(name="e", kind="far").find_machine() != here


def test_targets_of_one_phone_are_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def machine(name: str, **fields: str) -> str:
        return AdbTarget.model_validate({"name": name, "kind": "adb", **fields}).find_machine()

    def nothing_attached(serial: str | None) -> None:
        raise DeviceError("no Android device is attached")

    monkeypatch.setattr("edgetl.devices.adb.link.Link", nothing_attached)
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    assert machine("a") == machine("b", accelerator="gpu")
    assert machine("a", serial="X") == machine("b", serial="X", accelerator="gpu")
    assert len({machine("a", serial="X"), machine("a", serial="Y"), machine("a")}) == 3
    monkeypatch.setenv("ANDROID_SERIAL", "X")
    assert machine("a") == machine("b", serial="X") != machine("c", serial="Y")


def test_ctrl_c_ends_all_of_them() -> None:
    ended: list[str] = []

    def measured(target: Target, advance: Advance) -> None:
        try:
            for _ in range(3000):
                advance("measuring", 0, 1)
                time.sleep(0.01)
        finally:
            ended.append(target.name)

    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        on_each(targets("near", "far"), measured, Silent())
    assert sorted(ended) == ["t0", "t1"]


HOLDER = """
import sys
from edgetl.stages.common.alone import alone_on
from edgetl.config.target import Target
from edgetl.console.progress import Silent
with alone_on(Target(name="other", kind="local").find_machine(), "other", Silent()):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_another_process_on_the_machine_is_waited_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_WAIT_S", 0.01)
    holds = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holds.stdin is not None
    assert holds.stdout is not None
    assert holds.stdout.readline() == b"has it\n"
    told = Told()
    with alone_on(Target(name="elsewhere", kind="far").find_machine(), "elsewhere", told):  # another machine is free
        pass
    assert told.said == []
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            assert holds.stdin is not None
            holds.stdin.close()

    with alone_on(Target(name="here", kind="near").find_machine(), "here", told, look):
        assert looks >= 3
    assert told.said == [f"waiting for pid {holds.pid}, which measures on other"]
    holds.stdout.close()
    assert holds.wait() == 0


def test_an_emulated_device_takes_turns_with_the_machine_that_emulates_it() -> None:
    here = LocalTarget(name="local_cpu", kind="local").find_machine()
    assert SshTarget(name="arm", kind="ssh", host="arm", emulated=True).find_machine() == here
    assert SshTarget(name="pi", kind="ssh", host="pi").find_machine() != here
