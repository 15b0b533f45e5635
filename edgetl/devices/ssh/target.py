"""What the file of a device over ssh may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from edgetl.config.target import Target
from edgetl.devices.threads import ThreadCounts

__all__ = ["SshTarget"]

_LOGIN = (
    "user",
    "username",
    "password",
    "passphrase",
    "port",
    "key",
    "key_file",
    "identity",
    "identity_file",
    "address",
)


def _is_word(value: str) -> str:
    if not value.isprintable() or not value or value.startswith("-"):
        raise ValueError(f"got {value!r}, expected the name or the path of a Python on the device")
    return value


class SshTarget(Target):
    """A Linux machine that ssh logs in to, such as a Raspberry Pi. How it logs in is the user's ssh config's affair."""

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

    @property
    def machine(self) -> str:
        """Targets with one host are one machine, whatever else they say."""
        return f"ssh {self.host}"

    @property
    def origin(self) -> Literal["measured", "emulated"]:
        """As its rows say."""
        return "emulated" if self.emulated else "measured"

    @model_validator(mode="before")
    @classmethod
    def _no_login(cls, content: Any) -> Any:
        """A file that is shared and committed holds no login."""
        for name in _LOGIN if isinstance(content, dict) else ():
            if name in content:
                raise ValueError(
                    f"{name} is no field of a target: Host {content.get('host', 'NAME')} of ~/.ssh/config says how to log in "
                    "(HostName, User, Port, IdentityFile), and keys are in ssh-agent"
                )
        return content
