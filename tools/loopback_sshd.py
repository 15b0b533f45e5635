"""A real OpenSSH server on loopback that plays the device, and a home folder whose ssh config knows it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncssh

HOST = "device"
SSHD = shutil.which("sshd", path=os.pathsep.join(("/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", ""))))


class SshServer:
    """sshd of this user with files of its own.

    home: the device's; its cache is below. bin: first in its PATH, with python3. python: what that does, as a shell script.
    client: home of who logs in.
    """

    def __init__(self, folder: Path, python: str | None = None, client: Path | None = None) -> None:
        self.folder = folder
        self.home, self.bin = folder / "device", folder / "bin"
        self.client = client or folder / "client"
        for made in (self.home, self.bin, self.client / ".ssh"):
            made.mkdir(parents=True, exist_ok=True)
        self.cache = self.home / ".cache" / "edgetl"
        self.python = f'exec "{sys.executable}" "$@"' if python is None else python
        self.port = _free_port()
        self._key("host_key")
        self._key("user_key")
        self._process: subprocess.Popen[bytes] | None = None
        self.reset()

    def reset(self) -> None:
        """Its Python, its cache, and what the client knows of it, as they were at first."""
        shutil.rmtree(self.cache, ignore_errors=True)
        self.program("python3", self.python)
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self.known(self.folder / "host_key.pub")
        self.client_config()

    def program(self, name: str, script: str) -> None:
        """Put a shell script among the device's programs."""
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def known(self, public: Path) -> None:
        """Have the client know the device by this key."""
        key = " ".join(public.read_text().split()[:2])
        (self.client / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}\n")

    def client_config(self, *more: str) -> None:
        """The client's ssh config."""
        (self.client / ".ssh" / "config").write_text(self._entry(HOST, *more))

    def for_the_user(self, host: str) -> str:
        """What makes it known to someone's own ssh."""
        known = (self.client / ".ssh" / "known_hosts").read_text()
        return f"In ~/.ssh/config:\n\n{self._entry(host)}\nIn ~/.ssh/known_hosts:\n\n{known}"

    def _entry(self, host: str, *more: str) -> str:
        lines = ["HostName 127.0.0.1", f"Port {self.port}", f"User {getpass.getuser()}"]
        lines += [f"IdentityFile {self.folder / 'user_key'}", *more]
        return "\n    ".join([f"Host {host}", *lines]) + "\n"

    def start(self) -> None:
        """Listen."""
        assert SSHD is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": f'"{self.folder / "host_key"}"',
            "AuthorizedKeysFile": f'"{self.folder / "authorized_keys"}"',
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "MaxStartups": "100",
            # sshd starts in the user's real home; all else is as it does it itself.
            "ForceCommand": 'cd "$HOME" && exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"',
            "SetEnv": f'"HOME={self.home}" "PATH={self.bin}:/usr/bin:/bin" "OMP_NUM_THREADS=1"',
        }
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log
            )
        _wait_for(self.port, self._process, self.folder / "sshd.log")

    def refusal(self) -> str | None:
        """What OpenSSH's own client says of a login, or None where it works: an account may be locked."""
        options = ["-F", str(self.client / ".ssh" / "config"), "-o", "BatchMode=yes"]
        options += ["-o", f"UserKnownHostsFile={self.client / '.ssh' / 'known_hosts'}"]
        done = subprocess.run(["ssh", *options, HOST, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr.strip()

    def stop(self) -> None:
        """No more, with everything that it started."""
        if self._process is not None:
            self.kill_all()
            self._process.kill()
            self._process.wait()
            self._process = None

    def kill_all(self) -> None:
        """What runs on the device, and what holds a login."""
        for process in [*self.sessions(), *self.running()]:
            _kill(process)

    def sessions(self) -> list[int]:
        """The processes of sshd that hold a login each."""
        assert self._process is not None
        return _children(self._process.pid)

    def running(self) -> list[int]:
        """What runs on the device."""
        mark = f"HOME={self.home}".encode()
        return [number for number in _processes() if mark in _environment(number)]

    def quiet(self, seconds: float = 15.0) -> bool:
        """Whether nothing runs on the device any more, in so much time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.running():
                return True
            time.sleep(0.05)
        return False

    def _key(self, name: str) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        (self.folder / name).write_bytes(key.export_private_key())
        (self.folder / name).chmod(0o600)
        (self.folder / f"{name}.pub").write_bytes(key.export_public_key())


def missing() -> str | None:
    """Why there is none on this machine, or None."""
    return None if SSHD else "no OpenSSH server here: apt-get install openssh-server"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20.0
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not listen: {log.read_text()}")


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _children(parent: int) -> list[int]:
    found = []
    for number in _processes():
        try:
            if int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(number)
        except OSError:
            continue
    return found


def _environment(number: int) -> list[bytes]:
    try:
        return Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
