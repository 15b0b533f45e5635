"""Devices over ssh: an OpenSSH server on loopback, and what is logged in with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from edgetl.devices.ssh.device import Ssh
    from tools.loopback_sshd import SshServer

HOST = "device"
Open: TypeAlias = "Callable[..., Ssh]"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A device with the Python that runs the tests."""
    from tools import loopback_sshd

    if why := loopback_sshd.missing():
        pytest.skip(why)
    server = loopback_sshd.SshServer(tmp_path_factory.mktemp("sshd"))
    server.start()
    if why := server.refusal():
        server.stop()
        pytest.skip(f"OpenSSH does not let this user in on this machine: {why}")
    yield server
    server.stop()


@pytest.fixture
def server(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """As it was when it began, known to the ssh of this process; nothing may run there when a test ends."""
    sshd.reset()
    monkeypatch.setenv("HOME", str(sshd.client))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield sshd
    left = sshd.running() if not sshd.quiet() else []
    sshd.kill_all()
    assert not left, "processes are left on the device"


@pytest.fixture
def open_ssh(server: SshServer) -> Iterator[Open]:
    """Opens devices, closed when the test ends."""
    from edgetl.devices.ssh.device import Ssh
    from edgetl.devices.ssh.target import SshTarget

    with ExitStack() as stack:

        def open_it(**fields: Any) -> Ssh:
            device = Ssh(SshTarget(**{"name": "desk", "kind": "ssh", "host": HOST, "threads": (1,), **fields}))
            stack.callback(device.close)
            return device

        yield open_it
