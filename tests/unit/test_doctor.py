"""`edgetl doctor` on machines where something is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from edgetl import doctor
from edgetl.commands import doctor as command
from edgetl.doctor import Finding, checkpoints, machine, packages, probe, probing
from edgetl.doctor.probing import Probe
from edgetl.errors import EnvironmentFault
from edgetl.runtime.cores import usable_cores
from edgetl.training import contention

OPENCV = Probe("training", "opencv", "opencv-python-headless")


@pytest.mark.parametrize(
    ("code", "seconds", "said"),
    [
        (
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            60,
            "cannot be used: ImportError: libGL.so.1",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 60, "crashed: SIGSEGV"),
        ("import sys; sys.exit(3)", 60, "cannot be used: without a word"),
        ("import time; time.sleep(60)", 2, "did not answer within 2 s"),
    ],
)
def test_a_broken_package_is_named_with_its_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, seconds: float, said: str
) -> None:
    (tmp_path / "cv2.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = probing.run(OPENCV, "opencv-python-headless==5.0", seconds)
    assert (found.state, found.name) == ("broken", "opencv")
    assert found.detail.startswith(said)
    assert found.fix == "pip install --force-reinstall --no-deps 'opencv-python-headless==5.0'"


def test_a_file_beside_the_user_is_not_taken_for_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert probing.run(OPENCV, None).state == "ok"


@pytest.mark.parametrize(
    ("name", "said"), [("onnxruntime", "CPUExecutionProvider"), ("ai-edge-litert", "with XNNPACK")]
)
def test_a_runtime_computes_something(name: str, said: str) -> None:
    tried = next(each for each in probing.probes() if each.name == name)
    found = probing.run(tried, None)
    assert (found.state, said in found.detail, "computes" in found.detail) == ("ok", True, True), found


def test_the_network_is_asked_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def run(probe: Probe, requirement: str | None) -> Finding:
        tried.append(probe.name)
        return Finding(probe.group, probe.name, "ok", "")

    monkeypatch.setattr(probing, "run", run)
    found = list(probing.findings({"torch": "torch==2"}, network=False, progress=lambda *_: None))
    assert set(tried) == {"torch", "gpu", "packages"}
    assert ("hub", "absent") in [(one.name, one.state) for one in found]
    list(probing.findings({"torch": "torch==2"}, network=True, progress=lambda *_: None))
    assert "hub" in tried


def test_packages_are_held_against_what_edgetl_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    there = {"torch": "2.13.0+cpu", "timm": "0.9", "packaging": "25"}
    required = ["torch[opt]<2.14,>=2.9", "timm>=1.0", "openvino<2027; python_version > '3'"]
    required += ['pytest; extra == "test"', "winreg; sys_platform == 'none'"]
    monkeypatch.setattr(metadata, "requires", lambda _: required)
    monkeypatch.setattr(metadata, "version", version)
    found = {one.name: one for one in packages.findings()}
    assert {name: one.state for name, one in found.items()} == {"torch": "ok", "timm": "warning", "openvino": "broken"}
    assert found["timm"].fix == "pip install 'timm>=1.0'"
    assert packages.present() == {"torch": "torch==2.13.0+cpu", "timm": "timm==0.9"}


def test_without_packaging_that_is_the_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "packaging"] + ["packaging"]:
        monkeypatch.setitem(sys.modules, module, None)
    (found,) = packages.findings()
    assert (found.name, found.state, found.fix) == ("packaging", "broken", "pip install packaging")
    assert packages.present() == {}


def test_edgetl_that_is_not_installed_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert [one.state for one in packages.findings()] == ["warning"]
    assert packages.present() == {}


def test_variables_and_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("EDGETL_STORE", str(file))
    monkeypatch.setenv("EDGETL_HAM10000", str(tmp_path / "nothing"))
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    found = {one.name: one for one in (*machine.findings(), *machine.surroundings())}
    assert (found["store"].state, found["EDGETL_HAM10000"].state, found["telemetry"].state) == (
        "broken",
        *["warning"] * 2,
    )
    assert found["Python"].state == "ok"
    assert "cores usable" in found["processor"].detail
    assert all(one.fix for one in found.values() if one.state in ("warning", "broken"))
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "new" / "store"))
    assert {one.name: one.state for one in machine.findings()}["store"] != "broken"


@pytest.mark.parametrize(("cores", "state"), [(0.46, "ok"), (0.52, "warning")])
def test_who_else_uses_the_machine(monkeypatch: pytest.MonkeyPatch, cores: float, state: str) -> None:
    monkeypatch.setattr(contention.OtherLoad, "look", lambda load, held: {0: 0.1, 1: cores - 0.1})
    monkeypatch.setattr(machine, "_LOOK_SECONDS", 0.0)
    found = {one.name: one for one in machine.findings()}["others"]
    assert found.state == state
    assert f"use 0.5 of {usable_cores()} cores" in found.detail
    assert bool(found.fix) == (state == "warning")


def test_the_exit_code_is_3_when_something_needed_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    well = Finding("runtimes", "LiteRT", "ok", "computes")
    odd = Finding("weights", "hub", "warning", "cannot be reached", "use a package")
    ill = Finding("runtimes", "openvino", "broken", "crashed: SIGILL", "pip install openvino")
    found = [well, odd]

    def examine(network: bool, progress: object) -> Iterator[Finding]:
        yield from found

    monkeypatch.setattr(doctor, "examine", examine)
    command._doctor()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "runtimes",
        "  ok       LiteRT  computes",
        "",
        "weights",
        "  warning  hub  cannot be reached",
        "                fix: use a package",
    ]
    found.append(ill)
    with pytest.raises(EnvironmentFault, match="openvino: crashed: SIGILL") as caught:
        command._doctor(as_json=True)
    assert (caught.value.exit_code, caught.value.hint) == (3, "pip install openvino")
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == ["ok", "warning", "broken"]


def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *files: str) -> Path:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(bytes(2_000_000))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.mark.parametrize(
    ("file", "backbone"),
    [
        ("mobilenet_v3_large-5c1a4163.pth", "mobilenetv3_large_100"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "mnasnet_050"),
        ("regnet_x_400mf-adf1edd5.pth", "regnetx_004_tv"),
        ("efficientnet_b0_rwightman-3dd342df.pth", "efficientnet_b0"),
        ("tf_efficientnet_b0_aa-827b6e33.pth", "tf_efficientnet_b0"),
        ("resnet50_a1_0-14fe96d1.pth", "resnet50"),
        ("squeezenet1_0-b66bff10.pth", None),
    ],
)
def test_a_checkpoint_is_known_by_its_name(file: str, backbone: str | None) -> None:
    assert checkpoints.looks_like(file) == backbone


def test_checkpoints_in_caches_are_listed_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _caches(tmp_path, monkeypatch, "resnet18-f37072fd.pth", "own.safetensors", "notes.txt")
    snapshot = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k" / "snapshots" / "ab12"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(bytes(3_000_000))
    monkeypatch.setattr("builtins.open", None)
    checkpoints._timm_names()
    found = {one.name: one for one in checkpoints.findings()}
    assert set(found) == {"resnet18-f37072fd.pth", "own.safetensors", "resnet10t.c3_in1k"}
    line = f"2 MB, looks like resnet18; student: {{backbone: resnet18, weights: {folder / 'resnet18-f37072fd.pth'}}}"
    assert found["resnet18-f37072fd.pth"].detail == line
    assert found["own.safetensors"].state == "absent"
    assert found["resnet10t.c3_in1k"].detail.endswith("student: {backbone: resnet10t.c3_in1k, weights: hub}")


def test_looking_for_checkpoints_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _caches(tmp_path, monkeypatch, *(f"resnet18-{number:08x}.pth" for number in range(50)))
    found = list(checkpoints.findings())
    assert (len(found), found[-1].name) == (41, "more")
    monkeypatch.setattr(checkpoints, "_SECONDS", -1.0)
    assert [one.name for one in checkpoints.findings()] == ["caches", "more"]


def test_empty_caches_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _caches(tmp_path, monkeypatch)
    (found,) = checkpoints.findings()
    assert (found.state, str(tmp_path / "hub") in found.detail) == ("absent", True)


def test_without_a_gpu_that_is_said() -> None:
    assert probe._gpu() == ("absent", "none: trainings compute on the CPU", None)


@pytest.mark.parametrize(
    ("processes", "bf16", "state", "said"),
    [
        (1, True, "ok", "recorded and in bf16 (precision: auto), pictures are augmented there; 873,813 of"),
        (1, False, "ok", "in fp32"),
        (4, True, "warning", "4 processes: 4 threads each prepare their pictures, and the GPUs wait"),
    ],
)
def test_whether_a_gpu_will_be_busy(
    processes: int, bf16: bool, state: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda emulated: bf16)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (80 * 2**30, 90 * 2**30))
    monkeypatch.setattr("edgetl.training.batches.augmenting_threads", lambda: 4)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    answer = probe._gpu()
    assert answer[0] == state
    assert said in answer[1]
