"""What the file of a device over ssh may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from edgetl.config.target import Target
from edgetl.devices.local import LocalTarget
from edgetl.devices.threads import ThreadCounts

__all__ = ["SshTarget"]

_LOGIN = (
    "address",
    "hostname",
    "identity_file",
    "key",
    "key_file",
    "passphrase",
    "password",
    "port",
    "user",
    "username",
)
_INSTEAD = (
    "is no field of a target, which is shared: the host's entry in ~/.ssh/config says it, and keys are in ssh-agent"
)


def _is_word(value: str) -> str:
    if not value.isprintable() or not value or value.startswith("-"):
        raise ValueError(f"got {value!r}, expected the name or the path of a Python on the device")
    return value


class SshTarget(Target):
    """A Linux machine that ssh logs in to, such as a Raspberry Pi. How it logs in is the user's ssh config's affair."""

    REFUSED: ClassVar[Mapping[str, str]] = dict.fromkeys(_LOGIN, _INSTEAD)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$")]
    """What `ssh` is given: a Host of `~/.ssh/config`, where address, user, port and key are said, or a plain host name."""
    python: Annotated[str, AfterValidator(_is_word)] = "python3"
    """Python on the device, at least 3.11: a name, or a path, which may begin with `~/`."""
    venv: bool = False
    """Whether a virtual environment of that Python is made on the device, with numpy and the runtimes from the device's own
    package index; without it, they must be installed there."""
    threads: ThreadCounts = (1, "all")
    """Thread counts to measure with; all is every core that a process may use there."""
    emulated: bool = False
    """Whether the processor is emulated: its rows say so, because such times are not a device's."""

    def find_machine(self) -> str:
        """Targets with one host are one machine, whatever else they say; an emulator computes on this one."""
        return LocalTarget(name=self.name).find_machine() if self.emulated else f"ssh {self.host}"

    @property
    def origin(self) -> Literal["measured", "emulated"]:
        """As its rows say."""
        return "emulated" if self.emulated else "measured"
