"""One contract for every kind of device."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
from fakes.page import HELLO, Page

from edgetl.config.target import types
from edgetl.devices import DEVICES, Device, browser, open_device
from edgetl.devices.browser import Browser
from edgetl.devices.local import Local, LocalTarget
from edgetl.runtime.manifest import Artifact

ARTIFACT = Artifact("onnx-int8", "student", "onnx", "int8", "models/onnx-int8.onnx", "0" * 64, 1)


@pytest.fixture(params=sorted(DEVICES))
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    fields = {"name": "here", "kind": request.param, "threads": (1, "all", 1), **_further(request, tmp_path)}
    with closing(open_device(types()[request.param].model_validate(fields))) as device:
        if isinstance(device, Browser):
            Page(device.site.url, tmp_path, {**HELLO, "cores": len(os.sched_getaffinity(0))}).start()
        yield device
    for site in browser._SITES.values():
        site.close()
    browser._SITES.clear()


def _further(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What a kind needs, and what stands in for it."""
    if request.param != "adb":
        return {}
    request.getfixturevalue("phone")
    program: Path = request.getfixturevalue("program")
    folder = {"folder": str(tmp_path / "data")}
    return {**folder, "benchmark": str(program), "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}


def test_it_says_what_it_is_but_not_whose(device: Device) -> None:
    info = device.info()
    words = json.dumps(asdict(info))
    assert platform.node() not in words or platform.node() in platform.machine()
    assert f'"{getpass.getuser()}"' not in words


def test_thread_counts_are_resolved_each_once(device: Device) -> None:
    assert device.threads() == tuple(sorted({1, len(os.sched_getaffinity(0))}))


def test_a_worker_has_a_name_for_each_thread_count(device: Device, tmp_path: Path) -> None:
    where = device.push(tmp_path)
    workers = [device.worker(where, ARTIFACT, threads) for threads in (1, 2)]
    assert len({worker.name for worker in workers}) == 2
    assert [worker.threads for worker in workers] == [1, 2]


def test_a_local_worker_opens_the_file_where_it_is(tmp_path: Path) -> None:
    local = Local(LocalTarget(name="here"))
    argv = local.worker(local.push(tmp_path), ARTIFACT, 1).argv
    assert str(tmp_path / "models" / "onnx-int8.onnx") in argv
