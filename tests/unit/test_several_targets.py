"""Targets of different machines are measured side by side, those of one machine one after the other, whoever asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from edgetl.api import several_targets
from edgetl.api.several_targets import Advance, alone_on, on_each
from edgetl.config.target import Target
from edgetl.console.progress import Silent
from edgetl.devices import DEVICES, Kind


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
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


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
    ended = threading.Event()

    def measured(target: Target, advance: Advance) -> None:
        if target.name == "t1":
            raise ValueError("unplugged")
        try:
            for _ in range(3000):
                advance("measuring", 0, 1)
                time.sleep(0.01)
        finally:
            ended.set()

    with pytest.raises(ValueError, match="unplugged"):
        on_each(targets("near", "far"), measured, Silent())
    assert ended.is_set(), "it was left running"


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
import sys, tempfile
from edgetl.api.several_targets import alone_on
from edgetl.config.target import Target
from edgetl.console.progress import Silent
tempfile.tempdir = sys.argv[1]
with alone_on(Target(name="other", kind="local"), Silent()):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_another_process_on_the_machine_is_waited_for_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several_targets, "_WAIT_S", 0.01)
    holds = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tempfile.gettempdir()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holds.stdin is not None
    assert holds.stdout is not None
    assert holds.stdout.readline() == b"has it\n"
    told = Told()
    with alone_on(Target(name="elsewhere", kind="far"), told):  # another machine is free
        pass
    assert told.said == []
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            assert holds.stdin is not None
            holds.stdin.close()

    with alone_on(Target(name="here", kind="near"), told, look):
        assert looks >= 3
    assert told.said == [f"waiting for pid {holds.pid}, which measures on other"]
    holds.stdout.close()
    assert holds.wait() == 0
