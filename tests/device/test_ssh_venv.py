"""The virtual environment that a device makes for itself: once, whole, and what stands in its way."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ssh_devices import Open

from edgetl.devices.ssh import device as ssh_device
from edgetl.devices.ssh import packages
from edgetl.errors import DeviceError
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.measuring import measure
from edgetl.runtime.subjects import Failure
from tools.loopback_sshd import SshServer

ARTIFACT = Artifact("a", "student", "onnx", "int8", "models/a", "0" * 64, 1)


def wheel(folder: Path) -> Path:
    """The smallest that pip installs."""
    path = folder / "tiny_dist-1.0-py3-none-any.whl"
    info = "tiny_dist-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_dist.py", "here = True\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-dist\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny_dist.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def test_it_is_made_once_and_asks_pip_once(
    open_ssh: Open, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.program("python3", f'PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null exec "{sys.executable}" "$@"')
    package = wheel(tmp_path)
    monkeypatch.setattr(ssh_device, "requirement", lambda name: str(package))
    python = Path(open_ssh(venv=True)._python_for("onnx"))
    folder = python.parents[1]
    assert folder.parent == server.cache / "venvs"
    assert list(folder.glob("lib/python*/site-packages/tiny_dist.py"))
    package.unlink()
    assert open_ssh(venv=True)._python_for("onnx") == str(python)


def test_a_runtime_that_pip_cannot_install_costs_its_own_files(
    open_ssh: Open, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.program("python3", f'PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null exec "{sys.executable}" "$@"')
    package = wheel(tmp_path)
    monkeypatch.setattr(
        ssh_device, "requirement", lambda name: "no-such-dist" if name == "onnxruntime" else str(package)
    )
    device, asked = open_ssh(venv=True), list[Sequence[str]]()
    venv = device.agent.venv

    def counted(wanted: Sequence[str]) -> str:
        asked.append(wanted)
        return venv(wanted)

    monkeypatch.setattr(device.agent, "venv", counted)
    for threads in (1, 2):
        (failure,) = measure([device.worker(Path("/x"), ARTIFACT, threads)])
        assert isinstance(failure, Failure)
        assert "pip cannot install there: ERROR: No matching distribution found for no-such-dist" in failure.reason
    assert len(asked) == 1, "it may take minutes"
    other = device.worker(Path("/x"), replace(ARTIFACT, name="b", backend="openvino"), 1)
    (failure,) = measure([other])  # its Python is there, and starts
    assert isinstance(failure, Failure)
    assert "died with exit code" in failure.reason


def own_venv(server: SshServer, source: str) -> None:
    """Give the device's Python another module for `-m venv`."""
    site = server.home / "site"
    (site / "venv").mkdir(parents=True, exist_ok=True)
    (site / "venv" / "__init__.py").touch()
    (site / "venv" / "__main__.py").write_text(source)
    server.program("python3", f'PYTHONPATH="{site}" exec "{sys.executable}" "$@"')


def test_one_that_was_cut_off_is_made_anew(open_ssh: Open, server: SshServer) -> None:
    own_venv(server, "import pathlib, sys\npathlib.Path(sys.argv[1], 'bin').mkdir(parents=True)")
    folder = Path(open_ssh().agent.venv([])).parents[1]
    (folder / "whole").touch()
    open_ssh().agent.venv([])
    assert (folder / "whole").exists()
    (folder / "edgetl.json").unlink()  # written last
    open_ssh().agent.venv([])
    assert [path.name for path in folder.iterdir() if path.name != "edgetl.json"] == ["bin"]


def test_a_python_that_cannot_make_one(open_ssh: Open, server: SshServer) -> None:
    """As Debian's is without python3-venv."""
    own_venv(server, "raise SystemExit('ensurepip is not available')")
    with pytest.raises(
        DeviceError, match="python3 cannot make a virtual environment: ensurepip is not available"
    ) as caught:
        open_ssh(venv=True).worker(Path("/x"), ARTIFACT, 1)
    assert "apt install python3-venv" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["numpy", "pillow", "onnxruntime", "openvino", "ai-edge-litert"])
def test_it_is_asked_for_what_edgetl_is_made_for(name: str) -> None:
    assert packages.requirement(name).startswith(f"{name}<") or packages.requirement(name).startswith(f"{name}>")


def test_a_distribution_that_edgetl_does_not_name() -> None:
    assert packages.requirement("tflite-runtime") == "tflite-runtime"
