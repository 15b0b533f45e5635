"""An ARM64 device, emulated: the same outputs as here, and times that say what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import model_bundle
import numpy as np
import pytest
import tiny_models
from ssh_devices import HOST

from edgetl.devices.latency import latency
from edgetl.devices.ssh.device import Ssh
from edgetl.devices.ssh.quoting import command
from edgetl.devices.ssh.target import SshTarget
from edgetl.errors import DeviceError
from edgetl.runtime import measuring
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.measuring import Effort
from edgetl.runtime.sessions import open_artifact
from tools import arm64_device, loopback_sshd
from tools.loopback_sshd import SshServer

pytestmark = pytest.mark.timeout(300)  # one that is translated starts in seconds
TARGET = SshTarget(name="arm64", kind="ssh", host=HOST, threads=(1,), emulated=True)


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if why := loopback_sshd.missing() or arm64_device.missing():
        pytest.skip(why)
    server = SshServer(tmp_path_factory.mktemp("arm64"), arm64_device.python())
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def known(arm64: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOME", str(arm64.client))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield
    assert arm64.quiet(), "processes are left on the device"


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_bundle.make_bundle(tmp_path_factory.mktemp("made") / "bundle", tmp_path_factory.mktemp("models"))


def test_it_is_an_arm64(arm64: SshServer) -> None:
    with closing(Ssh(TARGET)) as device:
        info = device.info()
    assert (info.system, info.machine) == ("Linux", "aarch64")
    assert info.processor.endswith(" (emulated)")


def test_selftest_and_the_same_outputs_as_here(real_bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(real_bundle)
    tensors = np.concatenate([tiny_models.image(seed) for seed in range(64)])
    np.save(tmp_path / "tensors.npy", tensors)
    with closing(Ssh(TARGET)) as device:
        there, pictures = device.push(real_bundle), device.push(tmp_path, keep=False)
        program = device.connection.start(
            command(["python3", "-m", "edgetl_runtime", "selftest", "--json", str(there)], device.runtime)
        )
        checks = json.loads(program.line(120) or "[]")
        assert len(checks) == 7
        assert [check for check in checks if check["passed"] is not True] == []
        assert device.pushed > 0
        for artifact in manifest.artifacts:
            here = open_artifact(real_bundle, artifact, 1)
            with device.worker(there, artifact, 1).start() as running:
                running.ready()
                rows = running.outputs(str(pictures / "tensors.npy"), 0, 64)
            assert rows is not None
            expected = np.concatenate([here.run(tensor[None]) for tensor in tensors])
            assert np.max(np.abs(np.array(rows) - expected)) <= 1e-3
            assert np.ptp(expected) > 0.1  # that it could have been otherwise
    with closing(Ssh(TARGET)) as again:
        again.push(real_bundle)
        assert again.runtime
        assert again.pushed == 0


def test_rows_say_that_it_is_emulated(real_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measuring.EFFORTS, "quick", Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0))
    artifact = Manifest.load(real_bundle).artifacts[0]
    found = latency(TARGET, [(real_bundle, artifact)], {}, "quick", lambda *_: None)
    (row,) = found.rows[artifact.name]
    assert (row.target, row.origin, found.unmeasured) == ("arm64", "emulated", [])


def test_wheels_of_this_machine_are_no_wheels_of_that(arm64: SshServer, tmp_path: Path) -> None:
    for path in (site := Path(np.__file__).parents[1]).glob("numpy*"):
        (tmp_path / path.name).symlink_to(path)
    assert site.name == "site-packages"
    arm64.program("python3", f'export PYTHONPATH="{tmp_path}"\n{arm64.python}')
    artifact = Artifact("a", "student", "onnx", "int8", "models/a", "0" * 64, 1)
    message = r"device: numpy \S+ there is a wheel for \S*x86_64.*, expected one for linux_aarch64"
    with closing(Ssh(TARGET)) as device, pytest.raises(DeviceError, match=message):
        device.worker(Path("/x"), artifact, 1)
    arm64.reset()
