"""What stands in the way of a device over ssh: one message each, with what to do, and exit code 4."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from ssh_devices import HOST, Open

from edgetl.config import target
from edgetl.devices.ssh import agent, agent_client
from edgetl.errors import DeviceError, EdgetlError, EnvironmentFault, RecipeError, WorkerError
from edgetl.runtime.manifest import Artifact
from tools.loopback_sshd import SshServer

ARTIFACT = Artifact("a", "student", "onnx", "int8", "models/a", "0" * 64, 1)


def refused(device: object, *parts: str) -> EdgetlError:
    """The error of asking for the device's name, which has all of these in it and a hint."""
    with pytest.raises(DeviceError) as caught:
        device.info()  # type: ignore[attr-defined]
    text = str(caught.value)
    for part in parts:
        assert part in text
    assert caught.value.exit_code == 4
    assert caught.value.hint
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


def write_key(path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(key.export_public_key())
    return path


def test_a_host_key_that_changed(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    server.known(write_key(tmp_path / "other").with_suffix(".pub"))
    refused(open_ssh(), f"{HOST}: its host key is not the one that known_hosts has", "ssh-keygen -R")


def test_a_host_key_of_another_type_than_is_known(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    public = tmp_path / "rsa.pub"
    public.write_bytes(asyncssh.generate_private_key("ssh-rsa").export_public_key())
    server.known(public)
    refused(open_ssh(), "its host key is not the one that known_hosts has")


@pytest.mark.parametrize("how", ["empty", "none", "nowhere", "missing"])
def test_a_host_that_is_not_known(open_ssh: Open, server: SshServer, how: str) -> None:
    """Also where the ssh config switches the check off."""
    known = server.client / ".ssh" / "known_hosts"
    known.write_text("")
    if how == "missing":
        known.unlink()
    if how == "none":
        server.client_config("UserKnownHostsFile none", "StrictHostKeyChecking no")
    if how == "nowhere":
        server.client_config("UserKnownHostsFile /dev/null", "StrictHostKeyChecking no")
    refused(open_ssh(), f"{HOST}: its host key is not in known_hosts", f"ssh {HOST}, and compare")
    assert not server.running()


def test_known_hosts_elsewhere_and_an_alias_are_taken(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    known = server.client / ".ssh" / "known_hosts"
    (tmp_path / "mine").write_text(known.read_text().replace(f"[127.0.0.1]:{server.port}", "desk"))
    known.unlink()
    server.client_config(f"UserKnownHostsFile {tmp_path / 'mine'}", "HostKeyAlias desk")
    assert open_ssh().info().system == "Linux"


def test_a_login_that_is_refused(open_ssh: Open, server: SshServer) -> None:
    (server.folder / "authorized_keys").write_text("")
    refused(open_ssh(), f"{HOST}: refuses the login", f"ssh-copy-id {HOST}")


def test_a_key_with_a_passphrase(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "locked").write_bytes(key.export_private_key("pkcs8-pem", passphrase="secret"))
    config = server.client / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(server.folder / "user_key"), str(tmp_path / "locked")))
    refused(open_ssh(), "refuses the login", "ssh-add")


def test_a_key_that_is_none(open_ssh: Open, server: SshServer) -> None:
    server.client_config(f"IdentityFile {server.folder / 'sshd_config'}")
    config = server.client / ".ssh" / "config"
    config.write_text(config.read_text().replace(f"IdentityFile {server.folder / 'user_key'}", ""))
    refused(open_ssh(), "a private key cannot be used: ")


def test_an_ssh_config_that_cannot_be_read(open_ssh: Open, server: SshServer) -> None:
    server.client_config("Port many")
    refused(open_ssh(), "~/.ssh/config cannot be used", "many")


def test_nobody_listens(open_ssh: Open, server: SshServer) -> None:
    config = server.client / ".ssh" / "config"
    config.write_text(config.read_text().replace(f"Port {server.port}", "Port 9"))
    refused(open_ssh(), f"{HOST}: cannot be reached", f"ssh {HOST} true")


def test_a_host_without_an_address(open_ssh: Open) -> None:
    refused(open_ssh(host="no-such-host.invalid"), "its address is not known", "HostName")


def test_a_python_that_is_not_there(open_ssh: Open) -> None:
    refused(open_ssh(python="python9"), "python9 cannot be started", "apt install python3", "`python`")


def test_a_python_that_may_not_be_started(open_ssh: Open, server: SshServer) -> None:
    (server.home / "plain").write_text("")
    refused(open_ssh(python="~/plain"), "plain cannot be started")


def test_a_python_that_is_none(open_ssh: Open, server: SshServer) -> None:
    server.program("python3", "echo welcome; echo something else >&2; exit 3")
    with pytest.raises(DeviceError, match="device: our program there died with exit code 3; its last line: something"):
        open_ssh().info()


def test_a_python_that_is_too_old(open_ssh: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_client, "PYTHON", (4, 0))
    version = ".".join(map(str, sys.version_info[:3]))
    refused(open_ssh(), f"python3 is Python {version}, expected at least 4.0", "name another")


def test_words_of_a_login_before_ours_are_skipped(open_ssh: Open, server: SshServer) -> None:
    server.program("python3", f'echo "Welcome"; echo "{{}}"; echo "[1]"; echo "3"\nexec "{sys.executable}" "$@"')
    assert open_ssh().info().system == "Linux"


def test_a_module_in_the_home_folder_is_not_taken_for_pythons_own(open_ssh: Open, server: SshServer) -> None:
    (server.home / "json.py").write_text("raise ImportError('mine')")
    assert open_ssh().info().system == "Linux"
    (server.home / "json.py").unlink()


def test_no_asyncssh(open_ssh: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(EnvironmentFault, match=r"asyncssh is not installed\n  hint: pip install 'edgetl\[ssh\]'"):
        open_ssh().info()


@pytest.fixture
def small_disk(server: SshServer) -> Iterator[Path]:
    """The device's cache on a disk of one megabyte."""
    server.cache.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=100", "tmpfs", str(server.cache)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk here: mounting one needs root")
    yield server.cache
    subprocess.run(["umount", "-l", str(server.cache)], check=True)


def test_a_disk_that_is_full(open_ssh: Open, small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small").write_bytes(bytes(100_000))
    (tmp_path / "models" / "large").write_bytes(os.urandom(2_000_000))
    device = open_ssh()
    with pytest.raises(
        DeviceError, match=r"device: its disk is full: .*No space left on device; .* MB are free"
    ) as caught:
        device.push(tmp_path)
    assert caught.value.exit_code == 4
    assert "make room there" in str(caught.value.hint)
    assert [path.stat().st_size for path in small_disk.glob("objects/*")] in ([], [100_000])
    (tmp_path / "models" / "large").unlink()
    assert (device.push(tmp_path) / "models" / "small").stat().st_size == 100_000  # the conversation goes on


def test_a_disk_that_is_full_to_the_last(open_ssh: Open, small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(2_000_000))
    with contextlib.suppress(OSError):
        for number in range(100):
            (small_disk / str(number)).touch()
    refused(open_ssh(), "its disk is full")


def packages_of(server: SshServer, folder: Path, **tags: str) -> None:
    """Give the device's Python nothing but distributions with these wheel tags."""
    for name, tag in tags.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: cp311-cp311-{tag}\n")
    base = getattr(sys, "_base_executable", sys.executable)
    server.program("python3", f'PYTHONPATH="{folder}" exec "{base}" -S "$@"')


def test_no_numpy(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    packages_of(server, tmp_path / "site")
    with pytest.raises(DeviceError, match="device: python3 has no numpy") as caught:
        open_ssh().worker(Path("/x"), ARTIFACT, 1)
    assert "python3 -m pip install numpy onnxruntime; or `venv: true`" in str(caught.value.hint)


def test_a_numpy_of_another_architecture(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    packages_of(server, tmp_path / "site", numpy="manylinux_2_27_sparc64.manylinux_2_28_sparc64")
    message = "numpy 1.0 there is a wheel for manylinux_2_27_sparc64, manylinux_2_28_sparc64, expected one for linux_"
    with pytest.raises(DeviceError, match=message + os.uname().machine) as caught:
        open_ssh().worker(Path("/x"), ARTIFACT, 1)
    assert "pip install numpy" in str(caught.value.hint)


def test_a_runtime_of_another_architecture_costs_its_own_rows(
    open_ssh: Open, server: SshServer, tmp_path: Path
) -> None:
    fits = f"manylinux_2_17_{os.uname().machine}"
    packages_of(server, tmp_path / "site", numpy=fits, onnxruntime="manylinux_2_28_sparc64")
    worker = open_ssh().worker(Path("/x"), ARTIFACT, 1)
    with pytest.raises(WorkerError, match=r"a@1: onnxruntime 1\.0 there is a wheel for manylinux_2_28_sparc64"):
        worker.start()


@pytest.mark.parametrize("tag", [f"linux_{os.uname().machine}", "any", f"manylinux_2_5_{os.uname().machine}"])
def test_wheels_that_fit(open_ssh: Open, server: SshServer, tmp_path: Path, tag: str) -> None:
    packages_of(server, tmp_path / "site", numpy=tag)
    open_ssh().worker(Path("/x"), ARTIFACT, 1)


def test_a_runtime_that_is_not_there(open_ssh: Open, server: SshServer, tmp_path: Path) -> None:
    hidden = tmp_path / "onnxruntime.py"
    hidden.write_text("raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')")
    server.program(
        "python3",
        f': "${{PYTHONSAFEPATH=1}}"; export PYTHONSAFEPATH\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"',
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a").write_bytes(b"x")
    device = open_ssh()
    with (
        device.worker(device.push(tmp_path), ARTIFACT, 1).start() as running,
        pytest.raises(
            WorkerError, match=r"died with exit code 3; its last line: .* needs ONNX Runtime, which is not installed"
        ) as caught,
    ):
        running.ready()
    assert "pip install numpy onnxruntime" in str(caught.value.hint)


@pytest.mark.parametrize("field", ["user", "password", "key", "port", "identity_file"])
def test_a_target_holds_no_login(tmp_path: Path, field: str) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(f"name: desk\nkind: ssh\nhost: pi5\n{field}: secret\n")
    with pytest.raises(RecipeError, match=f":4:1: {field}: is no field of a target, .* ~/.ssh/config"):
        target.load(str(path), tmp_path)


@pytest.mark.parametrize("host", ["pi@pi5", "-oProxyCommand=x", "a b", "$(x)", "", "a;b", "a\\nb"])
def test_a_host_is_a_plain_name(tmp_path: Path, host: str) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(f'name: desk\nkind: ssh\nhost: "{host}"\n')
    with pytest.raises(RecipeError, match="host: got"):
        target.load(str(path), tmp_path)


@pytest.mark.parametrize("python", ["-c", "", "a\\nb", "a\\u0000b"])
def test_a_python_is_no_option(tmp_path: Path, python: str) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(f'name: desk\nkind: ssh\nhost: pi5\npython: "{python}"\n')
    with pytest.raises(RecipeError, match="expected the name or the path of a Python"):
        target.load(str(path), tmp_path)


def test_the_shipped_targets_can_be_read(tmp_path: Path) -> None:
    pi, emulated = target.load("pi5_ssh", tmp_path), target.load("arm64_emulated", tmp_path)
    assert (pi.kind, pi.origin, emulated.origin) == ("ssh", "measured", "emulated")
    assert pi.find_machine() != emulated.find_machine()


def test_two_targets_of_a_host_are_one_machine(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nkind: ssh\nhost: pi5\n")
    assert len({target.load(str(tmp_path / f"{name}.yaml"), tmp_path).find_machine() for name in ("one", "two")}) == 1


def test_the_agent_knows_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert agent.machine() == "aarch64"
    monkeypatch.setattr("struct.calcsize", lambda _: 4)
    assert agent.machine() == "armv7l"
