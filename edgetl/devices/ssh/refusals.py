"""What ssh refuses, as errors that say what to do; and the host keys that decide one of them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from edgetl.errors import DeviceError
from edgetl.errors.wording import one_line

__all__ = ["KnownKeys", "lost", "refusal"]

_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts",)


class KnownKeys:
    """The user's known hosts, asked by asyncssh for one host; afterwards whether it was among them."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self.any = False

    def read(self, config: Any) -> None:
        """Take the files that the ssh config names, or ssh's own; a `none` names no file, and then no host is known."""
        user = config.get("UserKnownHostsFile", list(_USER_FILES))
        system = config.get("GlobalKnownHostsFile", list(_SYSTEM_FILES))
        self._files = [name for name in (*user, *system) if Path(name).expanduser().is_file()]

    def __call__(self, host: str, address: str, port: int | None) -> Any:
        """As asyncssh asks: the keys, and what else is trusted or revoked."""
        import asyncssh

        found = asyncssh.read_known_hosts(self._files).match(host, address, port)
        self.any = any(found)
        return found


def refusal(host: str, exc: Exception, keys: KnownKeys) -> DeviceError:
    """Why there is no connection."""
    import asyncssh

    if isinstance(exc, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed) and keys.any:
        return DeviceError(
            "its host key is not the one that known_hosts has: another machine answers, or it was set up anew",
            place=host,
            hint=f"only if you know why it changed: ssh-keygen -R with its HostName, then ssh {host} and compare the key",
        )
    if isinstance(exc, asyncssh.HostKeyNotVerifiable):
        hint = f"log in once by hand, ssh {host}, and compare the key that it shows with the device's"
        return DeviceError("its host key is not in known_hosts", place=host, hint=hint)
    if isinstance(exc, asyncssh.PermissionDenied):
        hint = f"ssh-copy-id {host}; a key with a passphrase must be in ssh-agent (ssh-add): ssh {host} may ask for nothing"
        return DeviceError(f"refuses the login: {one_line(exc)}", place=host, hint=hint)
    if isinstance(exc, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        hint = f"ssh -v {host} shows which keys it takes"
        return DeviceError(f"a private key cannot be used: {one_line(exc)}", place=host, hint=hint)
    if isinstance(exc, asyncssh.ConfigParseError):
        hint = f"ssh -G {host} shows how ssh itself reads it"
        return DeviceError(f"~/.ssh/config cannot be used: {one_line(exc)}", place=host, hint=hint)
    if isinstance(exc, socket.gaierror):
        hint = f"say its address in ~/.ssh/config: Host {host}, HostName, User"
        return DeviceError(f"its address is not known: {exc.strerror}", place=host, hint=hint)
    return DeviceError(
        f"cannot be reached: {one_line(exc) or type(exc).__name__}",
        place=host,
        hint=f"is it on, on this network, and does sshd run there? ssh {host} true must work without a question",
    )


def lost(host: str, why: str) -> DeviceError:
    """The connection ended in the middle."""
    return DeviceError(
        f"the connection was lost: {why}",
        place=host,
        hint="is it on, and does it have power and network? Nothing of this run goes on there; run the command again",
    )
