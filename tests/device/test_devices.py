"""One contract for every kind of device: with those of this machine, and for those that it lacks, how that is said."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from fakes.page import HELLO, Page
from ssh_devices import HOST

from edgetl import devices
from edgetl.config import target as targets
from edgetl.config.target import Target, types
from edgetl.devices import (
    DEVICES,
    Device,
    Presence,
    browser,
    cuda_host,
    open_device,
    openvino,
    presence,
    reach,
    require,
)
from edgetl.devices.browser import Browser
from edgetl.devices.cuda_host import CudaHostTarget
from edgetl.devices.local import Local, LocalTarget
from edgetl.devices.openvino import OpenVinoTarget
from edgetl.errors import MissingAccelerator
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact

ARTIFACTS = {
    backend: Artifact(
        f"{backend}-int8", "student", backend, "int8", f"models/{backend}-int8{entry.suffix}", "0" * 64, 1
    )
    for backend, entry in BACKENDS.items()
}
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "local": {"threads": (1, "all", 1)},
    "cuda_host": {},
    "openvino": {"accelerator": "npu"},
    "ssh": {"host": HOST, "threads": (1, "all", 1)},
    "adb": {"threads": (1, "all", 1)},
    "browser": {"threads": (1, "all", 1)},
}
"""What a target file of each kind must or may say; a new kind adds a line."""
SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "targets").glob("*.yaml"))


@pytest.fixture(params=sorted(DEVICES))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    fields = {"name": "here", "kind": request.param, **FIELDS[request.param], **_further(request, tmp_path)}
    return types()[request.param].model_validate(fields)


def _further(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What a kind needs, and what stands in for it."""
    if request.param == "ssh":  # an sshd on this machine
        request.getfixturevalue("server")
    if request.param != "adb":
        return {}
    request.getfixturevalue("phone")
    program: Path = request.getfixturevalue("program")
    folder = {"folder": str(tmp_path / "data")}
    return {**folder, "benchmark": str(program), "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}


@pytest.fixture
def device(target: Target, tmp_path: Path) -> Iterator[Device]:
    with closing(open_device(target)) as device:
        if isinstance(device, Browser):
            Page(device.site.url, tmp_path, {**HELLO, "cores": len(os.sched_getaffinity(0))}).start()
        yield device
    for site in browser._SITES.values():
        site.close()
    browser._SITES.clear()


def _runs(target: Target) -> list[Artifact]:
    return [artifact for backend, artifact in ARTIFACTS.items() if backend not in presence(target).without]


class TestEveryKind:
    def test_it_is_there_or_says_why_not_with_exit_code_4_and_a_hint(self, target: Target) -> None:
        found = presence(target)
        if found.absent is None:
            assert require(target) == found
            return
        with pytest.raises(MissingAccelerator, match=r"target here: .*got .*, expected .*\n  hint: ") as caught:
            require(target)
        assert caught.value.exit_code == 4

    def test_it_can_be_connected_to_and_left(self, target: Target) -> None:
        if presence(target).absent is not None:
            with pytest.raises(MissingAccelerator):
                reach(target)
            return
        reach(target)
        assert presence(target).known is (target.kind not in ("adb", "browser", "ssh"))

    def test_it_says_what_it_is_but_not_whose(self, target: Target, device: Device) -> None:
        if presence(target).absent is not None:
            return  # there is nothing that could say it; see the test above
        words = json.dumps(asdict(device.info()))
        assert platform.node() not in words or platform.node() in platform.machine()
        assert f'"{getpass.getuser()}"' not in words

    def test_thread_counts_are_resolved_each_once(self, target: Target, device: Device) -> None:
        cores = {1, len(os.sched_getaffinity(0))} if "all" in FIELDS[target.kind].get("threads", ()) else {1}
        assert device.threads() == tuple(sorted(cores))

    def test_a_worker_has_a_name_for_each_thread_count(self, target: Target, device: Device, tmp_path: Path) -> None:
        where = device.push(tmp_path)
        for artifact in _runs(target):
            workers = [device.worker(where, artifact, threads) for threads in (1, 2)]
            assert len({worker.name for worker in workers}) == 2
            assert [worker.threads for worker in workers] == [1, 2]

    def test_pytorch_runs_only_on_this_machine_and_each_way_has_its_name(self, target: Target) -> None:
        starts = devices.baselines(target, Path("network"), 32)
        assert bool(starts) is DEVICES[target.kind].here
        workers = [start("student@1", 1) for start in starts]
        assert len({worker.name for worker in workers}) == len(workers)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_target_is_of_its_name_and_allows_no_fallback(name: str, tmp_path: Path) -> None:
    target = targets.load(name, tmp_path)
    assert target.name == name
    assert getattr(target, "allow_fallback", False) is False


def test_the_targets_that_are_promised_are_shipped() -> None:
    assert {"cuda_host", "local_cpu", "local_cpu_1t", "openvino_gpu", "openvino_npu"} <= set(SHIPPED)
    assert targets.load("local_cpu_1t", Path()).model_dump()["threads"] == (1,)


def test_what_is_pushed_is_there(target: Target, device: Device, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a").write_bytes(b"model")
    if target.kind in ("adb", "browser"):  # a name: files go there when they are needed
        assert device.push(tmp_path) == device.push(tmp_path)
        return
    for keep in (True, False):
        assert (device.push(tmp_path, keep) / "models" / "a").read_bytes() == b"model"


def test_it_can_be_closed_again_and_unused(device: Device) -> None:
    device.close()
    device.close()


def test_a_local_worker_opens_the_file_where_it_is(tmp_path: Path) -> None:
    local = Local(LocalTarget(name="here"))
    argv = local.worker(local.push(tmp_path), ARTIFACTS["onnx"], 1).argv
    assert f"--path={tmp_path / 'models' / 'onnx-int8.onnx'}" in argv
    assert "--accelerator" not in argv


class TestOpenVino:
    def test_its_worker_asks_for_the_accelerator(self, tmp_path: Path) -> None:
        target = OpenVinoTarget(name="npu", accelerator="npu", options={"DEVICE_ID": "1"}, allow_fallback=True)
        argv = open_device(target).worker(tmp_path, ARTIFACTS["openvino"], 1).argv  # type: ignore[attr-defined]
        asked = argv[argv.index("--accelerator") :]
        assert asked == ("--accelerator", "npu", "--accelerator-options", '{"DEVICE_ID": "1"}', "--allow-fallback")

    def test_one_that_openvino_finds_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgetl.runtime.sessions.openvino.accelerators", lambda: ("cpu", "npu"))
        found = presence(OpenVinoTarget(name="npu", accelerator="npu"))
        assert found.absent is None
        assert set(found.without) == {"onnx", "tflite"}
        gpu = presence(OpenVinoTarget(name="gpu", accelerator="gpu"))
        assert gpu.absent == "got accelerator 'gpu', expected one that OpenVINO finds here: cpu, npu"

    def test_where_a_fallback_is_allowed_the_cpu_is_enough_and_it_is_said(self) -> None:
        found = presence(OpenVinoTarget(name="npu", accelerator="npu", allow_fallback=True))
        assert found.absent is None
        assert found.said == "no NPU: the CPU computes"

    def test_without_openvino_the_hint_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "openvino", None)
        found = openvino.presence(OpenVinoTarget(name="npu", accelerator="npu"))
        assert found == Presence(
            absent="an OpenVINO artefact needs OpenVINO, which is not installed", hint="pip install openvino"
        )


class TestCudaHost:
    def test_its_worker_asks_for_the_gpu(self, tmp_path: Path) -> None:
        target = CudaHostTarget(name="gpu", gpu=2, accelerator="tensorrt", options={"trt_fp16_enable": "1"})
        argv = open_device(target).worker(tmp_path, ARTIFACTS["onnx"], 1).argv  # type: ignore[attr-defined]
        options = '{"device_id": "2", "trt_fp16_enable": "1"}'
        assert argv[argv.index("--accelerator") :] == ("--accelerator", "tensorrt", "--accelerator-options", options)

    def test_pytorch_alone_is_enough_and_says_why_onnx_files_are_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cuda_host, "require", lambda way: "NVIDIA H200")
        found = presence(CudaHostTarget(name="gpu"))
        assert found.absent is None
        assert found.said == "NVIDIA H200; ONNX Runtime has cpu alone"
        assert set(found.without) == {"onnx", "openvino", "tflite"}

    def test_with_the_provider_onnx_files_are_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cuda_host, "require", lambda way: "NVIDIA H200")
        monkeypatch.setattr("edgetl.runtime.sessions.onnx.accelerators", lambda: ("cpu", "cuda"))
        assert set(presence(CudaHostTarget(name="gpu")).without) == {"openvino", "tflite"}
        assert "onnx" in presence(CudaHostTarget(name="gpu", accelerator="tensorrt")).without

    def test_pytorch_runs_in_every_way_of_the_target(self) -> None:
        target = CudaHostTarget(name="gpu", gpu=1, batches=(1, 8), precisions=("fp32", "bf16"), modes=("graph",))
        workers = [start("student@1", 1) for start in devices.baselines(target, Path("net"), 96)]
        assert [worker.name for worker in workers] == [
            f"student@1 {precision} graph batch {batch}" for batch in (1, 8) for precision in ("fp32", "bf16")
        ]
        assert [worker.batch for worker in workers] == [1, 1, 8, 8]
        argv = workers[-1].argv  # type: ignore[attr-defined]
        assert argv[argv.index("--size") :] == (
            *("--size", "96", "--threads", "1", "--device", "cuda:1"),
            *("--precision", "bf16", "--mode", "graph", "--batch", "8"),
        )
